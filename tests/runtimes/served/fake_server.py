"""A server of the Open Inference Protocol in this process, around ONNX Runtime, that can misbehave."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import onnxruntime

from convert.artifact import Artifact

LENGTH = "Inference-Header-Content-Length"


@dataclass
class Answer:
    """An answer to an inference, which a test may change before it is sent."""

    status: int
    told: dict[str, Any]
    tensor: bytes
    headers: dict[str, str]
    binary: bool = True

    def bytes(self) -> bytes:
        head = json.dumps(self.told).encode()
        if self.binary:
            self.headers[LENGTH] = str(len(head))
        return head + self.tensor


def _unchanged(answer: Answer) -> None:
    pass


@dataclass
class FakeServer:
    """What it says, and what it saw.

    change: changes the answer to an inference, or raises ConnectionError to end the connection. paths: how often each
    was asked. clients: addresses from which requests came, which is one for each connection. end: stops listening.
    """

    artifact: Artifact
    metadata: dict[str, Any] = field(default_factory=dict)
    config: dict[str, Any] | None = None
    change: Callable[[Answer], None] = _unchanged
    ready: bool = True
    counts: bool = True
    paths: Counter[str] = field(default_factory=Counter)
    clients: set[Any] = field(default_factory=set)
    headers: list[dict[str, str]] = field(default_factory=list)
    keep_alive: bool = True
    extensions: list[str] = field(default_factory=lambda: ["binary_tensor_data"])
    url: str = ""
    end: Callable[[], object] = field(default=lambda: None)

    def __post_init__(self) -> None:
        self._session = onnxruntime.InferenceSession(str(self.artifact.onnx), providers=["CPUExecutionProvider"])
        self.metadata = {
            "name": self.artifact.model,
            "platform": "onnxruntime_onnx",
            "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 3, *self.artifact.image_shape]}],
            "outputs": [{"name": "logits", "datatype": "FP32", "shape": [-1, self.artifact.classes]}],
        }
        self.config = {
            "backend": "onnxruntime",
            "max_batch_size": 8,
            "instance_group": [{"kind": "KIND_CPU", "count": 1}],
            "parameters": {"intra_op_thread_count": {"string_value": "1"}},
            "dynamic_batching": {},
        }
        self.answered = 0

    def get(self, path: str) -> tuple[int, Any]:
        model = f"/v2/models/{self.artifact.model}"
        known: dict[str, tuple[int, Any]] = {
            "/v2/health/ready": (200 if self.ready else 400, ""),
            "/v2": (200, {"name": "fake", "version": "1.2", "extensions": self.extensions}),
            model: (200, self.metadata),
            f"{model}/ready": (200, ""),
        }
        if self.config is not None:
            known[f"{model}/config"] = (200, self.config)
        if self.counts:
            times = {"count": self.answered, "ns": self.answered * 2_000_000}
            names = ("success", "queue", "compute_input", "compute_infer", "compute_output")
            stats = [{"version": "1", "inference_stats": dict.fromkeys(names, times)}]
            known[f"{model}/stats"] = (200, {"model_stats": stats})
        return known.get(path, (404, {"error": "no such thing"}))

    def infer(self, head: dict[str, Any], tensor: bytes) -> Answer:
        (asked,) = head["inputs"]
        images = np.frombuffer(tensor, "<f4").reshape(asked["shape"])
        logits = self._session.run([head["outputs"][0]["name"]], {asked["name"]: images})[0]
        self.answered += 1
        output = {
            "name": "logits",
            "datatype": "FP32",
            "shape": list(logits.shape),
            "parameters": {"binary_data_size": logits.nbytes},
        }
        told = {"model_name": self.artifact.model, "model_version": "1", "outputs": [output]}
        answer = Answer(200, told, logits.tobytes(), {})
        self.change(answer)
        return answer


@contextmanager
def serving(server: FakeServer) -> Iterator[FakeServer]:
    """The server on a free port of loopback, its address in `url`."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._seen()
            status, said = server.get(self.path)
            self._send(status, json.dumps(said).encode(), {})

        def do_POST(self) -> None:
            self._seen()
            body = self.rfile.read(int(self.headers["Content-Length"]))
            length = int(self.headers[LENGTH])
            try:
                answer = server.infer(json.loads(body[:length]), body[length:])
            except ConnectionError:
                self.close_connection = True
                return
            self._send(answer.status, answer.bytes(), answer.headers)

        def _seen(self) -> None:
            server.paths[self.path] += 1
            server.clients.add(self.client_address)
            server.headers.append(dict(self.headers))

        def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            self.close_connection = not server.keep_alive  # as servers do with connections that are idle

        def log_message(self, *_: Any) -> None:
            pass

    def end() -> None:
        http.shutdown()
        http.server_close()

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        http.daemon_threads = True
        server.url = f"http://127.0.0.1:{http.server_address[1]}"
        server.end = end
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            http.shutdown()
            thread.join()
