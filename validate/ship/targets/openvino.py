"""OpenVINO's own form, the intermediate representation: a graph in XML and its weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from convert.artifact import OPENVINO_FILE, Artifact
from convert.common import worker
from convert.precision.table import BF16, FP16, FP32, INT8
from runtimes.adapters.openvino import HINTS, OPENVINO
from runtimes.base import Effective, Setting
from validate.ship.target import THREADS, Target, threads_line

_HINT = "INFERENCE_PRECISION_HINT"


class OpenVinoTarget(Target):
    """`model.xml` and `model.bin`. In fp16 and bf16 OpenVINO computes lower on FP32 weights, as in the bench."""

    name = "openvino"
    purpose = "OpenVINO on Intel and other processors"
    runtime = "openvino"
    precisions: ClassVar[tuple[str, ...]] = (FP32, FP16, BF16, INT8)
    settings: ClassVar[Mapping[str, Setting]] = {"threads": THREADS}
    order = 20

    def refusal(self, artifact: Artifact, settings: Mapping[str, str]) -> str | None:
        """See Target: OpenVINO itself writes its form."""
        return None if (reason := OPENVINO.unavailable()) is None else f"OpenVINO itself writes it: {reason}"

    def write(self, artifact: Artifact, folder: Path, settings: Mapping[str, str]) -> None:
        """OpenVINO reads the file that its adapter reads, and saves it; in a process of its own."""
        source = artifact.onnx if artifact.precision == INT8 else artifact.fp32.onnx
        worker.call("validate.ship.targets.openvino:save", {"onnx": str(source), "xml": str(folder / OPENVINO_FILE)})

    def left_out(self, artifact: Artifact, options: Mapping[str, str], effective: Effective) -> list[str]:
        """See Target: by what OpenVINO reported, since the adapter sets some of it unasked."""
        found = [f"isa={options['isa']}"] if "isa" in options else []
        hint = effective.details.get(_HINT, _hint(artifact))
        found += [f"{_HINT}={hint}"] if hint != _hint(artifact) else []
        asked, used = options.get("partitioner"), effective.details.get("partitioner")
        if used and asked != "default" and (asked or artifact.precision != FP32):
            found.append(f"TBB_PARTITIONER={used.rpartition('.')[2]}")
        shape = effective.details.get("input_shape", "?")
        if "?" not in shape and not isinstance(artifact.manifest.inputs[0].shape[0], int):
            found.append(f"input_shape={shape}")
        return found

    def readme(self, artifact: Artifact, settings: Mapping[str, str]) -> str:
        int8 = artifact.precision == INT8
        threads = threads_line(settings, 'settings["INFERENCE_NUM_THREADS"] = {}')
        hint = _hint(artifact)
        of_int8 = "\n`vitbench check` has what is not int8 in bf16 where the processor can (hint bf16)."
        return f"""\
```python
import openvino as ov

settings = {{"{_HINT}": "{hint}", "PERFORMANCE_HINT": "LATENCY"}}
{threads}model = ov.Core().compile_model("model.xml", "CPU", settings)
logits = model(images)[0]
```

Keep the precision hint: without it OpenVINO computes FP32 models in bf16 on processors that can. It
takes all physical cores where `INFERENCE_NUM_THREADS` does not say fewer. `model.bin` stays beside
`model.xml`.{of_int8 if int8 else ""}"""


def _hint(artifact: Artifact) -> str:
    """The hint of README.md. What is not int8 stays FP32 there."""
    return HINTS[FP32 if artifact.precision == INT8 else artifact.precision]


def save(job: dict[str, str]) -> None:
    """The other side of `write`. Without compress_to_fp16 the weights stay what they are."""
    import openvino as ov

    ov.save_model(ov.Core().read_model(job["onnx"]), job["xml"], compress_to_fp16=False)


TARGETS = (OpenVinoTarget(),)
