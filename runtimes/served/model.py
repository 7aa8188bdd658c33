"""What a server says of a model, held against an artifact: names, types, shapes, batches and the device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from convert.artifact import Artifact
from convert.common.errors import listing, shown
from convert.manifest import Port
from runtimes.base import Options, UnavailableError
from runtimes.served.client import Client
from runtimes.served.counts import ServerCounts
from runtimes.served.triton import THREADS

FP32 = "FP32"
_BINARY = "binary_tensor_data"  # the protocol's name of the extension
_NAME = 100  # characters of a name that a server gives
_CPU = "KIND_CPU"
_GPU = "KIND_GPU"


@dataclass(frozen=True)
class ServedTensor:
    """An input or output as the protocol has it. shape: -1 where it is free; the batch is the first."""

    name: str
    datatype: str
    shape: tuple[int, ...]

    def __str__(self) -> str:
        return f"{shown(self.datatype, _NAME)} {shown(self.name, _NAME)} {list(self.shape)}"


@dataclass(frozen=True)
class ServerMetadata:
    """What it says of itself, at `/v2`."""

    name: str = ""
    version: str = ""
    extensions: tuple[str, ...] = ()


@dataclass(frozen=True)
class ModelMetadata:
    """What it says of a model, at `/v2/models/NAME`. Tensors are absent where the server does not know them."""

    platform: str = ""
    inputs: tuple[ServedTensor, ...] = ()
    outputs: tuple[ServedTensor, ...] = ()


@dataclass(frozen=True)
class InstanceGroup:
    """Instances of a model as Triton has made them."""

    kind: str = ""
    count: int = 0


@dataclass(frozen=True)
class ModelConfig:
    """Triton's configuration of a model, at `/config`. max_batch_size: 0 where the shapes say it."""

    backend: str = ""
    max_batch_size: int = 0
    instance_group: tuple[InstanceGroup, ...] = ()
    parameters: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    dynamic_batching: Mapping[str, Any] | None = None
    response_cache: Mapping[str, Any] | None = None

    @property
    def threads(self) -> int | None:
        """Inside one operator, as the backend is told."""
        told = (self.parameters.get(name, {}).get("string_value", "") for name in THREADS.values())
        return next((int(one) for one in told if one.isascii() and one.isdigit()), None)


@dataclass(frozen=True)
class Counted:
    """How often something happened, and how long it took together in nanoseconds."""

    count: int = 0
    ns: int = 0


@dataclass(frozen=True)
class InferenceStatistics:
    """Of a version of a model, since it was loaded. success: requests, start to end in the server."""

    success: Counted = Counted()
    queue: Counted = Counted()
    compute_input: Counted = Counted()
    compute_infer: Counted = Counted()
    compute_output: Counted = Counted()


@dataclass(frozen=True)
class VersionStatistics:
    """A version of a model and its statistics."""

    version: str = ""
    inference_stats: InferenceStatistics = InferenceStatistics()


@dataclass(frozen=True)
class ModelStatistics:
    """What Triton counts, at `/stats`."""

    model_stats: tuple[VersionStatistics, ...] = ()


