from __future__ import annotations

from pathlib import Path

import pytest
import requests

from convert.common.errors import InputError
from convert.weights import download, transfer
from tests.convert.weights.site import CONTENT, SHA256, Site, fetch, read, serving


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("https://me:hush@host/x/y.pdparams", "https://host/x/y.pdparams"),
        ("https://hush@host/x", "https://host/x"),
        ("https://me:hu@sh@host/x", "https://host/x"),
        ("https://me:hu/sh@host/x", "host/x"),
        ("https://me:80/hush@host/x", "host/x"),
        ("https://me:hu#sh@host/x", "host/x"),
        ("https://me:hu?sh@host/x?token=hush#hush", "host/x"),
        ("me:hush@host/x?key=hush", "host/x"),
        ("https://host:8080/@scope/x", "scope/x"),
        ("https://host/x@2/y", "https://host/x@2/y"),
        ("https://[host/x", "https://[host/x"),
    ],
)
def test_of_a_url_what_may_be_secret_is_not_shown(url: str, said: str) -> None:
    """Also of one whose password has characters that it may not have there."""
    assert transfer.shown(url) == said


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


def begin(site: Site, folder: Path, size: int = 1000) -> None:
    """Have a part of the file."""
    site.cut = size
    with pytest.raises(InputError, match="broke off"):
        fetch(site, folder)
    site.cut = None
    site.asked.clear()


def test_a_partial_answer_with_less_than_the_rest_is_not_the_whole_file(site: Site, tmp_path: Path) -> None:
    begin(site, tmp_path)
    site.piece = 500
    with pytest.raises(InputError, match="broke off after 1500 of 10240 bytes"):
        fetch(site, tmp_path)
    site.piece = None
    assert fetch(site, tmp_path).sha256 == SHA256


@pytest.mark.parametrize("heeded", [True, False])
def test_a_part_is_of_one_url_and_one_state_of_the_file(site: Site, tmp_path: Path, heeded: bool) -> None:
    other = bytes(reversed(CONTENT))
    begin(site, tmp_path)
    with serving(Site()) as mirror:
        mirror.content = other
        assert fetch(mirror, tmp_path).path.read_bytes() == other
        assert "Range" not in mirror.asked[0]
    for file in tmp_path.iterdir():
        file.unlink()
    begin(site, tmp_path)
    site.content, site.etag, site.conditional = other, '"second"', heeded
    assert fetch(site, tmp_path).path.read_bytes() == other


def test_a_date_says_too_that_the_file_is_the_same(site: Site, tmp_path: Path) -> None:
    site.etag, site.modified = 'W/"weak"', "Mon, 01 Jan 2024 00:00:00 GMT"
    begin(site, tmp_path)
    assert fetch(site, tmp_path).sha256 == SHA256
    assert [site.asked[0].get(name) for name in ("Range", "If-Range")] == ["bytes=1000-", site.modified]


def test_another_length_is_another_file(site: Site, tmp_path: Path) -> None:
    begin(site, tmp_path)
    site.content = CONTENT[:-300]
    assert fetch(site, tmp_path).path.read_bytes() == CONTENT[:-300]


def test_an_error_of_the_server_costs_no_part(site: Site, tmp_path: Path) -> None:
    begin(site, tmp_path)
    site.status = 503
    with pytest.raises(download.NotFetchedError, match="HTTP status 503"):
        fetch(site, tmp_path)
    site.status, site.kind = None, "text/html"
    with pytest.raises(download.NotFetchedError, match="web page"):
        fetch(site, tmp_path)
    site.kind = "application/octet-stream"
    assert fetch(site, tmp_path).sha256 == SHA256
    assert [asked.get("Range") for asked in site.asked] == ["bytes=1000-"] * 3


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


def test_without_anything_that_says_so_the_file_may_be_another(site: Site, tmp_path: Path) -> None:
    site.etag = 'W/"weak"'
    begin(site, tmp_path)
    assert fetch(site, tmp_path).sha256 == SHA256
    assert "Range" not in site.asked[0]


