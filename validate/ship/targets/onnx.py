"""The ONNX file, for ONNX Runtime and whatever else reads it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from convert.artifact import Artifact
from convert.precision.table import BF16, FP16, FP32, INT8
from validate.ship.target import Target, copy_onnx


class OnnxTarget(Target):
    """`model.onnx`, with `model.onnx.data` where one file would be too large."""

    name = "onnx"
    purpose = "ONNX Runtime on any device, TensorRT, and whatever else reads ONNX"
    runtime = "ort-cpu"
    precisions: ClassVar[tuple[str, ...]] = (FP32, FP16, BF16, INT8)
    order = 10

    def write(self, artifact: Artifact, folder: Path, settings: Mapping[str, str]) -> None:
        """Copy the artifact's file, and its weights where they are in another one."""
        copy_onnx(artifact, folder)

    def readme(self, artifact: Artifact, settings: Mapping[str, str]) -> str:
        """See Target."""
        (source,), (result,) = artifact.manifest.inputs, artifact.manifest.outputs
        # What was proven: without it int8 sums saturate on processors without VNNI.
        of_int8 = 'options.add_session_config_entry("session.x64quantprecision", "1")  # as in the proof\n'
        more = of_int8 if artifact.precision == INT8 else ""
        return f"""\
```python
import onnxruntime as ort

options = ort.SessionOptions()
options.intra_op_num_threads = 4  # physical cores; without it, all of them
{more}session = ort.InferenceSession("model.onnx", options, providers=["CPUExecutionProvider"])
(logits,) = session.run(["{result.name}"], {{"{source.name}": images}})
```

On a GPU name CUDAExecutionProvider, with `use_tf32` off where FP32 is to be FP32. Opset {artifact.manifest.opset}."""


TARGETS = (OnnxTarget(),)
