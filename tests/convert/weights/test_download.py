from __future__ import annotations

import fcntl
import shlex
import subprocess
import threading
import time
from pathlib import Path
from typing import cast

import pytest

from convert.common.errors import InputError
from convert.weights import download
from tests.convert.common.disk.test_files import room
from tests.convert.weights.site import CONTENT, SHA256, Site, fetch, read, serving


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
    assert sorted(path.name for path in folder.iterdir()) == ["file.bin", "file.bin.sha256"]


def test_the_bar_goes_to_standard_error(site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    download.fetch(site.url, tmp_path)
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "file.bin" in printed.err


def test_a_wrong_file_in_the_cache_is_named_with_the_command_that_removes_it(site: Site, tmp_path: Path) -> None:
    site.content = b"something else"
    folder = tmp_path / "my cache"
    fetch(site, folder)
    with pytest.raises(InputError, match=r"a wrong download in the cache \(damaged at its end\)") as caught:
        download.fetch(site.url, folder, check=read, progress=False)
    site.content = CONTENT
    command = caught.value.message.split("`")[1]
    subprocess.run(shlex.split(command), check=True)
    assert download.fetch(site.url, folder, check=read, progress=False).sha256 == SHA256


def test_a_full_disk_is_no_missing_network(site: Site, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no space left") as caught, room(5000):
        fetch(site, tmp_path)
    assert not isinstance(caught.value, download.NotFetchedError)
    assert fetch(site, tmp_path).sha256 == SHA256


def test_a_password_in_a_url_stands_nowhere(site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    url = site.url.replace("127.0.0.1", "me:secret@127.0.0.1")
    site.cut = 1000
    with pytest.raises(InputError, match="broke off") as caught:
        download.fetch(url, tmp_path)
    said = [caught.value.message]
    site.cut, site.status = None, 404
    with pytest.raises(InputError, match="404") as caught:
        download.fetch(url, tmp_path)
    site.status = None
    found = download.fetch(url, tmp_path)
    assert "Authorization" in site.asked[0]
    assert found.url == site.url
    said += [caught.value.message, capsys.readouterr().err, str(found)]
    said += [path.read_text("latin-1") for path in tmp_path.iterdir()]
    assert "secret" not in "".join(said)


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
    with (tmp_path / "file.bin.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        waiting = threading.Thread(target=fetch, args=(site, tmp_path))
        waiting.start()
        waiting.join(0.5)
        assert waiting.is_alive()
        assert not site.asked
        assert "file.bin: waiting for another process" in capsys.readouterr().err
    waiting.join(10)
    assert (tmp_path / "file.bin").read_bytes() == CONTENT
