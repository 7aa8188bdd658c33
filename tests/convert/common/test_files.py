from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from convert.common import files


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
    with pytest.raises(UnicodeEncodeError):
        files.write_text(path, "\ud800")
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
