"""Tensors inside the ONNX graph on a runtime: a variant of the model has those as outputs that are asked for."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from convert import artifact as artifacts
from convert.artifact import ONNX_FILE, Artifact
from convert.common.errors import CheckFailed
from convert.common.files import sha256_file
from convert.common.isolate import JobError
from convert.manifest import FileEntry, Port
from runtimes.base import Options, Runtime
from runtimes.infer import infer_all
from runtimes.records.parts import Effective
from validate.bisect.onnx_graph import OnnxGraph

# A tensor inside the model is given out as a copy of this ending, times one in float32: MNN computes GELU in the memory
# of its input, an output or not, and hands out tensors in layouts of its own.
_COPY = ".copy"
_ONE = "copy.one"


@dataclass
class OnnxActivations:
    """What a runtime computed inside a model. effective: as read back from it, after the first `capture`.

    images: (batch, 3, size, size), one batch. Files are kept in the graph's folder until that is removed.
    """

    graph: OnnxGraph
    artifact: Artifact
    runtime: Runtime
    options: Options
    images: np.ndarray
    effective: Effective | None = None
    sessions: int = 0

    @contextmanager
    def capture(self, tensors: Sequence[str]) -> Iterator[dict[str, Path]]:
        """The tensors as .npy files (float32), which are gone after the block.

        All in one session where the runtime gives several outputs, else one session for each. CheckFailed when the
        runtime does not run the variant.
        """
        with tempfile.TemporaryDirectory(dir=self.graph.folder, prefix="activations-") as name:
            found: dict[str, Path] = {}
            for i, group in enumerate([list(tensors)] if self.runtime.intermediate else [[one] for one in tensors]):
                folder = Path(name, str(i))
                folder.mkdir()
                found |= self._run(group, folder)
            yield found

    def _run(self, tensors: list[str], folder: Path) -> dict[str, Path]:
        if not tensors:
            return {}
        # Adapters take the first output for the logits; where there is but one, it is whatever is asked for.
        output = self.graph.output
        outputs = tensors if len(tensors) == 1 else [output, *(tensor for tensor in tensors if tensor != output)]
        variant = write(self.graph, self.artifact, outputs)
        options = replace(self.options, cache=None)  # engines of variants are of no use to anybody later
        try:
            files, self.effective = infer_all(variant, self.runtime.name, options, self.images, folder)
        except JobError as error:
            what = f"{self.runtime.name} does not run it with {_described(tensors)} as output"
            raise CheckFailed(f"{self.artifact.model}: {what}: {error}") from None
        self.sessions += 1
        if len(tensors) == 1:
            return {tensors[0]: next(iter(files.values()))}
        # A runtime that sees that a copy is one may give it the name of the tensor itself.
        names = {tensor: (output_name(self.graph, tensor), tensor) for tensor in tensors}
        found = {tensor: files[name] for tensor, both in names.items() for name in both if name in files}
        for i, tensor in enumerate(tensor for tensor in tensors if tensor not in found):
            # A runtime that sees that two outputs are the same may give them one name: it is asked for this one alone.
            alone = folder / f"alone-{i}"
            alone.mkdir()
            found |= self._run([tensor], alone)
        return found


def output_name(graph: OnnxGraph, tensor: str) -> str:
    """The name under which the variant gives a tensor."""
    return tensor if tensor == graph.output else tensor + _COPY


def write(graph: OnnxGraph, artifact: Artifact, tensors: Sequence[str]) -> Artifact:
    """Write the variant that computes these tensors and nothing beyond into the graph's folder, as an artifact."""
    model = cut(graph, tensors)
    file = graph.folder / ONNX_FILE
    file.write_bytes(model.SerializeToString())
    files = [file, *(graph.folder / name for name in graph.weights_sha256)]
    hashes = {file.name: sha256_file(file), **graph.weights_sha256}
    entries = {one.name: FileEntry(one.stat().st_size, hashes[one.name]) for one in files}
    outputs = tuple(_port(value) for value in model.graph.output)
    return artifacts.save(graph.folder, replace(artifact.manifest, files=entries, outputs=outputs))


def cut(graph: OnnxGraph, tensors: Sequence[str]) -> onnx.ModelProto:
    """The model whose outputs are these tensors, in their order, without the nodes that they do not need."""
    model = onnx.ModelProto()
    model.CopyFrom(graph.skeleton)
    needed, kept = set(tensors), []
    for node in reversed(model.graph.node):
        if needed & set(node.output):
            needed |= set(node.input)
            kept.append(node)
    nodes = list(reversed(kept))
    initializers = [tensor for tensor in model.graph.initializer if tensor.name in needed]
    initializers.append(numpy_helper.from_array(np.array(1, np.float32), _ONE))
    del model.graph.output[:], model.graph.value_info[:]
    for tensor in tensors:
        name, shape = output_name(graph, tensor), graph.shapes.get(tensor)
        if name != tensor:
            source = tensor
            if graph.types.get(tensor, TensorProto.FLOAT) != TensorProto.FLOAT:
                source = f"{name}.float"
                nodes.append(helper.make_node("Cast", [tensor], [source], to=TensorProto.FLOAT))
            nodes.append(helper.make_node("Mul", [source, _ONE], [name]))
        dims = None if shape is None else [size if size >= 0 else None for size in shape]
        model.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, dims))
    kept_nodes, kept_tensors = list(nodes), list(initializers)
    del model.graph.node[:], model.graph.initializer[:]
    model.graph.node.extend(kept_nodes)
    model.graph.initializer.extend(kept_tensors)
    return model


def _port(value: onnx.ValueInfoProto) -> Port:
    dims = value.type.tensor_type.shape.dim
    shape = tuple(dim.dim_value if dim.HasField("dim_value") else "batch" for dim in dims)
    return Port(value.name, "float32", shape or (1,))


def _described(tensors: list[str]) -> str:
    return tensors[0] if len(tensors) == 1 else f"{len(tensors)} tensors"