def test_takes_what_an_earlier_try_got_whole(site: Site, tmp_path: Path) -> None:
    begin(site, tmp_path)
    (tmp_path / "file.part.bin").write_bytes(CONTENT)
    assert fetch(site, tmp_path).sha256 == SHA256
    assert site.asked == []


@pytest.mark.parametrize("content", [CONTENT, CONTENT[:1000], CONTENT + b"more"])
def test_a_part_of_nobody_knows_what_is_removed(site: Site, tmp_path: Path, content: bytes) -> None:
    for name in ("file.bin.part", "file.part.bin", "file.bin.etag"):  # as earlier versions left them
        (tmp_path / name).write_bytes(content)
    assert fetch(site, tmp_path).sha256 == SHA256
    assert "Range" not in site.asked[0]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file.bin", "file.bin.sha256"]


def test_a_part_that_is_longer_than_the_file_is_removed(site: Site, tmp_path: Path) -> None:
    begin(site, tmp_path)
    (tmp_path / "file.part.bin").write_bytes(CONTENT + b"more")
    assert fetch(site, tmp_path).sha256 == SHA256


def test_a_server_that_does_not_say_how_long(site: Site, tmp_path: Path) -> None:
    site.length = False
    assert fetch(site, tmp_path).sha256 == SHA256


def test_more_bytes_than_announced(site: Site, tmp_path: Path) -> None:
    begin(site, tmp_path)
    site.length, site.extra = False, b"more"
    with pytest.raises(download.NotFetchedError, match="more than 10240 bytes"):
        fetch(site, tmp_path)
    site.extra = b""
    assert fetch(site, tmp_path).sha256 == SHA256


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"kind": "TEXT/HTML"}, "a web page"),
        ({"content": b"\n <!DOCTYPE html><p>Log in</p>" * 300}, "a web page"),
        ({"content": b"<html>" * 900, "length": False}, "a web page"),
        ({"announced": 0}, "an empty body"),
        ({"content": b""}, "an empty body"),
        ({"encoding": "gzip"}, "an encoded body"),
        ({"content": CONTENT[:1000]}, "1000 bytes, where about 10240 are expected"),
        ({"content": CONTENT * 200}, "2048000 bytes, where about 10240"),
        ({"content": CONTENT * 200, "length": False}, "more than 1069056 bytes"),
    ],
)
def test_what_is_not_the_file_is_not_kept(site: Site, tmp_path: Path, change: dict[str, object], said: str) -> None:
    before = {name: getattr(site, name) for name in change}
    for name, value in change.items():
        setattr(site, name, value)
    with pytest.raises(download.NotFetchedError, match=f"something else than the file: {said}"):
        download.fetch(site.url, tmp_path, expected=len(CONTENT), progress=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == []
    for name, value in before.items():
        setattr(site, name, value)
    assert download.fetch(site.url, tmp_path, check=read, expected=len(CONTENT), progress=False).sha256 == SHA256


@pytest.mark.parametrize("change", [{"cut": 9000, "length": False}, {"announced": 9000}, {"content": CONTENT[::-1]}])
def test_what_cannot_be_read_is_not_kept(site: Site, tmp_path: Path, change: dict[str, object]) -> None:
    for name, value in change.items():
        setattr(site, name, value)
    with pytest.raises(
        InputError, match=r"not the file that it should be \(damaged at its end\); it is removed"
    ) as caught:
        download.fetch(site.url, tmp_path, check=read, progress=False)
    assert not isinstance(caught.value, download.NotFetchedError)
    assert sorted(path.name for path in tmp_path.iterdir()) == []


@pytest.mark.parametrize("url", ["http://[broken/x.bin", "nothing://x/x.bin", "http://a:b/x.bin", "x/x.bin"])
def test_what_is_no_address_is_unavailable(tmp_path: Path, url: str) -> None:
    with pytest.raises(download.NotFetchedError):
        download.fetch(url, tmp_path, progress=False)


@pytest.mark.parametrize("to", ["http://[broken/", "http://a:b/", "http://" + "x" * 300, "ftp://x/"])
def test_a_redirection_to_what_is_no_address_is_unavailable(site: Site, tmp_path: Path, to: str) -> None:
    site.redirect = to
    with pytest.raises(download.NotFetchedError):
        fetch(site, tmp_path)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (requests.ConnectTimeout(), "no answer within 5 s"),
        (requests.ReadTimeout(), "silent for 30 s"),
        (requests.exceptions.SSLError(), "no trusted TLS connection"),
        (requests.ConnectionError(), "no connection"),
        (requests.TooManyRedirects(), r"it cannot be asked \(TooManyRedirects\)"),
    ],
)
def test_why_nothing_came(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, words: str) -> None:
    asked: dict[str, object] = {}

    def refuse(url: str, **options: object) -> None:
        asked.update(options)
        raise error

    monkeypatch.setattr(requests, "get", refuse)
    with pytest.raises(download.NotFetchedError, match=f"^http://x/f.bin: {words}$"):
        download.fetch("http://me:secret@x/f.bin?key=1", tmp_path, progress=False)
    assert (asked["timeout"], asked["stream"]) == ((5, 30), True)