@dataclass(frozen=True)
class ServedModel:
    """A model and its server as they were found. config: None where the server is no Triton."""

    name: str
    server: ServerMetadata
    metadata: ModelMetadata
    config: ModelConfig | None

    @classmethod
    def find(cls, client: Client, name: str) -> ServedModel:
        """UnavailableError where there is no such server, or it has no such model that is ready."""
        must_be_ready(client)
        metadata = client.get(ModelMetadata, "models", name)
        if metadata is None or not client.ready("models", name):
            raise UnavailableError(
                f"the server at {client.address} has no model {name} that is ready:"
                " --option served.model=… names another"
            )
        server = client.get(ServerMetadata) or ServerMetadata()
        client.lists_binary = _BINARY in server.extensions
        return cls(name, server, metadata, client.get(ModelConfig, "models", name, "config"))

    def check(self, artifact: Artifact, options: Options, where: object) -> None:
        """UnavailableError, in a sentence, where it cannot be the artifact's model or cannot do what is asked.

        where: its address, for the sentence. What the server does not tell is not checked here: every answer is.
        """
        wrong = next(filter(None, self._differences(artifact, options)), None)
        if wrong:
            raise UnavailableError(f"the server at {where}: model {self.name} {wrong}")

    def _differences(self, artifact: Artifact, options: Options) -> list[str | None]:
        metadata, found = self.metadata, list[str | None]()
        (wanted,), (output, *_) = artifact.manifest.inputs, artifact.manifest.outputs
        if len(metadata.inputs) > 1:
            found.append(f"has {len(metadata.inputs)} inputs: {listing(one.name for one in metadata.inputs)}")
        found += [_difference("takes", one, wanted) for one in metadata.inputs]
        if metadata.outputs:
            named = [one for one in metadata.outputs if one.name == output.name]
            found += [_difference("gives", one, output) for one in named or metadata.outputs[:1]]
        fixed = {one.shape[0] for one in metadata.inputs if one.shape} - {-1}
        found += [f"takes batches of {size} only" for size in fixed if set(options.batches) - {size}]
        if self.config:
            if (self.config.response_cache or {}).get("enable"):
                found.append("answers from a cache (response_cache): switch it off, or its time is no inference's")
            found += [_too_large(self.config.max_batch_size, options.batches), self._elsewhere(options.device)]
        return found

    def _elsewhere(self, device: str) -> str | None:
        kinds = {one.kind for one in self.config.instance_group} if self.config else set()
        other = {_CPU: "GPU", _GPU: "CPU"}
        said = [kind for kind in kinds if kind in other and device.startswith(other[kind])]
        if not said:
            return None
        asked = "--device GPU" if said[0] == _GPU else "--device CPU"
        return f"has instances of {said[0]}, and {device} was asked for: give {asked}"

    def details(self) -> dict[str, Any]:
        """What records carry of it."""
        config = self.config or ModelConfig()
        tensors = [*self.metadata.inputs, *self.metadata.outputs]
        return {
            "server": shown(self.server.name, _NAME),
            "server_version": shown(self.server.version, _NAME),
            "protocol": "Open Inference Protocol 2, HTTP, binary tensors",
            "model": self.name,
            "platform": shown(self.metadata.platform, _NAME),
            "backend": shown(config.backend, _NAME) or None,
            "max_batch_size": config.max_batch_size if self.config else None,
            "dynamic_batching": None if self.config is None else config.dynamic_batching is not None,
            "instances": {shown(one.kind, _NAME): one.count for one in config.instance_group},
            "threads": config.threads,
            "tensors_told": [str(one) for one in tensors],
        }


def must_be_ready(client: Client) -> None:
    """UnavailableError where it is no such server, or has not started."""
    if not client.ready("health"):
        raise UnavailableError(
            f"the server at {client.address} does not say that it is ready (/v2/health/ready): is it one of the Open"
            " Inference Protocol, given without /v2, and has it started?"
        )


def counts(client: Client, model: str, version: str, ours: int) -> ServerCounts | None:
    """What Triton counted of a version of a model so far; None for servers that count nothing.

    ours: how many of the requests are.
    """
    found = client.get(ModelStatistics, "models", model, "stats")
    versions = [one.inference_stats for one in found.model_stats if one.version == version] if found else []
    if len(versions) != 1:
        return None
    one = versions[0]
    return ServerCounts(
        requests=one.success.count,
        ours=ours,
        total_ns=one.success.ns,
        queue_ns=one.queue.ns,
        input_ns=one.compute_input.ns,
        compute_ns=one.compute_infer.ns,
        output_ns=one.compute_output.ns,
    )


def _difference(verb: str, found: ServedTensor, wanted: Port) -> str | None:
    """Why a tensor of the server is not that of the artifact, in a clause; None where it may be."""
    shape = tuple(one if isinstance(one, int) else -1 for one in wanted.shape)
    fits = len(found.shape) == len(shape) and all(
        told == own or -1 in (told, own) for told, own in zip(found.shape, shape, strict=True)
    )
    if (found.name, found.datatype) == (wanted.name, FP32) and fits:
        return None
    return f"{verb} {found}, and the artifact's {verb} {FP32} {wanted.name} {list(shape)}: it is another model"


def _too_large(most: int, batches: Sequence[int]) -> str | None:
    largest = max(batches, default=1)
    if not 0 < most < largest:
        return None
    return f"takes batches of {most} at most (max_batch_size), and {largest} was asked for: give --batch up to {most}"
