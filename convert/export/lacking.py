"""Operators of a Paddle program that Paddle2ONNX does not know: it ends in an abort that names none of them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from convert.export import retype

_PARAMETER = "p"
_DIALECT = "1."  # of operators, in Paddle's PIR JSON; those of branches and of lists have others
# What Paddle2ONNX takes without a mapper of its own.
_ITS_OWN = {"data", "feed", "fetch", "if", "while", "any", "all", "print", "assign_value"}


def run_job(job: dict[str, Any]) -> list[str]:
    """In words: each operator of a program that Paddle2ONNX lacks, how often it stands there and where first.

    job: {program}, an `inference.json`. The place is what Paddle says of the layers that it stands in.
    """
    from paddle.incubate.autograd.phi_ops_map import op_map  # Paddle's table of old names, by which Paddle2ONNX goes
    from paddle2onnx.paddle2onnx_cpp2py_export import get_all_supported_operators_pir

    known = set(get_all_supported_operators_pir())
    known |= {str(op_map[name].get("phi_name", name)) for name in known if name in op_map}
    program = json.loads(Path(job["program"]).read_text(encoding="utf-8"))
    return described(list(retype.operators(program["program"])), known)


def described(operators: Iterable[dict[str, Any]], known: set[str]) -> list[str]:
    """As `run_job`, of operators as Paddle's PIR JSON has them, in their order."""
    found: dict[str, list[str]] = {}
    parameters, last = dict[Any, str](), ""
    for operator in operators:
        if operator["#"] == _PARAMETER:
            parameters[operator["O"]["%"]] = operator["A"][-1]
            continue
        name = str(operator["#"]).removeprefix(_DIALECT).rstrip("_")
        if str(operator["#"]).startswith(_DIALECT) and not {name, f"{name}_"} & (known | _ITS_OWN):
            found.setdefault(name, []).append(_place(operator, last))
        read = [one.get("%") for one in operator.get("I") or () if isinstance(one, dict)]
        last = next((parameters[one] for one in read if one in parameters), last)
    return [f"{name}{_times(len(places))}{places[0]}" for name, places in found.items()]


def _times(count: int) -> str:
    return f", {count} times, first" if count > 1 else ""


def _place(operator: dict[str, Any], last: str) -> str:
    """` in /MobileViTV2/Attention/`; before Paddle 3, which does not say it, the last weight that was read."""
    names = [one["AT"]["D"] for one in operator.get("A", ()) if isinstance(one, dict) and one.get("N") == "struct_name"]
    if names and names[0].strip("/"):
        return f" in {names[0]}"
    return f" behind the layer of {last}" if last else " at the beginning"
