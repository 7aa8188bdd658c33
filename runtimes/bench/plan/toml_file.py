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
import itertools
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from convert.common.errors import InputError
from convert.zoo import DEFAULT_MODEL
from runtimes.bench.plan.matrix import Matrix, Policy, models
from runtimes.option_lists import precisions
from runtimes.options import ask

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

MATRIX = "matrix"
_NUMBER = (int, float)
# What a value must be. A list of them is understood as every one of them in turn, except where one is all there can be.
_AXES: dict[str, type] = {
    **dict.fromkeys(("model", "runtime", "precision", "mode", "device", "option"), str),
    **dict.fromkeys(("batch", "threads", "streams"), int),
}
_SINGLE: dict[str, type | tuple[type, ...]] = {
    **dict.fromkeys(("weights", "artifacts", "cache"), str),
    "latency_bound": _NUMBER,
    "percentile": int,
}
_POLICY: dict[str, type | tuple[type, ...]] = {
    "processes": int,
    "min_seconds": _NUMBER,
    "min_count": int,
    "target": (str, int, float),
    "max_seconds": _NUMBER,
    "patience": _NUMBER,
    "repeats": int,
    "minutes": _NUMBER,
    "seed": int,
}
# How hard to try, by the options that say it.
EFFORT = tuple(name for name in _POLICY if name != "seed")
_FIELDS = {"min_seconds": "min_s", "max_seconds": "max_s", "patience": "patience_s"}
_WORDS = {
    str: "text in quotes",
    int: "a whole number",
    _NUMBER: "a number",
    (str, int, float): 'a share, as 0.01 or "1%"',
}


@dataclass(frozen=True)
class PlanFile:
    """What a file says, checked for keys and types only. tables: one for each matrix, with the defaults in them.

    policy: fields of `Policy`, those that it gives.
    """

    path: Path
    tables: tuple[Mapping[str, Any], ...]
    policy: Mapping[str, Any] = field(default_factory=dict)
    seed: int | None = None

    def matrices(self, root: Path) -> list[Matrix]:
        """The matrices. root: folder of the artifacts where the file names none. InputError names file and table."""
        found = []
        for number, table in enumerate(self.tables, start=1):
            try:
                found += _matrices(table, root)
            except InputError as error:
                raise InputError(f"{self.path}, {_table(number)}: {error.message}") from None
        return found

    def effort(self, **given: Any) -> Policy:
        """How hard to try. given: what the command line says, which has the last word; None where it says nothing."""
        return Policy(**{**self.policy, **{name: value for name, value in given.items() if value is not None}})


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
    _check(f"{path}, above the matrices", top, {**_AXES, **_SINGLE, **_POLICY})
    for number, table in enumerate(tables, start=1):
        place = f"{path}, {_table(number)}"
        for name in table:
            if name in _POLICY:
                raise InputError(f"{place}: {name} is for the whole plan; put it above the first [[matrix]]")
        _check(place, table, {**_AXES, **_SINGLE})
    policy = {field_of(name): top.pop(name) for name in _POLICY if name in top}
    seed = policy.pop("seed", None)
    if "target" in policy:
        try:
            policy["target"] = share(policy["target"])
        except ValueError as error:
            raise InputError(f"{path}, above the matrices: target: {error}") from None
    try:
        Policy(**policy)
    except InputError as error:
        raise InputError(f"{path}, above the matrices: {error.message}") from None
    return PlanFile(path, tuple({**top, **table} for table in tables), policy, seed)


def field_of(name: str) -> str:
    """The field of `Policy` that an option or a key sets."""
    key = name.replace("-", "_")
    return _FIELDS.get(key, key)


def share(value: str | float) -> float:
    """A share from `1%` or `0.01`. ValueError, in a sentence, when it is none above 0 and below 1."""
    text = str(value).strip()
    try:
        found = float(text[:-1]) / 100 if text.endswith("%") else float(text)
    except ValueError:
        found = 0.0
    if not 0 < found < 1:
        raise ValueError(f"{value!r} is no share above 0 and below 1, as 1% or 0.01 are")
    return found


def _table(number: int) -> str:
    return f"[[matrix]] {number}"


def _check(place: str, table: Mapping[str, Any], known: Mapping[str, Any]) -> None:
    for name, value in table.items():
        if name not in known:
            close = difflib.get_close_matches(name, known, n=2, cutoff=0.6)
            hint = f"did you mean {' or '.join(close)}?" if close else f"there are {', '.join(known)}"
            raise InputError(f"{place}: unknown key {name!r}: {hint}")
        wanted = known[name]
        several = name in _AXES and isinstance(value, list)
        if several and not value:
            raise InputError(f"{place}: {name} is an empty list: give it a value, or leave it out")
        for one in value if several else [value]:
            if not isinstance(one, wanted) or isinstance(one, bool):
                words = _WORDS[wanted] + (", or a list of that" if name in _AXES else "")
                raise InputError(f"{place}: {name} = {one!r}: {words} is needed")


def _listed(table: Mapping[str, Any], name: str, default: Any) -> list[Any]:
    value = table.get(name, default)
    return list(dict.fromkeys(value)) if isinstance(value, list) else [value]


def _matrices(table: Mapping[str, Any], root: Path) -> list[Matrix]:
    runtimes = ",".join(_listed(table, "runtime", [])) if "runtime" in table else None
    cache = Path(table["cache"]) if "cache" in table else None
    pairs = _listed(table, "option", [])
    return [
        Matrix(
            models=models(",".join(_listed(table, "model", DEFAULT_MODEL))),
            asked=ask(runtimes, device, None, streams, cache, pairs),
            precisions=precisions(",".join(_listed(table, "precision", "fp32"))),
            batches=_listed(table, "batch", list(Matrix.batches)),
            threads=_listed(table, "threads", None),
            modes=_listed(table, "mode", "latency"),
            weights=table.get("weights"),
            root=Path(table["artifacts"]) if "artifacts" in table else root,
            batches_given="batch" in table,
            latency_bound_ms=table.get("latency_bound"),
            percentile=table.get("percentile"),
        )
        for device, streams in itertools.product(_listed(table, "device", None), _listed(table, "streams", None))
    ]
