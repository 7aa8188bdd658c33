"""MNN on the CPU."""

from __future__ import annotations

import re
import struct
import time
from pathlib import Path
from typing import Any

import numpy as np

from convert.artifact import Artifact
from convert.common.errors import listing
from convert.precision.table import FP32
from runtimes import kept_form
from runtimes.base import (
    MEASURED,
    Effective,
    Footprint,
    Options,
    Runtime,
    Session,
    Setting,
    TensorInfo,
    UnavailableError,
    lowest_precision,
)
from runtimes.mnn import model_file as mnn_file
from runtimes.probe import significand
from runtimes.profiled.layers import LayerTime, ProfiledSession
from runtimes.quiet import stdout_to
from runtimes.records.parts import Arithmetic

_CONFIG = {"backend": "CPU", "precision": 1}  # BackendConfig::Precision_High; as a word it would be printed
# MNN calls an operator by the tensor that it writes, and this behind it.
_OWN = re.compile(r"(__matmul_converted)?(_raster_\d+)?$")
_BACKENDS, _THREAD_NUMBER = 2, 4  # Interpreter::SessionInfoCode
_DEVICES = {0: "CPU", 13: "CPU"}  # MNNForwardType; 13, MNN_FORWARD_CPU_EXTENSION, is the CPU with AVX2 or AVX-512


class _MnnSession(Session):
    def __init__(self, artifact: Artifact, options: Options) -> None:
        if artifact.form == "mnn" and options.extra:
            raise UnavailableError("mnn.gelu: the folder was converted before; leave it out")
        self._artifact, self._options = artifact, options
        self._threads = options.thread_count()
        self._open(None)
        self._only_batch(max(options.batches, default=1))  # refused before any work
        self.inputs = tuple(_info(*one) for one in self._net.getSessionInputAll(self._session).items())
        found = self._net.getSessionOutputAll(self._session)
        self.outputs = tuple(_info(name, found[name]) for name in self._made["outputs"])

    def _open(self, batch: int | None) -> None:
        """Load the model. batch: the only one of its file; None where it takes any."""
        artifact, gelu = self._artifact, MNN_CPU.setting(self._options, "gelu")
        self._batch = batch
        self._folder = kept_form.shipped(artifact, "mnn") or mnn_file.converted(artifact, self._options, gelu, batch)
        self._made = kept_form.read(self._folder)
        self._net, self._session = _load(self._folder / mnn_file.MODEL, self._threads)
        self._input = self._net.getSessionInput(self._session)
        self._look_up()

    def _only_batch(self, batch: int) -> int | None:
        """The batch that a file has to be of alone, where MNN would compute it wrongly from one that takes any.

        UnavailableError where the file is one that was shipped.
        """
        names = self._made["broadcasts"]
        if self._artifact.batch is not None or batch == 1 or not names:
            return None
        if self._artifact.form == "mnn":
            raise UnavailableError(
                f"MNN computes a MatMul that several heads share an operand of wrongly at a batch of two or more, and "
                f"this model has {listing(names, 3)}: give --batch 1, or export it with a fixed batch"
            )
        return batch

    def _look_up(self) -> None:
        """The memory of input and outputs, which a new batch size moves."""
        self._images = _memory("the input", self._input)
        found = self._net.getSessionOutputAll(self._session)  # by the alphabet
        self._outputs = {name: _memory(name, found[name]) for name in self._made["outputs"]}
        self._logits = next(iter(self._outputs.values()))

    def _resize(self, shape: tuple[int, ...]) -> None:
        if (only := self._only_batch(shape[0])) != self._batch:
            self._open(only)
        if only is None:
            with stdout_to(2):
                self._net.resizeTensor(self._input, shape)
                self._net.resizeSession(self._session)
            self._look_up()
        if len(self._logits) != shape[0]:  # it prints why, and goes on
            raise UnavailableError(f"MNN cannot resize this model to a batch of {shape[0]}")

    def _execute(self, images: np.ndarray) -> None:
        if images.shape != self._images.shape or len(self._logits) != len(images):
            self._resize(images.shape)
        # Before every run: MNN uses the input's memory again for what comes later in the model.
        np.copyto(self._images, images)
        if error := self._compute():
            raise UnavailableError(f"MNN could not run the model (ErrorCode {error})")

    def _compute(self) -> int:
        return int(self._net.runSession(self._session))

    def _run(self, images: np.ndarray) -> np.ndarray:
        self._execute(images)
        return self._logits.copy()

    def _run_all(self, images: np.ndarray) -> dict[str, np.ndarray]:
        self._execute(images)
        return {name: memory.copy() for name, memory in self._outputs.items()}

    def effective(self) -> Effective:
        # MNN does not say what it computes in, and its backend for bf16 calls itself the same as that for FP32.
        bits = significand.bits(**self._probe())
        backend = self._net.getSessionInfo(self._session, _BACKENDS)
        # The binding hands every answer on as a float, a whole number's bits included.
        threads = struct.unpack("i", struct.pack("f", self._net.getSessionInfo(self._session, _THREAD_NUMBER)))[0]
        details = {
            "read_from": "weights: the converted file; arithmetic: a probe with the same settings; rest: the session",
            "weights_by_type": self._made["weights"],
            "fraction_bits_kept": bits,
            "precision_of_each_layer": "not reported by MNN",
            "operators": self._made["operators"],
            "MNNForwardType": backend,
            "threads": threads,
            **({} if self._batch is None else {"converted_for_batch": self._batch}),
        }
        types = [*self._made["weights"], *map(significand.widest_type, bits.values())]
        ran = Arithmetic(reason="MNN does not tell what each operator computed in")
        return Effective(lowest_precision(types), _DEVICES.get(backend, f"MNNForwardType {backend}"), details, ran)

    def _probe(self) -> dict[str, np.ndarray]:
        net, session = _load(self._folder / mnn_file.PROBE, self._threads)
        np.copyto(_memory("x", net.getSessionInput(session)), significand.INPUT)
        net.runSession(session)
        return {name: _memory(name, tensor).copy() for name, tensor in net.getSessionOutputAll(session).items()}

    def close(self) -> None:
        del self._images, self._logits, self._outputs, self._input, self._session, self._net


