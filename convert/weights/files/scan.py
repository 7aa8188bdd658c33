"""Look into a checkpoint file, in a process of its own with little memory and time, and say which tensors are where."""

from __future__ import annotations

import gc
import os
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from convert.common.errors import InputError
from convert.weights.files import archives, recognise, torch_file
from convert.weights.files.index import DictIndex, FileIndex, NotReadError, TensorIndex, bounded, checked_shape
from convert.weights.files.reader import Budget, Reader
from convert.weights.files.stand_ins import Dict, Inert, NDArray, RefusedError, Text, View
from convert.weights.files.unpickle import load

MEMORY = 1 << 30  # bytes, beyond those of the fresh process
SECONDS = 60  # of processor time
_DEPTH = 2  # of dictionaries in the file's own in which state dicts are looked for: {"model": {"ema": {...}}}

# What PaddleClas' files hold beside tensors. The second one says how tensors too large for an old pickle were cut up
# (paddle/framework/io_utils.py, `_unpack_saved_dict`).
_NAME_TABLE = "StructuredToParameterName@@"
_CUT_UP = "UnpackBigParamInfor@@"

_WORDS = {int: "a number", float: "a number", bool: "a number", Text: "a text", list: "a list", Dict: "a table"}


def run_job(payload: dict[str, Any]) -> dict[str, Any]:
    """The `FileIndex` of the file at `path`, as JSON types.

    InputError, whose message is a clause about the file, when it is no checkpoint.
    """
    _limit()
    gc.disable()  # a pickle of a million objects would spend its time in it, and this process is short
    return asdict(index(Path(payload["path"])))


def index(path: Path) -> FileIndex:
    """`run_job` without limits of memory and time."""
    try:
        with path.open("rb") as stream:
            head = stream.read(recognise.HEAD)
        words = recognise.no_weights(head, path.stat().st_size)
        if words:
            raise InputError(words)
        return bounded(_index(path, head))
    except RefusedError as error:
        raise InputError(
            f"refused, none of its code was run: {_printable(str(error))}, and weights need nothing but arrays; "
            "save the bare state dict, or use a file that you trust more"
        ) from None
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror or error})") from None
    except InputError as error:
        raise InputError(_printable(error.message)) from None
    except MemoryError:
        raise InputError("reading it takes more memory than any checkpoint does; get it anew") from None
    except Exception as error:  # a damaged file can make its reader raise anything
        raise InputError(f"damaged, or no file of weights ({_said(error)}); get it anew") from None


def _said(error: Exception) -> str:
    if isinstance(error, NotReadError):
        return _printable(str(error))
    return _printable(f"{type(error).__name__}: {str(error)[:200]}")


def _printable(text: str) -> str:
    """Words of which some are out of the file, fit for one line."""
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text[:500])


def _limit() -> None:
    """Have the system end this process where it takes more than a checkpoint can need."""
    with suppress(ImportError, OSError, ValueError):
        import resource

        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        resource.setrlimit(resource.RLIMIT_AS, (pages * os.sysconf("SC_PAGE_SIZE") + MEMORY, resource.RLIM_INFINITY))
    with suppress(ImportError, OSError, ValueError):
        import resource

        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS + 1))


def _index(path: Path, head: bytes) -> FileIndex:
    budget = Budget()
    if head.startswith(b"PK\x03\x04"):
        members = archives.members(path)
        mains = torch_file.pickles(members)
        if len(mains) == 1:
            content, reader, place = torch_file.read_zip(path, members, mains[0], budget)
            return _of_pickle("torch", content, reader, place)
        if members and all(name.endswith(".npy") for name in members):
            return archives.npz(path, members)
        shown = ", ".join(ascii(name[:60]) for name in list(members)[:3])
        raise InputError(f"a zip archive of other files ({shown} ...), not weights; unpack it and give the file inside")
    if recognise.is_safetensors(head, path.stat().st_size):
        return archives.safetensors(path)
    with path.open("rb") as stream:
        reader = Reader(stream, 0, path.stat().st_size, budget)
        content = load(reader)
        if content == torch_file.MAGIC:
            content, place = torch_file.read_legacy(reader, load(reader))
            return _of_pickle("torch", content, reader, place)
        return _of_pickle("pickle", content, reader, None)


