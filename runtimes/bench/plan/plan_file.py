"""A plan from a TOML file: what the options say, for several matrices at once.

    target = "1%"                       # how hard to try: for the whole plan
    model = "ViT_base_patch32_384"      # the rest: defaults of every matrix

    [[matrix]]
    runtime = ["ort-cpu", "openvino"]
    batch = [1, 8]
    threads = [1, 2]

    [[matrix]]
    mode = "throughput"
    runtime = "openvino"

Over a cluster a matrix may say on which machines, and a machine what it costs:

    [[matrix]]
    where = "gpu"

    [[machine]]
    where = "gpu"
    price = 1.2                         # euros per hour

Keys are named as the options, with `_` for `-`; paths mean what they mean there. Without a [[matrix]] the top is one.
"""

from __future__ import annotations

import difflib
import math
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from convert.common.errors import InputError
from convert.models import onnx_alone
from runtimes.bench.plan.settings import (
    HOW_HARD,
    NUMBER,
    WHERE,
    WHOLE,
    BenchSetting,
    Matrix,
    Policy,
    declared,
    policy,
    share,
)

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

MATRIX, MACHINE = "matrix", "machine"
OF_MATRIX = {setting.key: setting for setting in declared(Matrix).values()}
OF_PLAN = {
    **{setting.key: setting for setting in declared(Policy).values()},
    "seed": BenchSetting("seed", WHOLE, HOW_HARD),
}


_OF_MACHINE = {"where": OF_MATRIX["where"], "price": BenchSetting("price", NUMBER, WHERE)}


@dataclass(frozen=True)
class Price:
    """What machines cost. where: which ones, as a matrix says it. per_hour: euros."""

    where: str
    per_hour: float


@dataclass(frozen=True)
class PlanFile:
    """What a file says. effort: settings of `Policy`, those that it gives, by their keys."""

    matrices: tuple[Matrix, ...]
    effort: dict[str, Any]
    seed: int | None
    prices: tuple[Price, ...] = ()

    @property
    def of_clusters(self) -> str | None:
        """What it says that only a cluster has: a key; None for nothing."""
        said = any(matrix.where is not None for matrix in self.matrices)
        return "where" if said else "price" if self.prices else None


def load(path: Path, root: Path, here: bool = True) -> PlanFile:
    """Read a plan. root: folder of the artifacts where the file names none. here: whether this machine measures, whose
    runtimes are looked for then.

    InputError, with file and table, when it cannot be read, names what there is not, or has values of another type.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: no plan can be read there ({error})") from None
    return parse(text, path, root, here)


def parse(text: str, path: Path, root: Path, here: bool = True) -> PlanFile:
    """`load` for the text of a file. path: what errors call it."""
    try:
        top = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # ValueError: no TOML, or a number too long to read
        raise InputError(f"{path}: no TOML: {error}") from None
    tables = top.pop(MATRIX, [{}])
    if not isinstance(tables, list) or not tables or not all(isinstance(table, dict) for table in tables):
        raise InputError(f"{path}: a matrix begins with [[matrix]], in two pairs of brackets")
    prices = _prices(top.pop(MACHINE, []), path)
    with _told(f"{path}, above the matrices"):
        _check(top, {**OF_MATRIX, **OF_PLAN})
        effort = {name: top.pop(name) for name in OF_PLAN if name in top}
        seed = effort.pop("seed", None)
        if "target" in effort:
            try:
                effort["target"] = share(effort["target"])
            except ValueError as error:
                raise InputError(f"target: {error}") from None
        policy(effort)
    matrices = []
    for number, table in enumerate(tables, start=1):
        with _told(f"{path}, [[matrix]] {number}"):
            for name in table:
                if name in OF_PLAN:
                    raise InputError(f"{name} is for the whole plan; put it above the first [[matrix]]")
            _check(table, OF_MATRIX)
            given = {"artifacts": str(root), **top, **table}
            if "onnx" in given and "model" not in given:
                given["model"] = onnx_alone(given.pop("onnx"))
            values: dict[str, Any] = {
                name: _in_turn(value) if OF_MATRIX[name].several else value for name, value in given.items()
            }
            matrices.append(Matrix(**values, batches_given="batch" in given))
            if here:
                _ = matrices[-1].selections  # so that a mistake in these is told with its place too
    return PlanFile(tuple(matrices), effort, seed, prices)


def _prices(tables: Any, path: Path) -> tuple[Price, ...]:
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise InputError(f"{path}: a machine begins with [[machine]], in two pairs of brackets")
    found = []
    for number, table in enumerate(tables, start=1):
        with _told(f"{path}, [[machine]] {number}"):
            _check(table, _OF_MACHINE)
            if set(table) != set(_OF_MACHINE) or not 0 < table["price"] < math.inf:
                raise InputError("where, as a matrix says it, and price, in euros per hour and above zero, are needed")
            found.append(Price(table["where"], float(table["price"])))
    return tuple(found)


@contextmanager
def _told(place: str) -> Iterator[None]:
    """What is wrong inside the block is told with its place."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{place}: {error.message}") from None


def _check(table: Mapping[str, Any], known: Mapping[str, BenchSetting]) -> None:
    for name, value in table.items():
        if name not in known:
            close = difflib.get_close_matches(name, known, n=2, cutoff=0.6)
            hint = f"did you mean {' or '.join(close)}?" if close else f"there are {', '.join(known)}"
            raise InputError(f"unknown key {name!r}: {hint}")
        setting = known[name]
        several = setting.several and isinstance(value, list)
        if several and not value:
            raise InputError(f"{name} is an empty list: give it a value, or leave it out")
        for one in value if several else [value]:
            if not isinstance(one, setting.kind.types) or isinstance(one, bool):
                needed = setting.kind.words + (", or a list of that" if setting.several else "")
                raise InputError(f"{name} = {one!r}: {needed} is needed")


def _in_turn(value: Any) -> tuple[Any, ...]:
    return tuple(dict.fromkeys(value)) if isinstance(value, list) else (value,)
