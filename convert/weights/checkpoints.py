"""Checkpoint files: the tensors in them by name, without Paddle, PyTorch or JAX, and without running what they hold."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from convert.common import typed, worker
from convert.common.errors import InputError
from convert.weights.files import load
from convert.weights.files.index import FileIndex
from convert.weights.tensors import Stored

_SECONDS = 120.0  # to look into a file; it is scan.py that has the narrower limits

# The kinds of file and the suffixes that they usually have.
SUFFIXES = {
    "pickle": (".pdparams", ".pdema"),
    "torch": (".pth", ".pt", ".pth.tar", ".bin", ".ckpt"),
    "safetensors": (".safetensors",),
    "npz": (".npz",),
}
_WORDS = {"pickle": "a pickle of arrays, as Paddle writes", "torch": "a file of PyTorch", "npz": "an npz of numpy"}


@dataclass(frozen=True)
class StateTable:
    """A dictionary of tensors in a file. key: where, `model.ema`; empty for the file itself. others: entries that are
    no tensors, and what they are in a word."""

    key: str
    tensors: Mapping[str, Stored]
    others: Mapping[str, str]


@dataclass(frozen=True)
class Checkpoint:
    """kind: of SUFFIXES, by its content. entries: of the file's own dictionary, where that holds other ones. unread:
    classes of Python objects in it that were not built."""

    path: Path
    kind: str
    tables: tuple[StateTable, ...]
    entries: tuple[str, ...]
    unread: tuple[str, ...]


def _looked_into(path: Path) -> Any:
    return worker.call("convert.weights.files.scan:run_job", {"path": str(path.absolute())}, _SECONDS)


def read(path: Path, look: Callable[[Path], Any] = _looked_into) -> Checkpoint:
    """What a file holds. InputError when it is no checkpoint, or cannot be read.

    look: gives the `FileIndex` as JSON types; in a process of its own, unless that would take too long to start.
    """
    try:
        answer = look(path)
    except InputError as error:
        raise InputError(f"{path}: {error.message}") from None
    except worker.JobError as error:
        raise InputError(f"{path}: damaged or hostile: looking into it was given up ({error}); get it anew") from None
    index = typed.read(FileIndex, answer)
    tables = tuple(
        StateTable(one.key, {name: load.stored(path, tensor) for name, tensor in one.tensors.items()}, one.others)
        for one in index.dicts
    )
    return Checkpoint(path, index.kind, tables, index.entries, index.unread)


def misnamed(path: Path, kind: str) -> str:
    """What a file is whose suffix says something else, in a clause; empty where it says nothing else."""
    name = path.name.lower()
    if name.endswith(SUFFIXES[kind]) or not name.endswith(tuple(one for each in SUFFIXES.values() for one in each)):
        return ""
    return f"whatever its name says, it is {_WORDS.get(kind, f'a {kind} file')}"


def explain(error: Exception) -> str:
    """An exception in a few words on one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]
