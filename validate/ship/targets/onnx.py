"""The ONNX file, for ONNX Runtime and whatever else reads it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from convert.artifact import Artifact
from convert.precision.portability import PORTABLE
from convert.precision.table import BF16, FP16, FP32, INT8
from runtimes.base import Setting
from validate.ship.target import THREADS, Target, copy_onnx, threads_line


class OnnxTarget(Target):
    """`model.onnx`, with `model.onnx.data` where one file would be too large."""

    name = "onnx"
    purpose = "ONNX Runtime on any device, TensorRT, and whatever else reads ONNX"
    runtime = "ort-cpu"
    precisions: ClassVar[tuple[str, ...]] = (FP32, FP16, BF16, INT8)
    settings: ClassVar[Mapping[str, Setting]] = {"threads": THREADS}
    order = 10

    def write(self, artifact: Artifact, folder: Path, settings: Mapping[str, str]) -> None:
        """Copy the artifact's file, and its weights where they are in another one."""
        copy_onnx(artifact, folder)

    def readme(self, artifact: Artifact, settings: Mapping[str, str]) -> str:
        (source,), (result,) = artifact.manifest.inputs, artifact.manifest.outputs
        more = _of_int8(artifact) if artifact.precision == INT8 else ""
        threads = threads_line(settings, "options.intra_op_num_threads = {}")
        return f"""\
```python
import onnxruntime as ort

options = ort.SessionOptions()
{threads}{more}session = ort.InferenceSession("model.onnx", options, providers=["CPUExecutionProvider"])
(logits,) = session.run(["{result.name}"], {{"{source.name}": images}})
```

On a GPU name CUDAExecutionProvider, with `use_tf32` off where FP32 is to be FP32. ONNX Runtime takes all
physical cores where `options.intra_op_num_threads` does not say fewer. Opset
{artifact.manifest.opset}."""


def _of_int8(artifact: Artifact) -> str:
    """What was proven: int8 in the head too, and sums that do not saturate on processors without VNNI, where the model
    is not such that none can (`runtimes.ort.session`)."""
    saturation = artifact.manifest.saturation
    asked = [("optimization.disable_specified_optimizers", "MatMulAddFusion")]
    if saturation is None or saturation.result != PORTABLE:
        asked.append(("session.x64quantprecision", "1"))
    lines = (f'options.add_session_config_entry("{key}", "{value}")  # as in the proof\n' for key, value in asked)
    return "".join(lines)


TARGETS = (OnnxTarget(),)
