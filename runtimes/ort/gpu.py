"""An ONNX Runtime session on a GPU: input and output in device memory, on a stream of our own, timed by its events."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from convert.artifact import Artifact
from convert.common.errors import listing
from convert.precision.table import FP32, TF32
from runtimes.base import DeviceTimes, Effective, Options, Session, TensorInfo, UnavailableError, lowest_precision
from runtimes.gpu import cuda
from runtimes.gpu import io as gpu_io
from runtimes.gpu import precision as gpu_precision
from runtimes.ort import session as ort_session
from runtimes.ort.session import Node, OrtSession, is_on
from runtimes.records import arithmetic

_NUMPY = {"tensor(float)": np.float32, "tensor(float16)": np.float16}
_GRAPH_SWITCHES = ("enable_cuda_graph", "trt_cuda_graph_enable")


@dataclass(frozen=True)
class _Bound:
    """A session whose input and output are bound to memory at fixed addresses. compute: runs it once."""

    ort: OrtSession
    tensors: gpu_io.Tensors
    compute: Callable[[], object]


class GpuSession(Session):
    """What the CUDA and the TensorRT provider have in common.

    cuda_graph: whether each inference is replayed as one CUDA graph. Such a graph has one shape and its addresses, so
    that each batch size gets a session of its own then, with its batch dimension fixed.
    """

    def __init__(self, provider: str, artifact: Artifact, options: Options, cuda_graph: bool) -> None:
        self._provider, self._artifact, self._options, self._graph = provider, artifact, options, cuda_graph
        self._number = cuda.use(options.device)
        self._gpu = cuda.device_info(self._number)
        gpu_precision.check(artifact, options, self._gpu)
        self._sessions: dict[int | None, OrtSession] = {}
        self._bound: dict[tuple[int, ...], _Bound] = {}
        self._exchange = gpu_io.Exchange()
        try:
            first = self._session((options.batches or (1,))[0])
            self.inputs, self.outputs = first.inputs, first.outputs
            for tensor in (self.inputs[0], self.outputs[0]):
                if tensor.dtype not in _NUMPY:
                    raise UnavailableError(f"{tensor.name} is {tensor.dtype}: only {listing(_NUMPY)} can be bound")
        except BaseException:
            self.close()
            raise

    @abstractmethod
    def _open(self, batch: int | None) -> OrtSession:
        """A session for one batch size (in its graph, too), or for all that may come."""

    @abstractmethod
    def _types(self, nodes: list[Node], options: Mapping[str, str]) -> tuple[str, Mapping[str, int]]:
        """Where the types that nodes compute in are read from, and how many nodes compute in each."""

    @abstractmethod
    def _may_use_tf32(self, options: Mapping[str, str]) -> bool:
        """Whether FP32 products may be taken in TF32, by the provider's options as read back and the environment."""

    def _check_batch(self, batch: int) -> None:
        """UnavailableError for a batch size that the session was not made for."""

    def _start(self, options: Mapping[str, str], batch: int | None) -> OrtSession:
        """A session with these options of the provider, on our device and stream."""
        ours = {"device_id": str(self._number), "user_compute_stream": str(self._exchange.stream.handle)}
        static = {str(self._artifact.manifest.inputs[0].shape[0]): batch} if batch else None
        threads = self._options.thread_count()
        session = OrtSession(self._artifact.onnx, self._provider, threads, {**ours, **options}, static)
        if not is_on({"has_user_compute_stream": "1", **session.options()}, "has_user_compute_stream"):
            session.close()
            raise UnavailableError(f"{self._provider} did not take our stream: its work could not be timed")
        return session

    def _session(self, batch: int) -> OrtSession:
        key = batch if self._graph else None
        if key not in self._sessions:
            self._sessions[key] = self._open(key)
        return self._sessions[key]

    def _bind(self, shape: tuple[int, ...]) -> _Bound:
        self._check_batch(shape[0])
        ort, source, result = self._session(shape[0]), self.inputs[0], self.outputs[0]
        shapes = {source: shape, result: (shape[0], *map(int, result.shape[1:]))}
        tensors = gpu_io.allocate({info.name: (dims, _NUMPY[info.dtype]) for info, dims in shapes.items()})
        binding = ort.session.io_binding()

        def place(info: TensorInfo, bind: Callable[..., None]) -> None:
            bind(info.name, "cuda", self._number, _NUMPY[info.dtype], shapes[info], tensors.device[info.name].pointer)

        place(source, binding.bind_input)
        place(result, binding.bind_output)
        return _Bound(ort, tensors, partial(ort.session.run_with_iobinding, binding))

    def _run(self, images: np.ndarray) -> np.ndarray:
        bound = self._bound.get(images.shape)
        if bound is None:
            bound = self._bound[images.shape] = self._bind(images.shape)
        result = self.outputs[0].name
        self._exchange.run(bound.tensors, self.inputs[0].name, images, bound.compute, (result,))
        bound.ort.end_first_run()
        return bound.tensors.host[result].astype(np.float32)

    def _run_all(self, images: np.ndarray) -> dict[str, np.ndarray]:
        if self._graph:
            raise UnavailableError("a CUDA graph is bound to one output; cuda_graph=off gives all of them")
        self._check_batch(len(images))
        return self._session(len(images)).run_all({self.inputs[0].name: images})

    def device_times(self) -> DeviceTimes | None:
        return self._exchange.times()

    def effective(self) -> Effective:
        sessions = list(self._sessions.values())
        ran = [session for session in sessions if session.ran] or sessions
        nodes = [node for session in ran for node in session.nodes()]
        device, where = ort_session.placement(nodes, self._provider)
        # Of the memory that the session really read from.
        number = next((bound.tensors.device[self.inputs[0].name].device() for bound in self._bound.values()), 0)
        options = ran[0].options()
        read_from, types = self._types(nodes, options)
        lowest = lowest_precision(types)
        details = {
            "read_from": read_from,
            **where,
            "nodes_assigned": ran[0].assigned(),
            "types": types,
            "tf32_allowed": self._may_use_tf32(options),
            "cuda_graph": any(is_on(options, name) for name in _GRAPH_SWITCHES),
            "threads": ran[0].threads(),
            "gpu": self._gpu.name,
            "compute_capability": self._gpu.compute_capability,
        }
        # The batches of several sessions are not one number of images, and a TensorRT engine is one node.
        ran_in = arithmetic.shares(ort_session.products(nodes), None)
        precision = TF32 if lowest == FP32 and details["tf32_allowed"] else lowest
        return Effective(precision, f"{device}.{number}" if device == "GPU" and number else device, details, ran_in)

    def close(self) -> None:
        for session in self._sessions.values():
            session.close()  # before the stream that it works on
        for bound in self._bound.values():
            bound.tensors.close()
        self._bound, self._sessions = {}, {}
        self._exchange.close()