@pytest.mark.parametrize(
    ("announced", "taken"), [(5119, False), (5120, True), (10240, True), (1069056, True), (1069057, False)]
)
def test_from_half_of_what_is_expected_to_twice_as_much(
    site: Site, tmp_path: Path, announced: int, taken: bool
) -> None:
    """A mebibyte is left for names and the like."""
    site.content = bytes(announced)
    if taken:
        found = download.fetch(site.url, tmp_path, expected=10240, progress=False)
        assert found.bytes == announced
    else:
        with pytest.raises(download.NotFetchedError, match=f"{announced} bytes, where about 10240 are expected"):
            download.fetch(site.url, tmp_path, expected=10240, progress=False)


@pytest.mark.parametrize(("most", "taken"), [(10240, True), (10239, False)])
@pytest.mark.parametrize("length", [True, False])
def test_a_file_of_unknown_size_has_a_bound_too(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int, taken: bool, length: bool
) -> None:
    monkeypatch.setattr(transfer, "_MOST", most)
    site.length = length
    if taken:
        assert fetch(site, tmp_path).sha256 == SHA256
        return
    with pytest.raises(download.NotFetchedError, match=f"{10240 if length else 'more than 10239'} bytes"):
        fetch(site, tmp_path)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("https://me:pass@host:8/a/b.bin?key=1#x", "https://host:8/a/b.bin"),
        ("http://[::1]:80/b.bin", "http://[::1]:80/b.bin"),
        ("http://[broken/b.bin", "http://[broken/b.bin"),
        ("http://me:pass@[broken/b.bin?key=1", "[broken/b.bin"),
    ],
)
def test_a_url_is_shown_without_what_is_secret(url: str, words: str) -> None:
    assert transfer.shown(url) == words


@pytest.mark.parametrize("status", [403, 404, 500])
def test_an_error_of_the_server_is_unavailable(site: Site, tmp_path: Path, status: int) -> None:
    site.status = status
    with pytest.raises(download.NotFetchedError, match=rf"file\.bin: HTTP status {status}"):
        fetch(site, tmp_path)
    assert len(site.asked) == 1


def test_the_page_of_a_captive_portal_is_not_taken_for_the_file(site: Site, tmp_path: Path) -> None:
    site.kind = "text/html; charset=utf-8"
    with pytest.raises(download.NotFetchedError, match="something else than the file: a web page"):
        fetch(site, tmp_path)
    assert not (tmp_path / "file.bin").exists()
