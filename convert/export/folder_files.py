"""The files of a Paddle inference model, before Paddle sees them: what is none is said in a line, what is not computed
in float32 is rewritten so that it is."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from convert.common.errors import InputError
from convert.export import retype
from convert.export.retype import BF16, FP16, FP32, UINT8, NumberType
from convert.models import InferenceFolder

_HEAD_BYTES = 512
_DATA = "1.data"
# Operators that only move values: to them the type of these means nothing.
_MOVE = {
    "assign", "cast", "concat", "data", "expand", "expand_as", "fetch", "flatten", "flip", "gather", "pad", "pad3d",
    "reshape", "shape", "shape64", "slice", "split", "split_with_num", "squeeze", "stack", "strided_slice", "tile",
    "transpose", "unsqueeze",
}  # fmt: skip


@dataclass(frozen=True)
class FloatModel:
    """An inference model in float32. bytes_in: whether its input was uint8, so that it takes pixels from 0 to 255 now.

    notes: what was rewritten, in words.
    """

    program: Path
    bytes_in: bool
    notes: tuple[str, ...]


def read(source: InferenceFolder, folder: Path) -> FloatModel:
    """The model of a folder, rewritten into another where it is not in float32. InputError when a file is damaged."""
    for file in (source.program, source.params):
        _look(file)
    try:
        count = retype.copy_parameters(source.params, None, {})
    except (ValueError, EOFError) as error:
        raise InputError(f"cannot read {source.params}: damaged, or no parameters ({error}); get it anew") from None
    if source.program.suffix != ".json":
        return FloatModel(source.program, False, ())
    program = _parsed(source.program)
    wanted = retype.count_parameters(program)
    if count != wanted:
        raise InputError(
            f"{source.params}: {count} parameters where {source.program.name} has {wanted}: they are not of one "
            "export, or one of them is cut; get both anew"
        )
    return _in_float32(source, program, folder)


def _look(file: Path) -> None:
    """InputError where a file is what came instead of the file that was meant."""
    try:
        with file.open("rb") as stream:
            head = stream.read(_HEAD_BYTES).lstrip().lower()
    except OSError as error:
        raise InputError(f"{file}: cannot be read ({error.strerror})") from None
    if head.startswith(b"version https://git-lfs"):
        raise InputError(f"{file}: a Git LFS pointer, not the file: `git lfs pull` in its repository gets it")
    if head.startswith((b"<!doctype html", b"<html")):
        raise InputError(f"{file}: a web page, not the file: download the file itself")
    if not head:
        raise InputError(f"{file}: empty; get it anew")


def _parsed(file: Path) -> Any:
    try:
        program = json.loads(file.read_bytes())
    except (ValueError, RecursionError) as error:
        raise InputError(f"cannot read {file}: no JSON, or a damaged one ({error}); get it anew") from None
    if not isinstance(program, dict) or not isinstance(program.get("program"), dict):
        raise InputError(f"cannot read {file}: JSON, but no program of Paddle 3 (`paddle.jit.save` writes it)")
    return program


def _in_float32(source: InferenceFolder, program: Any, folder: Path) -> FloatModel:
    data = source.program.read_bytes()
    if not any(f'"{kind.pir}"'.encode() in data for kind in (BF16, FP16, UINT8)):  # most, and large ones take long
        return FloatModel(source.program, False, ())
    operators = list(retype.operators(program["program"]))
    types, notes = dict[NumberType, NumberType](), list[str]()
    for half in (BF16, FP16):
        if any(_gives(operator, half) for operator in operators):
            types[half] = FP32
            notes.append(f"exported in {half.name}: it has the same weights here, and computes in FP32")
    bytes_in = any(operator["#"] == _DATA and _gives(operator, UINT8) for operator in operators)
    if bytes_in:
        _check_bytes(source.program, operators)
        types[UINT8] = FP32
        notes.append(
            "the input is uint8, its normalisation is inside: here it is float32 and takes the same pixels, 0 to 255"
        )
    if not types:
        return FloatModel(source.program, False, ())
    target = folder / source.program.name
    target.write_text(json.dumps(retype.rewrite(program, types)), encoding="utf-8")
    with target.with_suffix(source.params.suffix).open("wb") as stream:
        retype.copy_parameters(source.params, stream, types)
    return FloatModel(target, bytes_in, tuple(notes))


def _gives(operator: dict[str, Any], kind: NumberType) -> bool:
    """Whether an operator's output, or the parameter that it stands for, is of a type."""
    return f'"{kind.pir}"' in json.dumps(operator["O"])


def _check_bytes(file: Path, operators: Sequence[dict[str, Any]]) -> None:
    """InputError where the program computes with whole numbers of 8 bits, which would be another thing in float32."""
    given = [value for operator in operators if _gives(operator, UINT8) for value in _values(operator["O"])]
    values = {value["%"] for value in given if "%" in value}
    for operator in operators:
        name = str(operator["#"]).partition(".")[2].rstrip("_")
        if name not in _MOVE and any(value.get("%") in values for value in _values(operator.get("I"))):
            raise InputError(
                f"{file}: the input is uint8, and the program computes with it as such ({name}): export the model with "
                "a float32 input, or with a cast to float32 right behind its input"
            )


def _values(node: Any) -> list[dict[str, Any]]:
    """The values that stand as inputs or outputs of an operator: one, or a list of them."""
    return [value for value in (node if isinstance(node, list) else [node]) if isinstance(value, dict)]
