"""A model repository for Triton."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from convert.artifact import ONNX_FILE, Artifact
from convert.common.disk.files import write_text
from runtimes.base import Setting
from runtimes.served.triton import FILES, VERSION, Deployment, config
from validate.ship.target import Target, copy_onnx

ASK = "vitbench check . --option served.url=http://127.0.0.1:8000"
CHECKED_LATER = "export starts no server; the second command above asks one"
THREADS = "Threads: every core, unless it was exported with `--option {}.threads=N`."
MODELS = "models"  # beside it stand README.md and proof/, which a server would take for models


class TritonTarget(Target):
    """`models/NAME/config.pbtxt` and `models/NAME/1/model.onnx`; for TensorRT without its plan, which is of one GPU."""

    name = "triton"
    purpose = "Triton Inference Server, with ONNX Runtime, OpenVINO or TensorRT behind it"
    runtime = "served"
    absent = CHECKED_LATER
    check = ASK
    settings: ClassVar[Mapping[str, Setting]] = {
        "backend": Setting("onnxruntime", "what computes", tuple(FILES)),
        "max_batch": Setting("16", "images that Triton puts into one inference at most"),
        "threads": Setting("0", "inside one operator; 0 leaves it to the backend, which takes every core"),
        "delay_us": Setting("0", "microseconds that a request waits for others to share its inference"),
    }
    order = 60

    def refusal(self, artifact: Artifact, settings: Mapping[str, str]) -> str | None:
        return None if int(settings["max_batch"]) else "max_batch=0: a whole number above zero is needed"

    def write(self, artifact: Artifact, folder: Path, settings: Mapping[str, str]) -> None:
        """Copy the artifact's ONNX file to where the backend looks, and write the configuration."""
        batch, threads, delay_us = (int(settings[name]) for name in ("max_batch", "threads", "delay_us"))
        wanted = Deployment(settings["backend"], batch, threads or None, delay_us)
        model = folder / MODELS / artifact.model
        copy_onnx(artifact, model if wanted.backend == "tensorrt" else model / VERSION)
        write_text(model / "config.pbtxt", config(artifact, wanted))

    def readme(self, artifact: Artifact, settings: Mapping[str, str]) -> str:
        backend = settings["backend"]
        notes = {
            "onnxruntime": "On a GPU: `kind: KIND_GPU`, and `use_tf32` off where FP32 is to be FP32; then check again.",
            "openvino": "The backend takes no hint for FP32: on a processor with bf16 the check tells what ran."
            " Triton puts no requests together here, since the backend would compile for one batch only.",
            "tensorrt": _trtexec(artifact, int(settings["max_batch"])),
        }
        return f"""\
```sh
tritonserver --model-repository=$PWD/{MODELS} --http-address=127.0.0.1 --allow-grpc=false --allow-metrics=false
{ASK}
```

The second line asks the server for the logits of `proof/` and holds them against Paddle's. Without `--http-address`
Triton listens everywhere. {notes[backend]} Instances and batches stand in `config.pbtxt`.
{THREADS.format("triton")}"""


def _trtexec(artifact: Artifact, most: int) -> str:
    """How the plan is made where it is to run."""
    name, model = artifact.manifest.inputs[0].name, f"{MODELS}/{artifact.model}"
    height, width = artifact.image_shape
    sizes = ((artifact.batch,) * 3) if artifact.batch else (1, min(4, most), most)
    limits = zip(("min", "opt", "max"), sizes, strict=True)
    shapes = " ".join(f"--{what}Shapes={name}:{count}x3x{height}x{width}" for what, count in limits)
    return (
        "The plan is of one GPU and one TensorRT, so it is made there before the first start:"
        f" `mkdir {model}/{VERSION} && trtexec --onnx={model}/{ONNX_FILE} --noTF32 {shapes}"
        f" --saveEngine={model}/{VERSION}/{FILES['tensorrt']}`."
    )


TARGETS = (TritonTarget(),)
