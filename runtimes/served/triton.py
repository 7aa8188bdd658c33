"""A model repository for Triton: `NAME/config.pbtxt`, and the model in `NAME/1/`."""

from __future__ import annotations

from dataclasses import dataclass

from convert.artifact import Artifact
from convert.common.errors import InputError
from convert.manifest import Port

# By backend: what the model's file in the version folder is called, and what its instances run on.
FILES = {"onnxruntime": "model.onnx", "openvino": "model.onnx", "tensorrt": "model.plan"}
VERSION = "1"
_DATATYPES = {"float32": "TYPE_FP32"}
THREADS = {"onnxruntime": "intra_op_thread_count", "openvino": "INFERENCE_NUM_THREADS"}


@dataclass(frozen=True)
class Deployment:
    """How Triton is to serve a model.

    max_batch: images that it puts into one inference at most. threads: inside one operator; None leaves it to the
    backend, which takes every core. delay_us: microseconds that a request waits for others to share its inference.
    """

    backend: str = "onnxruntime"
    max_batch: int = 16
    threads: int | None = None
    delay_us: int = 0


def together(artifact: Artifact, backend: str) -> bool:
    """Whether Triton puts requests together, up to its largest batch.

    A model of a fixed batch has it in its shapes. So has every model for the OpenVINO backend, which would compile it
    for `max_batch_size` and refuse smaller batches (its README, ENABLE_BATCH_PADDING).
    """
    return artifact.batch is None and backend != "openvino"


def config(artifact: Artifact, wanted: Deployment) -> str:
    """The text of `config.pbtxt`. InputError for a backend or a type of tensor that is not known."""
    if wanted.backend not in FILES:
        raise InputError(f"backend {wanted.backend!r}: {', '.join(FILES)} are known for Triton")
    (images,), (logits, *_) = artifact.manifest.inputs, artifact.manifest.outputs
    joined = together(artifact, wanted.backend)
    kind = "KIND_GPU" if wanted.backend == "tensorrt" else "KIND_CPU"
    lines = [
        f'name: "{_quoted(artifact.model)}"',
        f'backend: "{wanted.backend}"',
        f"max_batch_size: {wanted.max_batch if joined else 0}",
        f"input [ {_tensor(images, joined)} ]",
        f"output [ {_tensor(logits, joined)} ]",
        f"instance_group [ {{ kind: {kind} count: 1 }} ]",
        f"model_warmup [ {', '.join(_warm_up(images, size, joined) for size in _sizes(wanted, joined))} ]",
    ]
    if joined:
        lines.append(f"dynamic_batching {{ max_queue_delay_microseconds: {wanted.delay_us} }}")
    if wanted.backend == "openvino":  # which looks for model.xml otherwise
        lines.append(f'default_model_filename: "{FILES["openvino"]}"')
    parameters = [f'parameters {{ key: "{key}" value: {{ string_value: "{value}" }} }}' for key, value in _told(wanted)]
    return "\n".join([*lines, *parameters]) + "\n"


def _told(wanted: Deployment) -> list[tuple[str, str]]:
    """What a backend is told, by its own names."""
    told = [("PERFORMANCE_HINT", "LATENCY")] if wanted.backend == "openvino" else []
    if wanted.threads is not None and wanted.backend in THREADS:
        told.append((THREADS[wanted.backend], str(wanted.threads)))
    return told


def _sizes(wanted: Deployment, joined: bool) -> list[int]:
    return [1, wanted.max_batch] if joined and wanted.max_batch > 1 else [1]


def _warm_up(images: Port, size: int, joined: bool) -> str:
    """A request of zeros, so that the first user does not wait for what a backend does at its first inference."""
    shape = [one if isinstance(one, int) else 1 for one in images.shape]
    dims = shape[1:] if joined else shape
    value = f"{{ data_type: {_datatype(images)} dims: {dims} zero_data: true }}"
    name, key = f"{size} of {dims}", _quoted(images.name)
    return f'{{ name: "{name}" batch_size: {size} inputs {{ key: "{key}" value {value} }} }}'


def _tensor(port: Port, joined: bool) -> str:
    return f'{{ name: "{_quoted(port.name)}" data_type: {_datatype(port)} dims: {_dims(port, joined)} }}'


def _dims(port: Port, joined: bool) -> str:
    """As Triton has them: without the batch where it puts requests together, -1 for what is free."""
    shape = [one if isinstance(one, int) else -1 for one in port.shape]
    return str(shape[1:] if joined else shape)


def _datatype(port: Port) -> str:
    if port.dtype not in _DATATYPES:
        raise InputError(f"{port.name} is of type {port.dtype}: Triton's repository is written for float32")
    return _DATATYPES[port.dtype]


def _quoted(name: str) -> str:
    """A name inside quotation marks of protobuf's text format."""
    return name.encode("unicode_escape").decode().replace('"', '\\"')
