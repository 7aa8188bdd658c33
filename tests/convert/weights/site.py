"""A server of one file, in this process, that misbehaves as it is told."""

from __future__ import annotations

import hashlib
import io
import re
import tarfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from convert import zoo
from convert.common.errors import InputError
from convert.families.spec import Preprocessing
from convert.weights import download
from convert.zoo import HostedModel

CONTENT = bytes(range(256)) * 40
SHA256 = hashlib.sha256(CONTENT).hexdigest()
# A model by name that comes as an archive.
HOSTED = HostedModel("Toy_tiny_32", "Toy", paddlex=True, preprocessing=Preprocessing(36, 32, "bicubic", backend="pil"))


class Site:
    """One file on a server of this process, and how it misbehaves."""

    url: str  # once it is served

    def __init__(self) -> None:
        self.content = CONTENT
        self.etag = '"first"'
        self.modified = ""
        self.conditional = True  # whether If-Range is heeded
        self.encoding = ""
        self.announced: int | None = None  # as the length, instead of what is sent
        self.ranges = True  # whether Range is heeded
        self.cut: int | None = None  # after how many bytes of a body the connection is closed
        self.status: int | None = None  # answered instead of the file
        self.kind = "application/octet-stream"
        self.piece: int | None = None  # how many bytes a partial answer has at most, though more were asked for
        self.extra = b""  # sent behind the file
        self.length = True  # whether the length is announced
        self.delay = 0.0
        self.redirect = ""
        self.asked: list[dict[str, str]] = []  # the headers of each request

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        self.asked.append(dict(handler.headers))
        time.sleep(self.delay)
        size, start, status = len(self.content), 0, 200
        asked = re.fullmatch(r"bytes=(\d+)-", handler.headers.get("Range", ""))
        same = handler.headers.get("If-Range", self.etag) in (self.etag, self.modified) or not self.conditional
        if asked and self.ranges and same:
            start, status = int(asked[1]), 206
        if self.redirect:
            handler.send_response(302)
            handler.send_header("Location", self.redirect)
            handler.send_header("Content-Length", "0")
            handler.end_headers()
            return
        if self.status:
            handler.send_error(self.status)
            return
        if status == 206 and start >= size:
            handler.send_response(416)
            handler.send_header("Content-Range", f"bytes */{size}")
            handler.send_header("Content-Length", "0")
            handler.end_headers()
            return
        end = min(size, start + self.piece) if status == 206 and self.piece else size
        handler.send_response(status)
        if status == 206:
            handler.send_header("Content-Range", f"bytes {start}-{end - 1}/{size}")
        if self.length:
            handler.send_header("Content-Length", str(end - start if self.announced is None else self.announced))
        handler.send_header("Content-Type", self.kind)
        if self.etag:
            handler.send_header("ETag", self.etag)
        if self.modified:
            handler.send_header("Last-Modified", self.modified)
        if self.encoding:
            handler.send_header("Content-Encoding", self.encoding)
        handler.end_headers()
        handler.wfile.write(self.content[start:end][: self.cut] + self.extra)


@contextmanager
def serving(site: Site) -> Iterator[Site]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            site.answer(self)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    site.url = f"http://127.0.0.1:{server.server_port}/some/file.bin"
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()


def fetch(site: Site, folder: Path) -> download.Cached:
    return download.fetch(site.url, folder, progress=False)


def read(path: Path) -> bytes:
    """A reader of the file, as readers of weights are."""
    if path.read_bytes() != CONTENT or path.suffix != ".bin":
        raise InputError(f"{path}: damaged at its end")
    return CONTENT


@contextmanager
def hosting(monkeypatch: pytest.MonkeyPatch, cache: Path) -> Iterator[Site]:
    """A mirror whose one file is the archive of HOSTED, and a cache."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("VITBENCH_CACHE", str(cache))
    monkeypatch.setitem(zoo.HOSTED, HOSTED.name, HOSTED)
    with serving(Site()) as running:
        monkeypatch.setenv("VITBENCH_MIRROR", running.url.rsplit("/", 1)[0])
        yield running


def archive(files: dict[str, bytes], *others: tarfile.TarInfo) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as written:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            written.addfile(member, io.BytesIO(content))
        for member in others:
            written.addfile(member)
    return buffer.getvalue()
