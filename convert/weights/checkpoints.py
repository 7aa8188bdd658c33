"""Checkpoint files: the tensors in them by name, without Paddle, PyTorch or JAX, and without running what they hold."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any, cast

import ml_dtypes  # noqa: F401 - gives numpy bfloat16
import numpy as np
from safetensors import safe_open

from convert.common.errors import InputError
from convert.families.base import Layout, ModelSpec
from convert.weights import torch_file, unpickle
from convert.weights.tensors import Array, Stored

# What PaddleClas' files hold beside tensors. The second one says how tensors too large for an old pickle were cut up
# (paddle/framework/io_utils.py, `_unpack_saved_dict`).
_NAME_TABLE = "StructuredToParameterName@@"
_CUT_UP = "UnpackBigParamInfor@@"

_SAFETENSORS_DTYPES = {"F16": "float16", "BF16": "bfloat16", "F32": "float32", "F64": "float64"}


@dataclass(frozen=True)
class Format:
    """A kind of file: how its tensors are found, and which layout they have."""

    read: Callable[[Path], dict[str, Stored]]
    layout: Callable[[ModelSpec], Layout | None]


def read(path: Path) -> Mapping[str, Stored]:
    """The tensors of a file of one of FORMATS by the names they have there. InputError when it cannot be read."""
    suffix = path.suffix.lower()
    try:
        return FORMATS[suffix].read(path)
    except unpickle.RefusedError as error:
        raise InputError(
            f"{path}: refused, none of its code was run: {error}, and weights need nothing but arrays; "
            "save the bare state dict, or use a file that you trust more"
        ) from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None
    except Exception as error:  # a damaged file can make its reader raise anything
        raise InputError(f"{path}: damaged, or no {suffix} file ({explain(error)}); get it anew") from None


def explain(error: Exception) -> str:
    """An exception in a few words on one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]


def read_pdparams(path: Path) -> dict[str, Stored]:
    """`paddle.save` of a state dict: a pickle of arrays, or of (name, array) pairs."""
    with path.open("rb") as stream:
        content = unpickle.load(stream, unpickle.NUMPY)
    if not isinstance(content, dict):
        raise pickle.UnpicklingError("it holds no state dict")
    content.pop(_NAME_TABLE, None)
    cut_up = content.pop(_CUT_UP, {})
    stored = {_text(name): _array(name, value) for name, value in content.items()}
    for name, recipe in cut_up.items():
        parts = [stored.pop(part) for part in recipe["slices"]]
        shape = tuple(map(int, recipe["OriginShape"]))
        stored[_text(name)] = Stored(shape, parts[0].dtype, partial(_rejoined, parts, shape))
    return stored


def _text(name: object) -> str:
    if not isinstance(name, str):
        raise pickle.UnpicklingError(f"a tensor whose name is a {type(name).__name__}")
    return name


def _array(name: object, value: object) -> Stored:
    if isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], str):
        value = value[1]
    if not isinstance(value, unpickle.NDArray):
        raise pickle.UnpicklingError(f"its entry {str(name)[:80]!r} is no array")
    return Stored(value.shape, value.dtype, value.load)


def _rejoined(parts: list[Stored], shape: tuple[int, ...]) -> Array:
    return np.concatenate([part.load() for part in parts]).reshape(shape)


def read_safetensors(path: Path) -> dict[str, Stored]:
    """The format of the safetensors package, which maps the file into memory."""
    with safe_open(path, framework="numpy") as file:
        stored = {}
        for name in file.keys():  # noqa: SIM118 - the opened file cannot be iterated over
            view = file.get_slice(name)
            code, shape = view.get_dtype(), tuple(view.get_shape())
            stored[name] = Stored(shape, _SAFETENSORS_DTYPES.get(code, code), partial(_load_safetensor, path, name))
        return stored


def _load_safetensor(path: Path, name: str) -> Array:
    with safe_open(path, framework="numpy") as file:
        return cast(Array, file.get_tensor(name))


def read_npz(path: Path) -> dict[str, Stored]:
    """numpy's archive of arrays. Only headers are read here; an array of objects is told from its header."""
    with zipfile.ZipFile(path) as archive:
        stored = {}
        for member in archive.namelist():
            with archive.open(member) as stream:
                shape, dtype = _npy_header(stream)
            stored[member.removesuffix(".npy")] = Stored(shape, dtype.name, partial(_load_npy, path, member))
        return stored


def _npy_header(stream: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    version = np.lib.format.read_magic(stream)
    if version == (1, 0):
        shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
    else:
        shape, _, dtype = np.lib.format.read_array_header_2_0(stream)
    return shape, dtype


def _load_npy(path: Path, member: str) -> Array:
    with zipfile.ZipFile(path) as archive, archive.open(member) as stream:
        return cast(Array, np.lib.format.read_array(stream, allow_pickle=False))


FORMATS: dict[str, Format] = {
    ".pdparams": Format(read_pdparams, lambda spec: spec.paddle_layout()),
    ".safetensors": Format(read_safetensors, lambda spec: spec.pytorch_layout()),
    ".pth": Format(torch_file.read, lambda spec: spec.pytorch_layout()),
    ".pt": Format(torch_file.read, lambda spec: spec.pytorch_layout()),
    ".npz": Format(read_npz, lambda spec: spec.jax_layout()),
}