def _of_pickle(kind: str, content: object, reader: Reader, place: Callable[[View], TensorIndex] | None) -> FileIndex:
    """The dictionaries of tensors in a pickle's object, the outer ones first, each once."""
    if recognise.is_optimizer(content):
        raise InputError("the state of an optimizer, no weights: PaddleClas writes those to the .pdparams beside it")
    if not isinstance(content, Dict):
        raise NotReadError("it holds no state dict")
    waiting: deque[tuple[tuple[str, ...], Dict]] = deque([((), content)])
    seen = {id(content)}
    dicts = []
    while waiting:
        place_in_file, one = waiting.popleft()
        found = _dict(".".join(place_in_file), one, place)
        if found.tensors:
            dicts.append(found)
        for key, value in one.items():
            if isinstance(value, Dict) and isinstance(key, Text) and id(value) not in seen:
                seen.add(id(value))
                if len(place_in_file) < _DEPTH and key not in (_NAME_TABLE, _CUT_UP):
                    waiting.append(((*place_in_file, str(key)), value))
    if not dicts:
        keys = ", ".join(_shown(key) for key in list(content)[:5])
        raise NotReadError(f"it holds no state dict, but {keys or 'nothing'}")
    entries = tuple(_shown(key) for key in content if key not in (_NAME_TABLE, _CUT_UP))
    return FileIndex(kind, tuple(dicts), entries if len(dicts) > 1 or dicts[0].key else (), tuple(reader.unread))


def _dict(key: str, content: Dict, place: Callable[[View], TensorIndex] | None) -> DictIndex:
    tensors: dict[str, TensorIndex] = {}
    others: dict[str, str] = {}
    for name, value in content.items():
        if isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], str):
            value = value[1]  # a tensor of `paddle.save`: (name, array)
        tensor = _tensor(value, place)
        if name in (_NAME_TABLE, _CUT_UP):
            continue
        if tensor is None or not isinstance(name, str):
            word = _WORDS.get(type(value), "an object") if tensor is None else "a tensor whose name is no text"
            others[_shown(name)] = value.name if isinstance(value, Inert) else word
        else:
            tensors[str(name)] = tensor
    _join(content.get(_CUT_UP), tensors)
    return DictIndex(key, tensors, others)


def _tensor(value: object, place: Callable[[View], TensorIndex] | None) -> TensorIndex | None:
    if isinstance(value, NDArray):
        return value.index()
    return place(value) if isinstance(value, View) and place else None


def _shown(key: object) -> str:
    return str(key)[:80] if isinstance(key, (str, int)) else key.name if isinstance(key, Inert) else type(key).__name__


def _join(recipes: object, tensors: dict[str, TensorIndex]) -> None:
    """Put tensors together that were cut up."""
    if recipes is None:
        return
    if not isinstance(recipes, Dict):
        raise NotReadError("what says how tensors were cut up is no table")
    for name, recipe in recipes.items():
        slices = recipe.get("slices") if isinstance(recipe, Dict) else None
        if not isinstance(recipe, Dict) or not isinstance(name, str) or not isinstance(slices, list) or not slices:
            raise NotReadError("what says how a tensor was cut up is no list")
        parts = [tensors.pop(part, None) if isinstance(part, str) else None for part in slices]
        whole = [part for part in parts if part is not None]
        if len(whole) != len(parts) or len({part.dtype for part in whole}) != 1:
            raise NotReadError("a part of a tensor that was cut up is missing")
        shape = checked_shape(recipe.get("OriginShape"))
        tensors[str(name)] = TensorIndex(whole[0].dtype, shape, tuple(span for part in whole for span in part.spans))
