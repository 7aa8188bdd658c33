"""A model repository for Triton."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import ClassVar

from convert.artifact import ONNX_FILE, Artifact
from convert.common.disk import scratch
from convert.common.disk.files import write_text
from convert.common.errors import CheckFailed, InputError
from runtimes.base import Setting, UnavailableError
from runtimes.served import start
from runtimes.served.triton import FILES, VERSION, Deployment, config, together
from validate.ship.target import Serving, Target, copy_onnx

ASK = "vitbench check . --option served.url=http://127.0.0.1:8000"
THREADS = "Threads: every core, unless it was exported with `--option {}.threads=N`."
MODELS = "models"  # beside it stand README.md and proof/, which a server would take for models


class TritonTarget(Target):
    """`models/NAME/config.pbtxt` and `models/NAME/1/model.onnx`; for TensorRT without its plan, which is of one GPU."""

    name = "triton"
    purpose = "Triton Inference Server, with ONNX Runtime, OpenVINO or TensorRT behind it"
    runtime = "served"
    absent = "no Triton that has the backend was there when it was made; `vitbench check` asks one"
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

    def sizes(self, artifact: Artifact, settings: Mapping[str, str], batches: tuple[int, ...]) -> tuple[int, ...]:
        """With Triton's largest batch in the place of larger ones, where it has one."""
        if not together(artifact, settings["backend"]):
            return batches
        return tuple(sorted({min(one, int(settings["max_batch"])) for one in batches}))

    @contextmanager
    def serving(self, folder: Path, settings: Mapping[str, str]) -> Iterator[Serving]:
        """See Target: the Triton that `make serve` starts."""
        backend = settings["backend"]
        if backend == "tensorrt":
            raise UnavailableError("its plan for TensorRT is made where it is to run")
        with scratch.folder() as place, ExitStack() as stack:
            (place / "backends").mkdir()
            try:
                installed = start.find(place / "backends")
            except InputError as error:
                raise UnavailableError(error.message) from None
            if backend not in installed.backends:
                raise UnavailableError(f"{installed.told} has no backend {backend}")
            port = start.free_port()
            try:
                stack.enter_context(start.running(installed, folder / MODELS, port, place / "log"))
            except InputError as error:
                raise CheckFailed(f"--to {self.name}: {installed.told} does not load it: {error.message}") from None
            yield Serving({"url": f"http://{start.LOOPBACK}:{port}"}, installed.told)

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
