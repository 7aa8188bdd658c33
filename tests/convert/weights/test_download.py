from __future__ import annotations

import hashlib
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import cast

import pytest
from filelock import FileLock

from convert.common.errors import InputError
from convert.weights import download

CONTENT = bytes(range(256)) * 40
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Site:
    """One file on a server of this process, and how it misbehaves."""

    url: str  # once it is served

    def __init__(self) -> None:
        self.content = CONTENT
        self.etag = '"first"'
        self.ranges = True  # whether Range is heeded
        self.cut: int | None = None  # after how many bytes of a body the connection is closed
        self.status: int | None = None  # answered instead of the file
        self.kind = "application/octet-stream"
        self.piece: int | None = None  # how many bytes a partial answer has at most, though more were asked for
        self.extra = b""  # sent behind the file
        self.length = True  # whether the length is announced
        self.delay = 0.0
        self.asked: list[dict[str, str]] = []  # the headers of each request

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        self.asked.append(dict(handler.headers))
        time.sleep(self.delay)
        size, start, status = len(self.content), 0, 200
        asked = re.fullmatch(r"bytes=(\d+)-", handler.headers.get("Range", ""))
        same = handler.headers.get("If-Range", self.etag) == self.etag
        if asked and self.ranges and same:
            start, status = int(asked[1]), 206
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
            handler.send_header("Content-Length", str(end - start))
        handler.send_header("Content-Type", self.kind)
        if self.etag:
            handler.send_header("ETag", self.etag)
        handler.end_headers()
        handler.wfile.write(self.content[start:end][: self.cut] + self.extra)


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(download, "_CHUNK", 500)
    with serving(Site()) as running:
        yield running


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


