"""Whatever speaks the Open Inference Protocol over HTTP with binary tensors: Triton, KServe."""

from __future__ import annotations

import copy

import numpy as np

from convert.artifact import Artifact
from convert.precision.table import FP32
from runtimes.base import (
    Effective,
    Elsewhere,
    Footprint,
    Options,
    Runtime,
    Session,
    Setting,
    TensorInfo,
    UnavailableError,
)
from runtimes.records.parts import NOT_REPORTED
from runtimes.served import address, model
from runtimes.served.client import Client
from runtimes.served.counts import ServerCounts
from runtimes.served.model import ServedModel


class _ServedSession(Session):
    def __init__(self, artifact: Artifact, options: Options) -> None:
        self._options = options
        self._client = _client(options)
        self._model = ServedModel.find(self._client, SERVED.setting(options, "model") or artifact.model)
        self._model.check(artifact, options, self._client.address)
        (port,), (output, *_) = artifact.manifest.inputs, artifact.manifest.outputs
        self.inputs = (TensorInfo(port.name, "float32", port.shape),)
        self.outputs = (TensorInfo(output.name, "float32", output.shape),)
        self._classes = artifact.classes
        self._version, self._asked = "", 0
        self._family = [self]  # with its twins

    def _run(self, images: np.ndarray) -> np.ndarray:
        images = np.ascontiguousarray(images, "<f4")
        self._asked += 1
        logits, version = self._client.infer(self._model.name, self.inputs[0].name, images, self.outputs[0].name)
        if logits.shape[1] != self._classes:
            raise UnavailableError(
                f"the server at {self._client.address}: model {self._model.name} answers {logits.shape[1]} classes, and"
                f" the artifact has {self._classes}: it is another model"
            )
        if self._version not in ("", version):
            raise UnavailableError(
                f"the server at {self._client.address} answered as version {version} of {self._model.name} after"
                f" {self._version}: its model was changed meanwhile"
            )
        self._version = version
        return logits

    def effective(self) -> Effective:
        details = {
            "read_from": "what the server says of itself and of the model, which is no proof; parity is",
            "url": str(self._client.address),
            **self._model.details(),
            "model_version": self._version,
            "processes_seen": len(SERVED.processes(self._options)),
        }
        return Effective(NOT_REPORTED, NOT_REPORTED, details)

    def counts(self) -> ServerCounts | None:
        return model.counts(self._client, self._model.name, self._version, sum(one._asked for one in self._family))

    def twin(self) -> Session:
        other = copy.copy(self)
        other._client, other._asked = _client(self._options), 0
        self._family.append(other)
        return other

    def close(self) -> None:
        self._client.close()


def _client(options: Options) -> Client:
    url = SERVED.setting(options, "url")
    if not url:
        raise UnavailableError("give --option served.url=http://HOST:PORT, the address of a server")
    timeout_s = float(SERVED.setting(options, "timeout_s"))
    if not timeout_s:
        raise UnavailableError("served.timeout_s=0: a number of seconds above zero is needed")
    return Client(address.parse(url), timeout_s)


def _ready(options: Options) -> None:
    client = _client(options)
    try:
        model.must_be_ready(client)
    finally:
        client.close()


SERVED = Runtime(
    name="served",
    package="http.client",
    distributions=(),
    # Of a lower precision a server tells nothing, and parity cannot tell it from FP32.
    precisions=(FP32,),
    devices=lambda: ["CPU", "GPU"],  # which of them the server computes on is what its user says
    open_session=_ServedSession,
    settings={
        "url": Setting(
            default="", help="http://HOST:PORT of the server; without it there is no such runtime", text=True
        ),
        "model": Setting(default="", help="what the server calls the model; none: the artifact's name", text=True),
        "timeout_s": Setting(default="60", help="seconds after which an answer that does not come is a failure"),
    },
    streams=True,  # so many connections
    reads="neither",
    loads=("onnx", "openvino", "triton", "ovms"),
    footprint=Footprint(0.4, 0.0, 50 << 20, 0.0, 0.0, source="a client holds no model; the rate is a guess"),
    elsewhere=Elsewhere(_ready, lambda options: address.processes(_client(options).address)),
    order=80,
)

RUNTIMES = (SERVED,)
