"""What TensorRT's engine inspector says of an engine's layers: the types that they compute in, and TF32."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from convert.precision.table import FP32, TF32
from runtimes.base import lowest_precision

# TensorRT writes types as `Float`, `Row major linear FP16 format`, `Half`, `BFloat16`, and `FLOAT` in its enumeration.
_TYPE = re.compile(
    r"(?<![a-z0-9])(?:(?P<bf16>bf16|bfloat16)|(?P<f16>fp16|half|float16)|(?P<f32>fp32|float|float32)|(?P<int8>int8))"
    r"(?![a-z0-9])",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Layers:
    """count: of all layers. types: layers that put out a type, by type, in the words of `base.lowest_precision`.

    tf32: layers whose kernel has tf32 in its name.
    """

    count: int
    types: dict[str, int]
    tf32: tuple[str, ...]


def read(text: str) -> Layers:
    """What the inspector's JSON says. Layers of which only the name is known count, but have no type."""
    # A kernel's name may hold a control character.
    layers = json.loads(text, strict=False).get("Layers", [])
    types: Counter[str] = Counter()
    tf32 = []
    for layer in layers:
        if isinstance(layer, dict):
            formats = [str(tensor.get("Format/Datatype", "")) for tensor in _tensors(layer)]
            types.update(set(names(formats)))
            if any("tf32" in str(value).lower() for key, value in layer.items() if "Tactic" in key):
                tf32.append(str(layer.get("Name", "")))
    return Layers(len(layers), dict(types), tuple(tf32))


def _tensors(layer: dict[str, Any]) -> list[dict[str, Any]]:
    # Some layers have no inputs, and weights that are not listed among them.
    found = [tensor for key in ("Inputs", "Outputs") for tensor in layer.get(key) or []]
    weights = layer.get("Weights")
    if isinstance(weights, dict):
        found.append({"Format/Datatype": weights.get("Type", "")})
    return [tensor for tensor in found if isinstance(tensor, dict)]


def names(formats: Iterable[str]) -> list[str]:
    """The floating-point and int8 types named in TensorRT's descriptions: f32, f16, bf16, int8."""
    return [str(match.lastgroup) for text in formats for match in _TYPE.finditer(text)]


def precision(types: Iterable[str], tf32: bool) -> str:
    """The lowest of the types; FP32 that may take TF32 kernels is tf32. UnavailableError when there is no type."""
    lowest = lowest_precision(types)
    return TF32 if lowest == FP32 and tf32 else lowest