def test_downloads_once_and_records_the_hash(site: Site, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folder"
    assert download.cached(site.url, folder) is None
    first = fetch(site, folder)
    assert first == download.Cached(folder / "file.bin", site.url, len(CONTENT), SHA256)
    assert first.path.read_bytes() == CONTENT
    assert (folder / "file.bin.sha256").read_text().splitlines()[1] == f"{SHA256}  file.bin"
    assert fetch(site, folder) == first
    assert download.cached(site.url, folder) == first
    assert len(site.asked) == 1
    assert not list(folder.glob("*.part"))
    assert not list(folder.glob("*.etag"))


def test_the_bar_goes_to_standard_error(site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    download.fetch(site.url, tmp_path)
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "file.bin" in printed.err


def test_resumes_what_broke_off(site: Site, tmp_path: Path) -> None:
    site.cut = 1000
    with pytest.raises(InputError, match="broke off after 1000 of 10240 bytes; run it again to resume") as caught:
        fetch(site, tmp_path)
    assert not isinstance(caught.value, download.NotFetchedError)
    assert not (tmp_path / "file.bin").exists()
    with pytest.raises(InputError, match="broke off after 2000 of"):
        fetch(site, tmp_path)
    site.cut = None
    assert fetch(site, tmp_path).sha256 == SHA256
    assert [asked.get("Range") for asked in site.asked] == [None, "bytes=1000-", "bytes=2000-"]
    assert site.asked[1]["If-Range"] == '"first"'


def test_a_partial_answer_with_less_than_the_rest_is_not_the_whole_file(site: Site, tmp_path: Path) -> None:
    (tmp_path / "file.bin.part").write_bytes(CONTENT[:1000])
    site.piece = 500
    with pytest.raises(InputError, match="broke off after 1500 of 10240 bytes"):
        fetch(site, tmp_path)
    site.piece = None
    assert fetch(site, tmp_path).sha256 == SHA256


def test_starts_anew_when_the_file_has_changed_meanwhile(site: Site, tmp_path: Path) -> None:
    site.cut = 1000
    with pytest.raises(InputError, match="broke off"):
        fetch(site, tmp_path)
    site.cut, site.content, site.etag = None, b"another" * 900, '"second"'
    assert fetch(site, tmp_path).path.read_bytes() == b"another" * 900


def test_starts_anew_when_the_server_ignores_ranges(site: Site, tmp_path: Path) -> None:
    site.cut, site.ranges = 1000, False
    with pytest.raises(InputError, match="broke off"):
        fetch(site, tmp_path)
    site.cut = None
    assert fetch(site, tmp_path).sha256 == SHA256
    assert site.asked[1]["Range"] == "bytes=1000-"


def test_without_a_strong_tag_the_range_is_not_conditional(site: Site, tmp_path: Path) -> None:
    site.cut, site.etag = 1000, 'W/"weak"'
    with pytest.raises(InputError, match="broke off"):
        fetch(site, tmp_path)
    site.cut = None
    assert fetch(site, tmp_path).sha256 == SHA256
    assert "If-Range" not in site.asked[1]
    assert site.asked[1]["Range"] == "bytes=1000-"


def test_takes_what_an_earlier_try_got_whole(site: Site, tmp_path: Path) -> None:
    (tmp_path / "file.bin.part").write_bytes(CONTENT)
    assert fetch(site, tmp_path).sha256 == SHA256


def test_removes_a_part_that_is_longer_than_the_file(site: Site, tmp_path: Path) -> None:
    (tmp_path / "file.bin.part").write_bytes(CONTENT + b"more")
    with pytest.raises(InputError, match="does not belong to this file"):
        fetch(site, tmp_path)
    assert fetch(site, tmp_path).sha256 == SHA256


def test_a_server_that_does_not_say_how_long(site: Site, tmp_path: Path) -> None:
    site.length = False
    assert fetch(site, tmp_path).sha256 == SHA256


def test_more_bytes_than_announced(site: Site, tmp_path: Path) -> None:
    (tmp_path / "file.bin.part").write_bytes(CONTENT[:1000])
    site.length, site.extra = False, b"more"
    with pytest.raises(InputError, match="more than the 10240 bytes"):
        fetch(site, tmp_path)
    site.extra = b""
    assert fetch(site, tmp_path).sha256 == SHA256


@pytest.mark.parametrize("status", [403, 404, 500])
def test_an_error_of_the_server_is_unavailable(site: Site, tmp_path: Path, status: int) -> None:
    site.status = status
    with pytest.raises(download.NotFetchedError, match=rf"file\.bin: HTTP status {status}"):
        fetch(site, tmp_path)
    assert len(site.asked) == 1


def test_the_page_of_a_captive_portal_is_not_taken_for_the_file(site: Site, tmp_path: Path) -> None:
    site.kind = "text/html; charset=utf-8"
    with pytest.raises(download.NotFetchedError, match="something else than the file"):
        fetch(site, tmp_path)
    assert not (tmp_path / "file.bin").exists()


def test_no_network_is_unavailable_within_seconds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serving(Site()) as site:
        url = site.url
    start = time.monotonic()
    with pytest.raises(download.NotFetchedError, match="no connection"):
        download.fetch(url, tmp_path, progress=False)
    assert time.monotonic() - start < 5


def test_a_cache_that_cannot_be_made_is_unavailable(site: Site, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(download.NotFetchedError, match="cannot be written to"):
        fetch(site, tmp_path / "file" / "cache")


def test_a_cached_file_that_changed_is_an_error_that_says_what_to_do(site: Site, tmp_path: Path) -> None:
    path = fetch(site, tmp_path).path
    path.write_bytes(CONTENT[::-1])
    assert download.cached(site.url, tmp_path)  # same size: only the hash tells
    with pytest.raises(InputError, match=r"file\.bin\.sha256 beside it; remove both"):
        fetch(site, tmp_path)
    path.write_bytes(CONTENT + b"1")
    with pytest.raises(InputError, match="remove both"):
        download.cached(site.url, tmp_path)
    path.unlink()
    (tmp_path / "file.bin.sha256").unlink()
    assert fetch(site, tmp_path).sha256 == SHA256


def test_another_file_at_the_same_place_later_is_an_error(site: Site, tmp_path: Path) -> None:
    fetch(site, tmp_path).path.unlink()
    site.content = b"replaced"
    with pytest.raises(InputError, match="remove both"):
        fetch(site, tmp_path)


def test_a_damaged_record_is_an_error(site: Site, tmp_path: Path) -> None:
    fetch(site, tmp_path)
    (tmp_path / "file.bin.sha256").write_text("?")
    for call in (download.cached, download.fetch):
        with pytest.raises(InputError, match="remove both"):
            call(site.url, tmp_path)


def test_a_file_put_there_by_hand_is_recorded(site: Site, tmp_path: Path) -> None:
    (tmp_path / "file.bin").write_bytes(CONTENT)
    assert cast(download.Cached, download.cached(site.url, tmp_path)).sha256 == SHA256
    assert (tmp_path / "file.bin.sha256").exists()
    assert fetch(site, tmp_path).sha256 == SHA256
    assert site.asked == []


def test_two_at_once_download_once(site: Site, tmp_path: Path) -> None:
    site.delay = 0.3
    results: list[str] = []
    threads = [threading.Thread(target=lambda: results.append(fetch(site, tmp_path).sha256)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [SHA256] * 3
    assert len(site.asked) == 1


def test_places_can_be_changed_by_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("VITBENCH_MIRROR", raising=False)
    monkeypatch.delenv("VITBENCH_CACHE", raising=False)
    published = "https://paddle-imagenet-models-name.bj.bcebos.com/dygraph/ViT_base_patch16_224_pretrained.pdparams"
    assert download.pretrained_url("ViT_base_patch16_224") == published
    assert download.cache_folder().name == "vitbench"
    monkeypatch.setenv("VITBENCH_MIRROR", "http://localhost:8000/weights/")
    monkeypatch.setenv("VITBENCH_CACHE", str(tmp_path))
    assert download.pretrained_url("M") == "http://localhost:8000/weights/M_pretrained.pdparams"
    assert download.cache_folder() == tmp_path


def test_a_second_process_waits_for_the_first(site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with FileLock(tmp_path / "file.bin.lock"):
        waiting = threading.Thread(target=fetch, args=(site, tmp_path))
        waiting.start()
        waiting.join(0.5)
        assert waiting.is_alive()
        assert not site.asked
        assert "another process is downloading it" in capsys.readouterr().err
    waiting.join(10)
    assert (tmp_path / "file.bin").read_bytes() == CONTENT
