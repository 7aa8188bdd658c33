from __future__ import annotations

import errno
import hashlib
import json
import os
import resource
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from convert.common.disk import files, scratch
from convert.common.disk import json_lines as lines
from convert.common.errors import InputError, WriteError
from validate.accuracy.top5_file import Ranked


@contextmanager
def room(size: int) -> Iterator[None]:
    """Files of this process end after so many bytes: the write across the end is short, the next one fails."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def _top5(file: Path) -> None:
    ranked = Ranked(file, {"k": 1}, 40, 10, resume=True)
    ranked.add(range(20, 40), [[1, 2, 3, 4, 5]] * 20)


WRITERS: list[Callable[[Path], None]] = [
    lambda file: files.write_text(file, "new" * 100),
    lambda file: files.write_json(file, {"new": "x" * 100}),
    lambda file: files.append(file, b"new" * 100),
    lambda file: lines.append(file, {"new": "x" * 100}),
    _top5,
]


def test_hashes_are_those_of_the_content(tmp_path: Path) -> None:
    paths = []
    for i, content in enumerate([b"", b"a", b"x" * (3 << 20)]):
        paths.append(tmp_path / str(i))
        paths[-1].write_bytes(content)
    assert files.sha256_files(paths) == [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]


def test_json_hash_does_not_depend_on_order() -> None:
    assert files.sha256_json({"a": 1, "b": 2}) == files.sha256_json({"b": 2, "a": 1}) != files.sha256_json({"a": 1})


def test_a_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "target"

    def fail() -> None:
        with files.new_folder(target) as work:
            (work / "half").touch()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert not target.parent.exists()
    for content in ("one", "two"):
        with files.new_folder(target) as work:
            (work / "file").write_text(content)
        assert (target / "file").read_text() == content
        assert [path.name for path in target.parent.iterdir()] == ["target"]
    with pytest.raises(RuntimeError):
        fail()
    assert (target / "file").read_text() == "two"


def test_a_text_is_written_whole(tmp_path: Path) -> None:
    path = tmp_path / "a" / "text"
    files.write_text(path, "one")
    with pytest.raises(AttributeError):
        files.write_text(path, None)  # type: ignore[arg-type]
    assert path.read_text() == "one"
    assert [file.name for file in path.parent.iterdir()] == ["text"]


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "file"
    files.write_bytes(target, b"first")
    assert target.stat().st_mode & 0o777 == 0o644

    def fail() -> None:
        with files.new_file(target) as work:
            work.write_bytes(b"half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert target.read_bytes() == b"first"
    assert list(target.parent.iterdir()) == [target]


def test_a_text_keeps_its_ends_of_lines(tmp_path: Path) -> None:
    files.write_text(tmp_path / "text", "one\r\ntwö\n")
    assert (tmp_path / "text").read_bytes() == "one\r\ntwö\n".encode()


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("more", [0, 1, 50, 99])
def test_on_a_full_disk_what_was_there_is_whole_and_one_line_says_so(
    tmp_path: Path, writer: Callable[[Path], None], more: int
) -> None:
    file = tmp_path / "file"
    Ranked(file, {"k": 1}, 40, 10, resume=False).add(range(20), [[0, 1, 2, 3, 4]] * 20)
    before = file.read_bytes()
    size = len(before) if writer in WRITERS[2:] else 0
    with pytest.raises(InputError, match=f"^no space left on the disk of {file}; ") as caught, room(size + more):
        writer(file)
    if isinstance(caught.value, WriteError):
        assert (caught.value.errno, caught.value.strerror) == (errno.ENOSPC, "No space left")
    assert file.read_bytes() == before
    assert list(tmp_path.iterdir()) == [file]
    writer(file)
    assert file.read_bytes() != before


def test_numpy_s_own_words_for_a_full_disk_are_understood(tmp_path: Path) -> None:
    with pytest.raises(WriteError, match="no space left"), files.new_folder(tmp_path / "new") as folder, room(500):
        np.save(folder / "x.npy", np.ones(1000))
    assert list(tmp_path.iterdir()) == []


def test_short_writes_are_gone_on_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, bytes(data)[:7]))
    for number in range(3):
        lines.append(tmp_path / "x.jsonl", {"number": number, "text": "ü" * 50})
    assert [line["number"] for line in lines.read(tmp_path / "x.jsonl")] == [0, 1, 2]


@pytest.mark.parametrize("write", [WRITERS[0], WRITERS[2]])
def test_a_place_where_no_file_can_be_is_named(tmp_path: Path, write: Callable[[Path], None]) -> None:
    (tmp_path / "file").touch()
    for place in (tmp_path / "file" / "below", tmp_path):
        with pytest.raises(WriteError, match=f"{place}: cannot be written"):
            write(place)


def test_errors_that_are_not_of_writing_pass_through(tmp_path: Path) -> None:
    with pytest.raises(ConnectionResetError), files.new_folder(tmp_path / "x"):
        raise ConnectionResetError
    with pytest.raises(FileNotFoundError), files.new_file(tmp_path / "x"):
        Path(tmp_path, "weights").read_bytes()


@pytest.mark.parametrize("kind", ["file", "link"])
def test_a_folder_takes_the_place_of_no_file_and_no_link(tmp_path: Path, kind: str) -> None:
    target, elsewhere = tmp_path / "target", tmp_path / "elsewhere"
    elsewhere.mkdir()
    if kind == "file":
        target.write_text("notes")
    else:
        target.symlink_to(elsewhere)
    with pytest.raises(InputError, match="is not replaced; move it away"), files.new_folder(target):
        pytest.fail("it is found before the work")
    assert target.is_symlink() or target.read_text() == "notes"
    assert elsewhere.is_dir()


def test_what_must_stay_is_looked_for_before_and_after_the_work(tmp_path: Path) -> None:
    def refuse(folder: Path) -> None:
        raise InputError(f"{folder.name} stays")

    (tmp_path / "target").mkdir()
    with pytest.raises(InputError, match="target stays"), files.new_folder(tmp_path / "target", refuse):
        pytest.fail("it is found before the work")
    (tmp_path / "target").rmdir()
    with pytest.raises(InputError, match="target stays"), files.new_folder(tmp_path / "target", refuse):
        (tmp_path / "target").mkdir()
    assert [path.name for path in tmp_path.iterdir()] == ["target"]


def test_a_folder_that_is_removed_is_there_or_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "target"
    files.remove_folder(target)
    (target / "in").mkdir(parents=True)
    monkeypatch.setattr(shutil, "rmtree", lambda *asked, **more: None)  # it is killed at that moment
    files.remove_folder(target)
    assert not target.exists()
    (left,) = tmp_path.iterdir()
    assert scratch.prefix(".target.") in left.name, "the next command sweeps it"


def test_half_a_surrogate_pair_is_written_as_json_writes_it(tmp_path: Path) -> None:
    files.write_text(tmp_path / "a.json", '"a\udcffb 延迟"')
    assert (tmp_path / "a.json").read_text(encoding="utf-8") == '"a\\udcffb 延迟"'
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == "a\udcffb 延迟"


def test_a_file_is_written_where_dead_processes_left_theirs(tmp_path: Path) -> None:
    token = scratch.owner(os.getpid())
    assert token
    pid, start, machine = token.split("-")
    (tmp_path / f".0a1b.~{pid}-{int(start) - 1}-{machine}~abc").touch()
    for name in ("first", "second"):
        files.write_bytes(tmp_path / name, b"crop")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["first", "second"]
