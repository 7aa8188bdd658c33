"""The Open Inference Protocol (version 2) over HTTP, with binary tensors, on a connection that is kept.

Nothing but the address that was given is asked: redirects are refused, and the environment's proxies are not used. What
a server answers is data of a stranger: its size is bounded, and its words are shortened.
"""

from __future__ import annotations

import http.client
import json
import os
import select
import ssl
from contextlib import suppress
from typing import TypeVar
from urllib.parse import quote

import numpy as np

from convert.common import typed
from convert.common.errors import shown
from runtimes.base import UnavailableError
from runtimes.served.address import AUTHORIZATION, Address

# The protocol's extension for binary tensors: so many bytes of JSON come before them.
_JSON_LENGTH = "Inference-Header-Content-Length"
_MOST_JSON = 4 << 20  # bytes of an answer that has no tensors
_QUOTED = 300  # characters of a server's own words
_CONNECT_S = 10.0
# What MLServer 1.7.1 answers to a body that is no text, where its type is the one for bytes, with a traceback that is
# no JSON; it is 422 for others. KServe's SDK answers so, in JSON, where the user's own code fails.
_FAULT = http.HTTPStatus.INTERNAL_SERVER_ERROR

T = TypeVar("T")


class Client:
    """A connection to a server. timeout_s: after which a read that brings nothing has failed. lists_binary: whether the
    server says that it takes binary tensors; some take them and do not say so.

    UnavailableError, in a sentence, for whatever the server does not give.
    """

    def __init__(self, address: Address, timeout_s: float) -> None:
        self.address, self._timeout_s = address, timeout_s
        host, port, connect_s = address.host, address.port, min(_CONNECT_S, timeout_s)
        self._connection: http.client.HTTPConnection = (
            http.client.HTTPSConnection(host, port, timeout=connect_s, context=ssl.create_default_context())
            if address.scheme == "https"
            else http.client.HTTPConnection(host, port, timeout=connect_s)
        )
        login = os.environ.get(AUTHORIZATION)
        self._headers = {"Authorization": login} if login else {}
        self.lists_binary = True

    def get(self, kind: type[T], *path: str) -> T | None:
        """What the server says at a path below `/v2`, as a dataclass; None where there is no such thing."""
        status, body, _ = self._ask("GET", path)
        if status in (http.HTTPStatus.NOT_FOUND, http.HTTPStatus.NOT_IMPLEMENTED):
            return None
        if status != http.HTTPStatus.OK:
            raise self._refused(f"at {self._path(path)}", status, body)
        try:
            return typed.read(kind, json.loads(body))
        except (ValueError, RecursionError, TypeError) as error:
            raise self._wrong(
                f"says at {self._path(path)} what is not of the protocol ({shown(error, _QUOTED)})"
            ) from None

    def ready(self, *path: str) -> bool:
        """Whether the server says that it, or a model, is ready."""
        return self._ask("GET", (*path, "ready"))[0] == http.HTTPStatus.OK

    def infer(self, model: str, name: str, images: np.ndarray, output: str) -> tuple[np.ndarray, str]:
        """Logits (batch, classes) float32, an array of the caller's own, and the version of the model that answered.

        images: (batch, 3, height, width) float32, contiguous, for the input `name`.
        """
        asked = {
            "inputs": [
                {
                    "name": name,
                    "shape": images.shape,
                    "datatype": "FP32",
                    "parameters": {"binary_data_size": images.nbytes},
                }
            ],
            "outputs": [{"name": output, "parameters": {"binary_data": True}}],
        }
        status, body, length = self._ask("POST", ("models", model, "infer"), json.dumps(asked).encode(), images)
        if status == http.HTTPStatus.UNPROCESSABLE_ENTITY or (
            status == _FAULT and not self.lists_binary and _error(body) is None
        ):
            raise self._wrong(
                f"refuses binary tensors ({status}): it speaks JSON only, as MLServer does over HTTP, and vitbench does"
                " not; Triton and KServe take them"
            )
        if status != http.HTTPStatus.OK:
            raise self._refused(f"an inference of {model} at batch {len(images)}", status, body)
        if length is None:
            raise self._wrong(
                "answers in JSON although binary tensors were asked for; a model of KServe's SDK hands on what was"
                " asked for: InferResponse(..., requested_outputs=payload.request_outputs)"
            )
        try:
            return _logits(body, int(length), output, len(images))
        except (ValueError, KeyError, TypeError, IndexError, RecursionError) as error:
            raise self._wrong(f"answers otherwise than the protocol says: {shown(error, _QUOTED)}") from None

    def close(self) -> None:
        self._connection.close()

    def _ask(
        self, method: str, path: tuple[str, ...], head: bytes = b"", tensor: np.ndarray | None = None
    ) -> tuple[int, bytes, str | None]:
        """Status and body of an answer, and how much of it is JSON where tensors follow."""
        connection, size = self._connection, 0 if tensor is None else tensor.nbytes
        try:
            self._reconnect()
            connection.putrequest(method, self._path(path), skip_accept_encoding=True)
            for name, value in self._headers.items():
                connection.putheader(name, value)
            if tensor is None:
                connection.endheaders()
            else:
                connection.putheader("Content-Type", "application/octet-stream")
                connection.putheader(_JSON_LENGTH, str(len(head)))
                connection.putheader("Content-Length", str(len(head) + size))
                # A server that refuses may do so before it has read everything: its answer says why.
                with suppress(BrokenPipeError, ConnectionResetError):
                    connection.endheaders(head)
                    connection.send(tensor.data)
            with connection.getresponse() as answer:
                body, length = answer.read(_MOST_JSON + size), answer.getheader(_JSON_LENGTH)
                if answer.read(1):
                    raise self._wrong(f"answers with more than {len(body)} bytes")
        except TimeoutError:
            connection.close()
            waited = f"{self._timeout_s:g} s (--option served.timeout_s=…)"
            raise self._wrong(f"did not answer within {waited}") from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            connection.close()
            reason = (isinstance(error, OSError) and error.strerror) or str(error) or type(error).__name__
            raise self._wrong(f"gives no answer ({shown(reason, _QUOTED)})") from None
        if 300 <= answer.status < 400:
            raise self._wrong(f"sends elsewhere ({answer.status}): only the address that was given is asked")
        if answer.status in (http.HTTPStatus.UNAUTHORIZED, http.HTTPStatus.FORBIDDEN):
            raise self._wrong(f"wants a login ({answer.status}): {AUTHORIZATION} in the environment gives it")
        return answer.status, body, length

    def _reconnect(self) -> None:
        """Connect where there is no connection, or the server has ended it while nothing was asked."""
        connection = self._connection
        if connection.sock is not None and select.select([connection.sock], [], [], 0)[0]:
            connection.close()
        if connection.sock is None:
            connection.connect()
        if connection.sock is not None:
            connection.sock.settimeout(self._timeout_s)

    def _path(self, path: tuple[str, ...]) -> str:
        return "/".join([f"{self.address.prefix}/v2", *(quote(part, safe="") for part in path)])

    def _wrong(self, what: str) -> UnavailableError:
        return UnavailableError(f"the server at {self.address} {what}")

    def _refused(self, what: str, status: int, body: bytes) -> UnavailableError:
        said = _error(body) or body[:_QUOTED].decode(errors="replace")
        return self._wrong(f"refuses {what} ({status}): {shown(said, _QUOTED) or 'it does not say why'}")


def _error(body: bytes) -> object:
    """A server's own words on why it refuses, as the protocol has them; None for a body that is none of its."""
    try:
        return json.loads(body)["error"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def _logits(body: bytes, length: int, output: str, batch: int) -> tuple[np.ndarray, str]:
    """ValueError and its like for what is not one FP32 tensor (batch, classes) of that name, and all of it."""
    told = json.loads(body[:length])
    (tensor,) = told["outputs"]
    name, datatype, shape = tensor["name"], tensor["datatype"], tuple(tensor["shape"])
    if (name, datatype) != (output, "FP32") or len(shape) != 2 or shape[0] != batch:
        raise ValueError(f"{datatype} {name} {list(shape)} for a batch of {batch}, instead of FP32 {output}")
    size = tensor["parameters"]["binary_data_size"]
    if not 0 <= length <= len(body) or size != len(body) - length or size != 4 * shape[0] * shape[1]:
        raise ValueError(f"{len(body) - length} bytes of tensor, and {size} were told, for {list(shape)}")
    return np.frombuffer(body, "<f4", offset=length).reshape(shape).copy(), str(told.get("model_version") or "")
