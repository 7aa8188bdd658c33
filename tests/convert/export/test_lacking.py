"""Operators that Paddle2ONNX lacks, by their place in a program."""

from __future__ import annotations

from typing import Any

from convert.export import lacking


def operator(name: str, reads: list[int], struct: str | None = None) -> dict[str, Any]:
    place = [{"AT": {"#": "0.a_str", "D": struct}, "N": "struct_name"}] if struct else []
    return {"#": name, "A": place, "I": [{"%": value} for value in reads], "O": [{"%": 90}]}


def parameter(number: int, name: str) -> dict[str, Any]:
    return {"#": "p", "A": [0, 1, 0, name], "O": {"%": number}}


def test_only_what_is_lacking_is_named_once_with_how_often() -> None:
    program = [
        parameter(1, "conv.w"),
        operator("1.data", []),
        operator("1.conv2d", [90, 1]),
        operator("0.combine", [90]),
        operator("1.fold", [90], "/Net/Block/"),
        operator("1.relu_", [90], "/Net/Block/"),
        operator("1.fold", [90], "/Net/Head/"),
    ]
    assert lacking.described(program, {"conv2d", "relu"}) == ["fold, 2 times, first in /Net/Block/"]
    assert lacking.described(program, {"conv2d", "relu", "fold"}) == []


def test_without_the_name_of_a_layer_the_last_weight_tells_where() -> None:
    """Programs of Paddle before 3 do not say the layer."""
    program = [
        parameter(1, "conv2d_0.w_0"),
        parameter(2, "conv2d_1.w_0"),
        operator("1.sort", []),
        operator("1.conv2d", [90, 1]),
        operator("1.fold", [90]),
        operator("1.conv2d", [90, 2]),
    ]
    assert lacking.described(program, {"conv2d"}) == ["sort at the beginning", "fold behind the layer of conv2d_0.w_0"]
