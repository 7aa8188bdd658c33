"""Fill an artifact's folder: the Paddle program, the ONNX graph and one set of weights for both.

The graph and the weights come apart and stay apart as long as possible. Paddle and Paddle2ONNX see an architecture
without numbers, in a process of their own; meanwhile the weights are written for Paddle one by one, and then, read
from there, into the ONNX file. So converting takes no more memory than its largest tensor and Paddle's import.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from convert.artifact import ONNX_FILE, PADDLE_PARAMS, PADDLE_PROGRAM
from convert.common import worker
from convert.common.disk import scratch
from convert.common.errors import GraphError, InputError, shown
from convert.common.progress import bar
from convert.export import constants, counts, folder_files, graph, onnx_file, pdiparams_file
from convert.export.rewrite import apply
from convert.families.base import ModelSpec, Rewrite
from convert.manifest import LOGITS, Counts, MacCounts, Port
from convert.models import InferenceFolder
from convert.weights.tensors import StateDict

Shapes = dict[str, tuple[int, ...]]
_GRAPH = "graph.onnx"
_NOTE = 20_000  # characters; names out of a file may be in it


@dataclasses.dataclass(frozen=True)
class Assembled:
    """What was made: the fields of a manifest that follow from the model."""

    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    macs: MacCounts
    parameters: Counts
    notes: tuple[str, ...]
    rewrites: Mapping[str, int]
    head: str = LOGITS
    image_size: int | None = None
    raw_pixels: bool = False


def from_spec(spec: ModelSpec, state: StateDict, folder: Path, opset: int) -> Assembled:
    """Export a spec and attach its weights. GraphError, JobError or InputError (weights) when that fails."""
    # Paddle reads the parameter file in the order of sorted names.
    shapes: Shapes = {name: state.tensors[name].shape for name in sorted(state.tensors)}
    job = {"spec": spec.table(), **_paths(folder), "opset": opset}
    with ThreadPoolExecutor(1) as pool, bar("writing weights", 2 * _bytes(shapes), unit="bytes") as advance:
        export = pool.submit(worker.call, "convert.export.program:export_spec", job)
        written = pdiparams_file.write(
            folder / PADDLE_PARAMS, shapes, _counted(lambda name: state.tensors[name].read(), advance)
        )
        export.result()
        plain = graph.tidy(_take(folder), shapes)
        graph.check_spec(plain, spec)
        model, made = apply.rewrite(plain)
        apply.check_counts(made, spec)
        graph.check_spec(model, spec)
        graph.check_form(model, spec)
        _write(folder, model, shapes, _counted(written.read, advance))
    notes = [*filter(None, [state.origin.note]), *state.notes, *spec.remarks()]
    return _assembled(plain, model, shapes, notes, made)


def from_folder(source: InferenceFolder, folder: Path, opset: int, image_size: int | None = None) -> Assembled:
    """Export a Paddle inference model. GraphError, JobError or InputError (its files, what it is) when that fails.

    image_size: pixels of each side that the model leaves open.
    """
    with bar("converting", None), scratch.folder() as work:
        floats = folder_files.read(source, work)
        job = {
            "program": str(floats.program.resolve()),
            "place": str(source.program),
            "image_size": image_size,
            **_paths(folder),
            "opset": opset,
        }
        exported = _exported(job, source)
        model, batch = _take(folder), exported["batch"]
        try:
            arrays = graph.detach_weights(model, set(exported["parameters"]))
        except InputError as error:
            raise InputError(f"{source.params}: {error.message}") from None
        shapes: Shapes = {name: array.shape for name, array in arrays.items()}
        graph.declare(model, shapes)
        plain = graph.tidy(constants.evaluated(model), shapes, batch)
        graph.check_interface(plain, batch=batch)
        if exported["image_size"] is not None:
            _try_size(plain, exported["image_size"])
        model, rewrites = apply.rewrite(plain)
        read = {name for node in model.graph.node for name in node.input}
        shapes = {name: shape for name, shape in shapes.items() if name in read}  # not what was folded away or unused
        _write(folder, model, shapes, lambda name: arrays[name])
    made = _assembled(plain, model, shapes, [*floats.notes, *exported["notes"]], rewrites)
    return dataclasses.replace(
        made, head=exported["head"], image_size=exported["image_size"], raw_pixels=floats.bytes_in
    )


def _exported(job: dict[str, Any], source: InferenceFolder) -> Any:
    """InputError where Paddle2ONNX fails and the program has operators that it lacks."""
    try:
        return worker.call("convert.export.program:export_folder", job)
    except worker.JobError:
        program = Path(job["folder"]) / Path(PADDLE_PROGRAM).name
        found = worker.call("convert.export.lacking:run_job", {"program": str(program)}) if program.is_file() else []
        if found:
            raise InputError(
                f"{source.program}: Paddle2ONNX has no conversion for {'; for '.join(found)}: export the model without"
                " what needs it, or with another layer in its place"
            ) from None
        raise


def _try_size(plain: onnx.ModelProto, size: int) -> None:
    """InputError where a model that leaves the size of its input open does not run at the one that was given."""
    try:
        constants.shapes(plain, [graph.OUTPUT])
    except GraphError:
        raise InputError(
            f"--image-size {size}: the model does not run at that size, though its input is open; give the one that it "
            "was trained for"
        ) from None


def _paths(folder: Path) -> dict[str, str]:
    program = folder / PADDLE_PROGRAM
    program.parent.mkdir()
    return {"folder": str(program.parent.resolve()), "onnx": str((folder / _GRAPH).resolve())}


def _take(folder: Path) -> onnx.ModelProto:
    file = folder / _GRAPH
    model = onnx.load(file)
    file.unlink()
    return model


def _write(folder: Path, model: onnx.ModelProto, shapes: Shapes, read: Callable[[str], np.ndarray]) -> None:
    onnx_file.write(folder / ONNX_FILE, graph.without_declared(model), shapes, read)


def _counted(read: Callable[[str], np.ndarray], advance: Callable[[int], None]) -> Callable[[str], np.ndarray]:
    def counted(name: str) -> np.ndarray:
        array = read(name)
        advance(array.nbytes)
        return array

    return counted


def _bytes(shapes: Shapes) -> int:
    return sum(4 * int(np.prod(shape)) for shape in shapes.values())


def _assembled(
    plain: onnx.ModelProto, model: onnx.ModelProto, shapes: Shapes, notes: list[str], rewrites: Mapping[Rewrite, int]
) -> Assembled:
    """plain: the graph before it was rewritten, whose multiply-accumulates are the model's."""
    try:
        counted, computed = counts.count_macs(plain, shapes), counts.count_macs(model, shapes).total
        macs = MacCounts(published=counted.published, total=counted.total, computed=computed)
    except GraphError as error:  # a figure for reports: no reason to refuse the model
        macs = MacCounts(published=None, total=None)
        notes = [*notes, f"multiply-accumulates are not counted: {error}"]
    return Assembled(
        inputs=(_port(model.graph.input[0]),),
        outputs=(_port(model.graph.output[0]),),
        macs=macs,
        parameters=counts.count_parameters(shapes),
        notes=tuple(shown(note, _NOTE) for note in notes),
        rewrites={kind.value: count for kind, count in rewrites.items()},
    )


def _port(value: onnx.ValueInfoProto) -> Port:
    dims = value.type.tensor_type.shape.dim
    return Port(value.name, "float32", tuple(dim.dim_param or dim.dim_value for dim in dims))