class _ProfiledMnnSession(_MnnSession, ProfiledSession):
    def __init__(self, artifact: Artifact, options: Options) -> None:
        super().__init__(artifact, options)
        self._heard: list[list[LayerTime]] = []

    def _compute(self) -> int:
        layers: list[LayerTime] = []
        start = 0.0

        def begins(tensors: Any, operator: Any) -> bool:
            nonlocal start
            start = time.perf_counter()
            return True

        def ends(tensors: Any, operator: Any) -> bool:
            ms = 1e3 * (time.perf_counter() - start)
            name = operator.getName()
            layers.append(LayerTime(name, operator.getType(), ms, tensors=(_OWN.sub("", name),)))
            return True

        self._heard.append(layers)
        return int(self._net.runSessionWithCallBackInfo(self._session, begins, ends))

    def runs(self) -> list[list[LayerTime]]:
        return self._heard


def _load(model: Path, threads: int) -> tuple[Any, Any]:
    """MNN's interpreter of a file, and its session."""
    with stdout_to(2):
        import MNN

        net = MNN.Interpreter(str(model))
        return net, net.createSession({**_CONFIG, "numThread": threads})


def _memory(name: str, tensor: Any) -> np.ndarray:
    """The session's own memory of an input or output, laid out as in ONNX."""
    import MNN

    if tensor.getDimensionType() != MNN.Tensor_DimensionType_Caffe:
        raise UnavailableError(f"MNN keeps {name} in another layout than NCHW")
    memory: np.ndarray = tensor.getNumpyData()
    return memory


def _info(name: str, tensor: Any) -> TensorInfo:
    # MNN stands at a batch of 1 when it has loaded a model, and can be resized to any.
    return TensorInfo(name, str(_memory(name, tensor).dtype), (-1, *tensor.getShape()[1:]))


MNN_CPU = Runtime(
    name="mnn",
    package="MNN",
    distributions=("MNN",),
    precisions=(FP32,),
    devices=lambda: ["CPU"],  # the wheels for Python have no other backend
    open_session=_MnnSession,
    profiled=_ProfiledMnnSession,
    settings={
        "gelu": Setting(
            default="erf",
            help="erf: as in the model; tanh: an approximation, which MNN's converter takes by itself",
            values=tuple(mnn_file.GELU),
        )
    },
    intermediate=True,
    loads=("mnn",),
    writes_cache="always",
    # Its converter, beside the process that waits for it: 769 MiB for a model of 337.
    footprint=Footprint(0.5, 2.5, 50 << 20, 1.1, 1.3, 28e9, converter_copies=2.3, source=MEASURED),
    order=50,
    colour=3,
)

RUNTIMES = (MNN_CPU,)
