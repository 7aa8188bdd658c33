"""Where the images of a list are."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from convert.common.errors import InputError
from convert.datasets.formats import list_places
from convert.datasets.formats.list_places import Files, ImagePlace, find, in_archive, on_disk, tidy
from convert.datasets.trees import ArchiveTree
from tests.convert.datasets.written_sets import write_folder


def files(*there: str, nearby: tuple[str, ...] = ()) -> Files:
    return Files(there.__contains__, lambda folder, name: f"{folder}/{name}", lambda: iter(nearby))


@pytest.mark.parametrize(
    ("names", "there", "found"),
    [
        (["a,", "b, "], [], ["a", "b"]),
        (["a", "'b'"], [], ["a", "b"]),
        (["a\\b", "c"], [], ["a/b", "c"]),
        (["a", "c\\d"], ["c\\d"], ["a", "c\\d"]),
        (["'x\\y',"], [], ["x/y"]),
        (["'b'"], ["'b'"], ["'b'"]),
        (["a,"], ["a,"], ["a,"]),
        ([", "], [], [", "]),
        (["''"], [], ["''"]),
        ([], [], []),
    ],
)
def test_names_are_tidied_unless_files_are_called_so(names: list[str], there: list[str], found: list[str]) -> None:
    assert tidy(names, there.__contains__) == found


def test_beside_the_list_goes_before_all_else() -> None:
    place = files("l/a.png", "l/b.png", "m/a.png", "m/b.png", nearby=("m",))
    assert find(["a.png", "b.png"], "l", place, False, "s") == ImagePlace("l")


def test_the_only_folder_nearby_that_has_all() -> None:
    place = files("l/a.png", "m/a.png", "m/b.png", "n/b.png", nearby=("k", "l", "n", "m"))
    found = find(["a.png", "b.png"], "l", place, False, "s")
    assert found == ImagePlace("m", "", "its images are in m, not beside the list")
    assert find(["a.png", "b.png"], "l", place, True, "s") == ImagePlace("l")  # the user said so
    assert find(["a.png", "c.png"], "l", place, False, "s") == ImagePlace("l")
    assert find(["/a.png", "b.png"], "x", files("m//a.png", "m/b.png", nearby=("m",)), False, "s").folder == "m"
    assert find(["/a.png", "/b.png"], "x", files("m//a.png", "m//b.png", nearby=("m",)), False, "s").folder == "x"


def test_several_are_refused_and_one_with_two_names_is_one(tmp_path: Path) -> None:
    write_folder(tmp_path, {"m/a.png": b"", "n/a.png": b""})
    (tmp_path / "link").symlink_to(tmp_path / "m")
    places = [str(tmp_path / name) for name in ("m", "link", "n")]

    def around(*nearby: str) -> Files:
        return Files(lambda path: Path(path).is_file(), lambda folder, name: f"{folder}/{name}", lambda: iter(nearby))

    assert find(["a.png"], "l", around(*places[:2]), False, "s").folder == places[0]
    with pytest.raises(InputError, match=r"^s: its images are in each of .*/m, .*/n: say with --root which folder"):
        find(["a.png"], "l", around(*places), False, "s")


@pytest.mark.parametrize("suffix", ["", ".JPEG", ".jpg", ".jpeg", ".png"])
def test_a_suffix_that_names_lack(suffix: str) -> None:
    here = files(f"l/a{suffix}", f"l/b{suffix}", nearby=("m",))
    assert find(["a", "b"], "l", here, False, "s") == ImagePlace("l", suffix)
    there = files(f"m/a{suffix}", f"m/b{suffix}", nearby=("k", "m"))
    found = find(["a", "b"], "l", there, False, "s")
    assert (found.folder, found.suffix) == ("m", suffix)
    assert find(["a.png"], "l", files("l/a.png.jpg"), False, "s") == ImagePlace("l")


def test_the_first_suffix_that_all_have() -> None:
    both = files("m/a.jpg", "m/a.png", "m/b.png", "m/a.JPEG", nearby=("m",))
    assert find(["a", "b"], "l", both, False, "s").suffix == ".png"
    assert find(["a"], "l", both, False, "s").suffix == ".JPEG"


def test_around_a_list_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["set/lists/x.txt", "set/lists/in/y", "set/lists/.git/y", "set/other/y", "set/Thumbs.db/y", "far/y"]
    write_folder(tmp_path, dict.fromkeys(names, b""))
    around = on_disk(tmp_path / "set" / "lists")
    found = list(around.nearby())
    relative = [str(Path(place).relative_to(tmp_path)) for place in found]
    assert relative[:4] == ["set/lists", "set/lists/val", "set/lists/images", "set/lists/ILSVRC/Data/CLS-LOC/val"]
    assert relative[4] == "set/lists/in"
    assert [place for place in relative if place.count("/") < 2] == [
        "set/lists",
        "set",
        "set/val",
        "set/images",
        "set/lists",
        "set/other",
    ]
    assert around.exists(str(tmp_path / "set/lists/x.txt"))
    assert not around.exists(str(tmp_path / "set/lists"))
    monkeypatch.setattr(list_places, "_NEARBY", 2)
    assert list(on_disk(tmp_path / "set" / "lists").nearby()) == found
    monkeypatch.setattr(list_places, "_NEARBY", 1)
    assert not any("other" in place for place in on_disk(tmp_path / "set" / "lists").nearby())
    assert len(list(on_disk(tmp_path / "absent" / "too").nearby())) == 8


def test_around_a_list_in_an_archive(tmp_path: Path) -> None:
    sizes = dict.fromkeys(["l/x.txt", "a/b/1.png", "a/2.png"], 1)
    around = in_archive(ArchiveTree(tmp_path / "a.zip", sizes, lambda name, count: b""))
    assert list(around.nearby()) == ["", "a", "a/b", "l"]
    assert around.join("a/b", "../2.png") == "a/2.png"
    assert around.exists(around.join("l", "./x.txt"))
    assert not around.exists("a")


def test_folders_nearby_come_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("b", "a", "c"):
        (tmp_path / "set" / name).mkdir(parents=True)
    there = list(os.scandir(tmp_path / "set"))
    for order in (there, there[::-1]):
        monkeypatch.setattr(os, "scandir", lambda folder, order=order: order)
        nearby = [Path(place).name for place in on_disk(tmp_path / "set").nearby()]
        assert [name for name in nearby if name in "abc"][:3] == ["a", "b", "c"]
