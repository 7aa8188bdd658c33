"""The Paddle program as a list of operators with numbered values, read from its PIR JSON.

Element names of that JSON: Paddle, `paddle/fluid/pir/serialize_deserialize/include/schema.h`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from convert.common.errors import InputError

_FLOATS = ("0.t_f16", "0.t_bf16", "0.t_f32", "0.t_f64")
_COMBINE, _SPLIT, _PARAMETER = "combine", "split", "p"
_DATA, _FETCH = ("data", "feed"), ("fetch", "shadow_output")


@dataclass(frozen=True)
class PaddleOperator:
    """label: its name without dialect (`add_`). kind: the label without the mark of working in place (`add`).

    number: how many of the same label stand before it. inputs, outputs: numbers of values; lists of tensors are flat.
    """

    index: int
    label: str
    kind: str
    number: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    attributes: Mapping[str, Any]


@dataclass(frozen=True)
class PaddleProgram:
    """operators: in order, without parameters, inputs, outputs and lists.

    parameters: value -> name. shapes: of values, -1 where free. activations: floating-point values that depend on the
    input. constants: scalars that the program itself holds.
    """

    operators: tuple[PaddleOperator, ...]
    input: int
    output: int
    parameters: Mapping[int, str]
    shapes: Mapping[int, tuple[int, ...]]
    activations: frozenset[int]
    constants: Mapping[int, float]

    @cached_property
    def maker(self) -> dict[int, PaddleOperator]:
        """Value -> the operator that it comes from."""
        return {value: operator for operator in self.operators for value in operator.outputs}

    @cached_property
    def users(self) -> dict[int, list[PaddleOperator]]:
        """Value -> the operators that take it."""
        found: dict[int, list[PaddleOperator]] = {}
        for operator in self.operators:
            for value in dict.fromkeys(operator.inputs):
                found.setdefault(value, []).append(operator)
        return found

    def operands(self, operator: PaddleOperator) -> tuple[int, ...]:
        """The inputs of an operator that are activations."""
        return tuple(value for value in operator.inputs if value in self.activations)

    def parameters_of(self, operator: PaddleOperator) -> tuple[str, ...]:
        """Names of the parameters that an operator uses, through reshapes of them too."""
        found: list[str] = []
        for value in operator.inputs:
            while value not in self.activations and value not in self.parameters and value in self.maker:
                sources = self.maker[value].inputs
                if not sources:
                    break
                value = sources[0]
            if value in self.parameters:
                found.append(self.parameters[value])
        return tuple(found)


def block(document: dict[str, Any]) -> list[dict[str, Any]]:
    """The operators of a program's JSON, as they stand there. InputError when it is not a program of one block."""
    try:
        (region,) = document["program"]["regions"]
        (only,) = region["blocks"]
        return list(only["ops"])
    except (KeyError, TypeError, ValueError):
        raise InputError("the Paddle program is not of the known form; convert the model again") from None


def results(entry: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The results of an operator of the JSON: [{%: number, TT: type}]."""
    found = entry["O"]
    return [found] if isinstance(found, dict) else list(found)


def read(path: Path) -> PaddleProgram:
    """Parse `inference.json`. InputError when it cannot be read or has not one input and one output."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: no Paddle program ({error}); convert the model again") from None
    return parse(document)


def parse(document: dict[str, Any]) -> PaddleProgram:
    """As `read`, of the parsed JSON."""
    lists: dict[int, tuple[int, ...]] = {}  # a list value -> its elements
    operators: list[PaddleOperator] = []
    parameters: dict[int, str] = {}
    shapes: dict[int, tuple[int, ...]] = {}
    floats: set[int] = set()
    inputs: list[int] = []
    outputs: list[int] = []
    constants: dict[int, float] = {}
    count: Counter[str] = Counter()
    entries = block(document)
    for entry in entries:  # what a list is split into is known only later
        if kind_of(entry) == _SPLIT and entry["#"].startswith("0."):
            lists[entry["I"][0]["%"]] = tuple(value["%"] for value in results(entry))
    for index, entry in enumerate(entries):
        kind = kind_of(entry)
        for value, dtype, shape in _tensors(entry):
            shapes[value] = shape
            if dtype in _FLOATS:
                floats.add(value)
        operands = [value["%"] for value in entry.get("I", ())]
        made = [value["%"] for value in results(entry)]
        if kind == _PARAMETER:
            parameters[made[0]] = entry["A"][3]
        elif kind in _DATA:
            inputs += made
        elif kind in _FETCH:
            outputs += operands
        elif entry["#"].startswith("0.") and kind == _COMBINE:
            lists[made[0]] = tuple(operands)
        elif not (entry["#"].startswith("0.") and kind == _SPLIT):
            attributes = {one["N"]: one["AT"].get("D") for one in entry.get("A", ()) if "AT" in one}
            number = count[kind]
            count[kind] += 1
            taken, given = (
                tuple(one for value in side for one in lists.get(value, (value,))) for side in (operands, made)
            )
            operators.append(PaddleOperator(index, kind, kind.rstrip("_"), number, taken, given, attributes))
            if kind == "full" and isinstance(attributes.get("value"), (int, float)):
                constants[made[0]] = float(attributes["value"])
    if len(inputs) != 1 or len(outputs) != 1:
        raise InputError(f"the Paddle program has {len(inputs)} inputs and {len(outputs)} outputs instead of one each")
    active = {inputs[0]}
    for operator in operators:
        if operator.kind not in ("shape", "shape64") and active & set(operator.inputs):
            active |= floats & set(operator.outputs)
    return PaddleProgram(tuple(operators), inputs[0], outputs[0], parameters, shapes, frozenset(active), constants)


def kind_of(entry: Mapping[str, Any]) -> str:
    """The name of an operator of the JSON, without its dialect."""
    return str(entry["#"]).split(".")[-1]


def _tensors(entry: Mapping[str, Any]) -> Iterator[tuple[int, str, tuple[int, ...]]]:
    for value in results(entry):
        kind = value.get("TT") or {}
        if kind.get("#") == "0.t_dtensor":
            dtype, shape, *_ = kind["D"]
            yield value["%"], dtype["#"], tuple(shape)
