"""Tensors inside the ONNX graph on a runtime: a variant of the model has those as outputs that are asked for."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx_ir as ir

from convert import artifact as artifacts
from convert.artifact import ONNX_FILE, Artifact
from convert.common.disk.files import sha256_files
from convert.common.errors import CheckFailed
from convert.common.worker import JobError
from convert.manifest import FileEntry, Port
from runtimes.base import Options, Runtime
from runtimes.infer import infer_all
from runtimes.records.parts import Effective
from validate.bisect.onnx_graph import DATA_FILE, OnnxGraph

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
            if self.runtime.intermediate and len(tensors) > 1:
                # Adapters take the first output for the logits; where there is but one, it is whatever is asked for.
                files = self._run(list(dict.fromkeys([self.graph.output, *tensors])), Path(name))
                # A runtime that sees that a copy is one may give it the name of the tensor itself.
                found = {tensor: files[one] for tensor in tensors for one in (tensor + _COPY, tensor) if one in files}
            # One that sees that two outputs are the same may give them one name: such a tensor is asked for alone.
            for i, tensor in enumerate(tensor for tensor in tensors if tensor not in found):
                alone = Path(name, f"alone-{i}")
                alone.mkdir()
                (found[tensor],) = self._run([tensor], alone).values()
            yield found

    def _run(self, tensors: list[str], folder: Path) -> dict[str, Path]:
        """Every output of a variant, by the name that the runtime has for it."""
        variant = self.variant(tensors)
        options = replace(self.options, cache=None)  # engines of variants are of no use to anybody later
        try:
            files, self.effective = infer_all(variant, self.runtime.name, options, self.images, folder)
        except JobError as error:
            what = tensors[0] if len(tensors) == 1 else f"{len(tensors)} tensors"
            what = f"{self.runtime.name} does not run it with {what} as output"
            raise CheckFailed(f"{self.artifact.model}: {what}: {error}") from None
        self.sessions += 1
        return files

    def variant(self, tensors: Sequence[str]) -> Artifact:
        """Write the model that computes these tensors, in their order, into the graph's folder, as an artifact."""
        folder = self.graph.folder
        part = ir.convenience.extract(self.graph.model.graph, [self.graph.input], tensors)
        one = ir.node("Constant", [], {"value": ir.tensor(np.float32(1), name=_ONE)})
        part.append(one)
        for i, value in enumerate(list(part.outputs)):
            if value.name != self.graph.output:
                source = value
                if value.dtype not in (None, ir.DataType.FLOAT):
                    part.append(ir.node("Cast", [value], {"to": ir.DataType.FLOAT}))
                    (source,) = part[-1].outputs
                part.append(ir.node("Mul", [source, one.outputs[0]]))
                (copy,) = part[-1].outputs
                copy.name, copy.shape, copy.dtype = f"{value.name}{_COPY}", value.shape, ir.DataType.FLOAT
                part.outputs[i] = copy
        ir.save(self.graph.model_of(part), folder / ONNX_FILE)
        ports = [Port(str(value.name), "float32", _dims(value)) for value in part.outputs]
        ir.save(self.graph.model_of(part), folder / ONNX_FILE)
        files = [file for name in (ONNX_FILE, DATA_FILE) if (file := folder / name).exists()]
        hashes = zip(files, sha256_files(files), strict=True)
        entries = {file.name: FileEntry(file.stat().st_size, digest) for file, digest in hashes}
        # What a lower precision was made from is not beside the variant: it is read as it is.
        described = replace(self.artifact.manifest, files=entries, outputs=tuple(ports), class_names=None, base=None)
        return artifacts.save(folder, described)


def _dims(value: ir.Value) -> tuple[int | str, ...]:
    """The shape of an output; (1,) where it is not known, which is what a scalar has too."""
    return tuple(size if isinstance(size, int) else "batch" for size in value.shape or ()) or (1,)
