"""The Paddle program as a list of operators with numbered values, read from its PIR JSON.

Element names of that JSON: Paddle, `paddle/fluid/pir/serialize_deserialize/include/schema.h`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from convert.common.errors import InputError

_FLOATS = ("0.t_f16", "0.t_bf16", "0.t_f32", "0.t_f64")
PARAMETER, _COMBINE, _SPLIT, _TENSOR = "p", "0.combine", "0.split", "0.t_dtensor"
INPUTS, OUTPUTS = ("data", "feed"), ("fetch", "shadow_output")


@dataclass(frozen=True)
class PaddleOperator:
    """label: its name without dialect (`add_`). number: how many of the same label stand before it.

    inputs, outputs: numbers of values; lists of tensors are flat.
    """

    index: int
    label: str
    number: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    attributes: Mapping[str, Any]

    @property
    def kind(self) -> str:
        """The label without the mark of working in place (`add`)."""
        return self.label.rstrip("_")


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
    """The operators of a program's JSON, the list itself. InputError when it is not a program of one block."""
    try:
        (region,) = document["program"]["regions"]
        (only,) = region["blocks"]
        operators: list[dict[str, Any]] = only["ops"]
        return operators
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
    shapes: dict[int, tuple[int, ...]] = {}
    floats: set[int] = set()
    entries = block(document)
    for entry in entries:
        if entry["#"] == _COMBINE:
            (number,) = _made(entry)
            lists[number] = operands_of(entry)
        elif entry["#"] == _SPLIT:  # what a list is split into is known only later
            (number,) = operands_of(entry)
            lists[number] = _made(entry)
        for value in results(entry):
            tensor = value.get("TT") or {}
            if tensor.get("#") == _TENSOR:
                dtype, shape, *_ = tensor["D"]
                shapes[value["%"]] = tuple(shape)
                floats |= {value["%"]} if dtype["#"] in _FLOATS else set()
    operators: list[PaddleOperator] = []
    parameters: dict[int, str] = {}
    inputs: list[int] = []
    outputs: list[int] = []
    constants: dict[int, float] = {}
    count: Counter[str] = Counter()
    for index, entry in enumerate(entries):
        label, taken, made = kind_of(entry), operands_of(entry), _made(entry)
        if entry["#"] == PARAMETER:
            parameters[made[0]] = entry["A"][3]
        elif label in INPUTS:
            inputs += made
        elif label in OUTPUTS:
            outputs += taken
        elif entry["#"] not in (_COMBINE, _SPLIT):
            attributes = {one["N"]: one["AT"].get("D") for one in entry.get("A", ()) if "AT" in one}
            flat_in, flat_out = (
                tuple(one for value in side for one in lists.get(value, (value,))) for side in (taken, made)
            )
            operators.append(PaddleOperator(index, label, count[label], flat_in, flat_out, attributes))
            count[label] += 1
            if label == "full" and isinstance(attributes.get("value"), (int, float)):
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


def operands_of(entry: Mapping[str, Any]) -> tuple[int, ...]:
    """The numbers of the values that an operator of the JSON takes."""
    return tuple(value["%"] for value in entry.get("I", ()))


def _made(entry: Mapping[str, Any]) -> tuple[int, ...]:
    return tuple(value["%"] for value in results(entry))
