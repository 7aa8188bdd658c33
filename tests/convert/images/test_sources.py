"""Images of a folder, of a list, and one alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from convert.common.errors import InputError
from convert.images import sources
from convert.images.sources import ImageFile


def test_a_folder_is_read_by_name_all_the_way_down(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    for name in ("b/2.JPG", "a.png", "notes.md"):
        (tmp_path / name).touch()
    assert sources.read(tmp_path, "--images") == [
        ImageFile("a.png", tmp_path / "a.png"),
        ImageFile("b/2.JPG", tmp_path / "b" / "2.JPG"),
    ]


def test_a_list_may_have_labels_and_paths_with_spaces(tmp_path: Path) -> None:
    text = "\ufeffd.png 3\r\na b.png 1\n\nc.png\n2024 05.png\nlast 7"
    file = tmp_path / "list.txt"
    file.write_text(text, encoding="utf-8")
    found = sources.read(file, "--images")
    assert [(image.name, image.label) for image in found] == [
        ("d.png", 3),
        ("a b.png", 1),
        ("c.png", None),
        ("2024 05.png", None),
        ("last", 7),
    ]
    assert found[1].path == tmp_path / "a b.png"


def test_one_image_is_itself(tmp_path: Path) -> None:
    file = tmp_path / "one.webp"
    file.touch()
    assert sources.read(file, "--images") == [ImageFile("one.webp", file)]


def test_nothing_there_is_named_by_its_option(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"--images .*no such file or folder"):
        sources.read(tmp_path / "missing", "--images")
    with pytest.raises(InputError, match=r"--images .*no images in it"):
        sources.read(tmp_path, "--images")
