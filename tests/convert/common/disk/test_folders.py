"""A folder that cannot be written into is refused before anything is done."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from convert.common.disk.folders import refuse
from convert.common.errors import InputError


def test_a_folder_that_is_there_or_can_be_made(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "new", tmp_path / "new" / "below, it's"):
        refuse(path, "--out")
    assert not list(tmp_path.iterdir())


def test_a_file_is_no_folder_and_has_none_below_it(tmp_path: Path) -> None:
    file = tmp_path / "results.txt"
    file.write_text("mine")
    with pytest.raises(InputError, match=r"^--out: that is a file, and a folder is needed"):
        refuse(file, "--out", perhaps=True)
    with pytest.raises(InputError, match=rf"^--out: {file} is a file"):
        refuse(file / "a" / "b", "--out")


def test_a_link_to_nothing_and_a_name_that_there_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    with pytest.raises(InputError, match="a link to nothing"):
        refuse(tmp_path / "link" / "x", "--out")
    with pytest.raises(InputError, match="no folder can have this name"):
        refuse(tmp_path / ("n" * 300), "--out")


def test_a_folder_that_may_not_be_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: path != tmp_path)
    with pytest.raises(InputError, match=rf"{tmp_path} cannot be written to; choose another folder"):
        refuse(tmp_path / "new", "--out")
    refuse(tmp_path / "new", "--artifacts", perhaps=True)
