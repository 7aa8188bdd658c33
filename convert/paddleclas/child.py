"""The side that runs PaddleClas' code, in a process of its own: its model, the user's weights, its export."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from convert.common.errors import InputError, listing
from convert.paddleclas import stand_ins
from convert.weights import checkpoints
from convert.weights.tensors import Array, Stored

_BFLOAT16 = "uint16"  # as Paddle writes it


def run_job(job: dict[str, Any]) -> dict[str, Any]:
    """Export a model into a folder. job: {checkout, config, weights, key, folder}, absolute paths; key may be null.

    The file is read as data: PaddleClas' own loader would run what a hostile one holds, and pass over what does not
    fit. Returns {notes}. InputError names tensors that are missing, unexpected or of another shape.
    """
    checkout, folder = job["checkout"], job["folder"]
    stand_ins.install()
    sys.path.insert(0, checkout)
    os.chdir(checkout)  # its configurations name files from there
    notes: list[str] = []
    engine = _engine(job["config"], folder)
    state = _state(Path(job["weights"]), job["key"], engine.model.state_dict())
    classes = _other_classes(engine, state)
    if classes is not None:
        notes.append(f"a head of {classes} classes, by the file's shapes")
        engine = _engine(job["config"], folder, classes)
    notes += _fill(engine.model, state, job["weights"])
    engine.export()
    return {"notes": notes}


def _engine(config: str, folder: str, classes: int | None = None) -> Any:
    read = importlib.import_module("ppcls.utils.config").get_config(config, show=False)
    own = {"save_inference_dir": folder, "output_dir": f"{folder}/log", "device": "cpu", "pretrained_model": None}
    read["Global"].update(own, export_for_fd=True)
    if "pretrained" in read["Arch"]:  # it would be downloaded
        read["Arch"]["pretrained"] = False
    if classes is not None:
        read["Arch"]["class_num"] = classes
    return importlib.import_module("ppcls.engine.engine").Engine(read, mode="export")


def _state(path: Path, key: str | None, wanted: Mapping[str, Any]) -> dict[str, Stored]:
    """The tensors of the state dict in a file: that of `key`, else the one that has most of the names."""
    tables = [table for table in checkpoints.read(path).tables if key is None or table.key == key]
    if not tables:
        raise InputError(f"{path}: --weights-key {key}: there is no such state dict")
    return dict(max(tables, key=lambda table: len(wanted.keys() & table.tensors.keys())).tensors)


def _other_classes(engine: Any, state: Mapping[str, Stored]) -> int | None:
    """The number of classes of a file where all that does not fit is that number; None where it fits, or nothing is
    to be done."""
    before = engine.config["Arch"].get("class_num")
    found: set[int] = set()
    for name, tensor in engine.model.state_dict().items():
        shape = tuple(tensor.shape)
        if name in state and state[name].shape != shape:
            pairs = list(zip(shape, state[name].shape, strict=False))
            found |= {theirs for ours, theirs in pairs if ours != theirs and ours == before} or {-1}
    return found.pop() if len(found) == 1 and -1 not in found else None


def _fill(model: Any, state: Mapping[str, Stored], weights: str) -> list[str]:
    """Set all of a model's parameters, and what is to be said of the rest."""
    wanted = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    parameters = {name for name, _ in model.named_parameters()}
    missing = [f"missing {name}" for name in wanted if name in parameters and name not in state]
    unexpected = [f"unexpected {name}" for name in state if name not in wanted and not name.endswith(_CONSTANTS)]
    shapes = [
        f"{name} is {state[name].shape} instead of {shape}"
        for name, shape in wanted.items()
        if name in state and state[name].shape != shape
    ]
    if wrong := [*missing, *unexpected, *shapes]:
        raise InputError(f"{weights}: does not hold the tensors of PaddleClas' model: {listing(wrong, 5)}")
    model.set_state_dict({name: _loaded(state[name], name, weights) for name in wanted if name in state})
    kept = [name for name in wanted if name not in state]
    return [f"not in the file, and as PaddleClas' code sets it: {listing(kept, 3)}"] if kept else []


# What some versions of PaddleClas store, and others compute.
_CONSTANTS = ("relative_position_index", "relative_position_bias", "attn_mask", "num_batches_tracked")


def _loaded(stored: Stored, name: str, weights: str) -> Array:
    array = (stored.as_bfloat16() if stored.dtype == _BFLOAT16 else stored).load()
    if array.dtype.kind not in "iub":
        array = array.astype(np.float32)
        if not np.isfinite(array).all():
            raise InputError(f"{weights}: {name} holds NaN or infinite values as float32; it is no usable model")
    return array
