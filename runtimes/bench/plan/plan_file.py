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

Keys are named as the options, with `_` for `-`; paths mean what they mean there. Without a [[matrix]] the top is one.
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from convert.common.errors import InputError
from runtimes.bench.plan.matrix import Matrix
from runtimes.bench.plan.settings import HOW_HARD, WHOLE, BenchSetting, MatrixSettings, Policy, declared, policy, share

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

MATRIX = "matrix"
OF_MATRIX = {setting.key: setting for setting in declared(MatrixSettings).values()}
OF_PLAN = {
    **{setting.key: setting for setting in declared(Policy).values()},
    "seed": BenchSetting("seed", WHOLE, HOW_HARD),
}


@dataclass(frozen=True)
class PlanFile:
    """What a file says, checked for keys and types only. tables: one for each matrix, with the defaults in them.

    effort: settings of `Policy`, those that it gives, by their keys.
    """

    path: Path
    tables: tuple[Mapping[str, Any], ...]
    effort: dict[str, Any] = field(default_factory=dict)
    seed: int | None = None

    def matrices(self, root: Path) -> list[Matrix]:
        """The matrices. root: folder of the artifacts where the file names none. InputError names file and table."""
        found: list[Matrix] = []
        for number, table in enumerate(self.tables, start=1):
            values: dict[str, Any] = {"artifacts": str(root)}
            for name, value in table.items():
                values[name] = _in_turn(value) if OF_MATRIX[name].several else value
            settings = MatrixSettings(**values, batches_given="batch" in table)
            try:
                found += settings.matrices()
            except InputError as error:
                raise InputError(f"{self.path}, {_table(number)}: {error.message}") from None
        return found


def load(path: Path) -> PlanFile:
    """Read a plan. InputError when it cannot be read, names what there is not, or has values of another type."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: no plan can be read there ({error})") from None
    return parse(text, path)


def parse(text: str, path: Path) -> PlanFile:
    """`load` for the text of a file. path: what errors call it."""
    try:
        top = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise InputError(f"{path}: no TOML: {error}") from None
    tables = top.pop(MATRIX, [{}])
    if not isinstance(tables, list) or not tables or not all(isinstance(table, dict) for table in tables):
        raise InputError(f"{path}: a matrix begins with [[matrix]], in two pairs of brackets")
    _check(f"{path}, above the matrices", top, {**OF_MATRIX, **OF_PLAN})
    for number, table in enumerate(tables, start=1):
        place = f"{path}, {_table(number)}"
        for name in table:
            if name in OF_PLAN:
                raise InputError(f"{place}: {name} is for the whole plan; put it above the first [[matrix]]")
        _check(place, table, OF_MATRIX)
    effort = {name: top.pop(name) for name in OF_PLAN if name in top}
    seed = effort.pop("seed", None)
    if "target" in effort:
        try:
            effort["target"] = share(effort["target"])
        except ValueError as error:
            raise InputError(f"{path}, above the matrices: target: {error}") from None
    try:
        policy(effort)
    except InputError as error:
        raise InputError(f"{path}, above the matrices: {error.message}") from None
    return PlanFile(path, tuple({**top, **table} for table in tables), effort, seed)


def _table(number: int) -> str:
    return f"[[matrix]] {number}"


def _check(place: str, table: Mapping[str, Any], known: Mapping[str, BenchSetting]) -> None:
    for name, value in table.items():
        if name not in known:
            close = difflib.get_close_matches(name, known, n=2, cutoff=0.6)
            hint = f"did you mean {' or '.join(close)}?" if close else f"there are {', '.join(known)}"
            raise InputError(f"{place}: unknown key {name!r}: {hint}")
        setting = known[name]
        several = setting.several and isinstance(value, list)
        if several and not value:
            raise InputError(f"{place}: {name} is an empty list: give it a value, or leave it out")
        for one in value if several else [value]:
            if not isinstance(one, setting.kind.types) or isinstance(one, bool):
                needed = setting.kind.words + (", or a list of that" if setting.several else "")
                raise InputError(f"{place}: {name} = {one!r}: {needed} is needed")


def _in_turn(value: Any) -> tuple[Any, ...]:
    return tuple(dict.fromkeys(value)) if isinstance(value, list) else (value,)
