"""Formats are recognised by looking, and the same content is the same set in each of them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from convert.common.errors import InputError
from convert.datasets import load
from convert.datasets.load import kind_of_file, recognise
from tests.convert.datasets.written_sets import CLASSES, Photos, write_folder, write_list, write_set

FORMATS = ["list", "image folder", "flat", "tar", "parquet"]


@pytest.mark.parametrize("kind", FORMATS)
def test_the_same_content_in_every_format(tmp_path: Path, photos: Photos, kind: str) -> None:
    dataset = load(write_set(kind, tmp_path, photos), CLASSES)
    names = [name.rsplit("/", 1)[-1] for name in dataset.names]
    found = {name: (dataset.labels[i], dataset.read(i)) for i, name in enumerate(names)}
    assert found == photos.content()
    assert dataset.format == kind
    assert dataset.listed == len(dataset.labels) == len(dataset.names) == 24
    assert dataset.sha256
    assert str(tmp_path) not in dataset.description + "".join(dataset.names)


@pytest.mark.parametrize("kind", FORMATS)
def test_what_says_images_and_labels_has_a_hash(tmp_path: Path, photos: Photos, kind: str) -> None:
    """It knows another label, and neither the place of the set nor a limit."""
    before = load(write_set(kind, tmp_path / "a", photos), CLASSES)
    assert load(write_set(kind, tmp_path / "b", photos), CLASSES).sha256 == before.sha256
    assert load(write_set(kind, tmp_path / "c", photos), CLASSES, limit=5).sha256 == before.sha256
    other = Photos(photos.names, [*photos.labels[:-1], (photos.labels[-1] + 1) % CLASSES], photos.data)
    assert load(write_set(kind, tmp_path / "d", other), CLASSES).sha256 != before.sha256


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("limit", [1, 6, 24, 1000])
def test_a_limit_in_every_format(tmp_path: Path, photos: Photos, kind: str, limit: int) -> None:
    dataset = load(write_set(kind, tmp_path, photos), CLASSES, limit)
    assert len(dataset.labels) == min(limit, 24)
    for i, name in enumerate(dataset.names):
        assert photos.content()[name.rsplit("/", 1)[-1]] == (dataset.labels[i], dataset.read(i))
    with pytest.raises(ValueError, match="at least one image"):
        load(tmp_path, CLASSES, 0)


@pytest.mark.parametrize("kind", FORMATS)
def test_classes_are_checked_in_every_format(tmp_path: Path, photos: Photos, kind: str) -> None:
    path = write_set(kind, tmp_path, photos)
    with pytest.raises(InputError) as caught:
        load(path, CLASSES - 1)
    assert "\n" not in caught.value.message
    assert load(path).labels == load(path, CLASSES).labels


@pytest.mark.parametrize("kind", FORMATS)
def test_options_that_a_format_does_not_take(tmp_path: Path, photos: Photos, kind: str) -> None:
    path = write_set(kind, tmp_path / "set", photos)
    if kind != "list":
        with pytest.raises(InputError, match=r"--root is for lists"):
            load(path, CLASSES, root=tmp_path)
    if kind not in ("flat", "tar"):
        truth = write_list(tmp_path / "truth.txt", photos.names, photos.labels)
        with pytest.raises(InputError, match=r"--ground-truth is for a flat folder or an archive"):
            load(path, CLASSES, ground_truth=truth)


def test_a_ground_truth_goes_before_a_list_in_the_folder(tmp_path: Path, photos: Photos) -> None:
    write_folder(tmp_path, dict(zip(photos.names, photos.data, strict=True)))
    write_list(tmp_path / "val_list.txt", photos.names, photos.labels)
    other = write_list(tmp_path / "other.txt", photos.names[:3], [6, 6, 6])
    assert load(tmp_path, CLASSES).labels == tuple(photos.labels)
    assert load(tmp_path, CLASSES, ground_truth=other).labels == (6, 6, 6)


def test_images_of_any_name_with_a_ground_truth(tmp_path: Path) -> None:
    write_folder(tmp_path / "photos", {"cat.png": b"1", "dog.png": b"2"})
    with pytest.raises(InputError, match="2 images, and nothing that says their labels; give them with --ground-truth"):
        load(tmp_path / "photos", 2)
    truth = write_list(tmp_path / "truth.txt", ["dog.png", "cat.png"], [0, 1])
    assert load(tmp_path / "photos", 2, ground_truth=truth).names == ("dog.png", "cat.png")


@pytest.mark.parametrize(
    ("files", "kind", "place"),
    [
        (["val.csv", "a.png"], "list", "val.csv"),
        (["val.txt", "val_list.txt", "data/x.parquet"], "list", "val_list.txt"),
        (["x.parquet", "ant/1.png"], "parquet", ""),
        (["data/x.parquet"], "parquet", ""),
        (["ILSVRC2012_val_00000001.JPEG", "x.png", "ant/1.png"], "flat", ""),
        (["1_n01440764.JPEG", "2_n01440764.JPEG"], "flat", ""),
        (["1_n01440764.JPEG", "2.JPEG"], None, ""),
        (["1_n01440764.JPEG", "2.JPEG", "ant/1.png"], "image folder", ""),
        (["ILSVRC2012_img_val.tar", "ant/1.png", "b.tar"], "tar", "ILSVRC2012_img_val.tar"),
        (["ant/1.png", "b.tar", "c.zip"], "image folder", ""),
        (["x.CSV", "b.tar"], "list", "x.CSV"),
        (["x.tsv"], "list", "x.tsv"),
        (["x.Zip", "b.tar"], "zip", "x.Zip"),
        (["b.tar"], "tar", "b.tar"),
        (["b.tar", "c.tar"], "shards", ""),
        (["x.csv", "y.tsv"], None, ""),
        (["x.csv", "y.zip"], None, ""),
        (["y.zip", "z.zip"], None, ""),
        (["y.zip/a.md", "x.csv/a.md", "b.tar/a.md"], None, ""),
        (["train/ant/1.png"], None, ""),
        (["x.md"], None, ""),
    ],
)
def test_what_a_folder_is(tmp_path: Path, files: list[str], kind: str | None, place: str) -> None:
    write_folder(tmp_path, dict.fromkeys(files, b""))
    if kind is None:
        with pytest.raises(InputError):
            recognise(tmp_path, False)
    else:
        assert recognise(tmp_path, False) == (kind, tmp_path / place)


@pytest.mark.parametrize(
    ("files", "kind"), [(["val.csv", "a.png"], "flat"), (["ant/1.png"], "image folder"), (["val.txt", "b.tar"], "tar")]
)
def test_what_a_folder_is_when_labels_are_given(tmp_path: Path, files: list[str], kind: str) -> None:
    write_folder(tmp_path, dict.fromkeys(files, b""))
    assert recognise(tmp_path, True)[0] == kind


@pytest.mark.parametrize(
    ("name", "data", "kind"),
    [
        ("a", b"PAR1...", "parquet"),
        ("a.Parquet", b"", "parquet"),
        ("a", b"PK\x03\x04", "zip"),
        ("a.tar", b"", "tar"),
        ("a.png", b"", "image"),
        ("a", b"GIF89a", "image"),
        (".a.png", b"", "image"),
        ("a.txt", b"GIF89a", "list"),
        ("a", b"a.png 0", "list"),
    ],
)
def test_what_a_file_is(tmp_path: Path, name: str, data: bytes, kind: str) -> None:
    (tmp_path / name).write_bytes(data)
    assert kind_of_file(tmp_path / name) == kind


def test_what_a_folder_without_a_set_has_is_said(tmp_path: Path) -> None:
    write_folder(tmp_path, dict.fromkeys(["train/ant/1.png", "my_val/ant/1.png", "notes.md"], b""))
    with pytest.raises(InputError, match=r"left out: 1 file that is no image: notes\.md; did you mean .*/my_val\?$"):
        load(tmp_path, 1)
    write_folder(tmp_path / "b", dict.fromkeys(["train/ant/1.png", "empty/x.md"], b""))
    with pytest.raises(InputError, match=r"known layout; did you mean .*/b/train\?$"):
        load(tmp_path / "b", 1)
    for name in ("x.csv", "y.csv"):
        (tmp_path / "b" / "empty" / name).touch()
    with pytest.raises(InputError, match=r"holds x\.csv, y\.csv; give the one that is meant"):
        load(tmp_path / "b" / "empty", 1)


@pytest.mark.parametrize(
    ("files", "kind"), [(["ILSVRC2012_val_00000001.JPEG"], "a flat folder"), (["ant/1.png"], "a tree of class folders")]
)
def test_columns_are_for_what_has_some(tmp_path: Path, files: list[str], kind: str) -> None:
    write_folder(tmp_path, dict.fromkeys(files, b""))
    with pytest.raises(InputError, match=rf"--columns is for csv, parquet and json; .* is {kind}"):
        load(tmp_path, 1, columns="label=x")
    with pytest.raises(InputError, match=rf"--root is for lists of .* is {kind}"):
        load(tmp_path, 1, root=tmp_path)


def test_columns_of_what_has_some(tmp_path: Path) -> None:
    write_folder(tmp_path, {"x.csv": b"path,a,label\nant/1.png,1,0\n", "ant/1.png": b""})
    assert load(tmp_path / "x.csv", 2, columns="label=a").labels == (1,)
    assert load(tmp_path / "x.csv", 2).labels == (0,)


def test_a_limit_must_be_one_at_least(tmp_path: Path) -> None:
    write_folder(tmp_path, {"ant/1.png": b"", "ant/2.png": b""})
    assert len(load(tmp_path, 1, 1).labels) == 1
    with pytest.raises(ValueError, match="limit 0: at least one image is needed"):
        load(tmp_path, 1, 0)


def test_what_it_is_shows_where_the_name_does_not(tmp_path: Path, photos: Photos) -> None:
    for kind, name in (("tar", "ILSVRC2012_img_val.tar"), ("parquet", "data/validation-00000-of-00003.parquet")):
        write_set(kind, tmp_path / kind, photos)
        (tmp_path / kind / name).rename(tmp_path / kind / "download")
        assert recognise(tmp_path / kind / "download", False)[0] == kind


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("absent", "no such file or folder; known are a list"),
        ("a\0b", "no such file or folder"),
        ("empty", "holds no val_list.txt and no images in a known layout; known are a list"),
        ("inside", "did you mean"),
        ("photo.jpg", "an image where a labelled set should be"),
        ("pipe", "neither a file nor a folder"),
        ("list", "holds no val_list.txt"),
    ],
)
def test_what_is_none(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "list" / "val_list.txt").mkdir(parents=True)
    write_folder(tmp_path, {"photo.jpg": b"x", "inside/val/ant/a.png": b"x"})
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError) as caught:
        load(tmp_path / name, 1)
    assert message in caught.value.message
    assert name in caught.value.message or "\0" in name
    assert "\n" not in caught.value.message


def test_the_current_folder_has_a_name(tmp_path: Path, photos: Photos, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(write_set("image folder", tmp_path, photos))
    assert load(Path(), CLASSES).name == f"{tmp_path.name}/val"


def test_real_photos_in_a_tree(tmp_path: Path, shared_data: Path) -> None:
    listed = load(shared_data / "ilsvrc_val_134", 1000)
    files = {
        f"{label:04d}/{Path(name).name}": listed.read(i)
        for i, (name, label) in enumerate(zip(listed.names, listed.labels, strict=True))
    }
    write_folder(tmp_path / "val", files)
    (tmp_path / "classes.txt").write_text("\n".join(f"{label:04d}" for label in range(1000)))
    tree = load(tmp_path / "val", 1000, synsets=tmp_path / "classes.txt")
    assert sorted(tree.labels) == sorted(listed.labels)
    assert {name.rsplit("/", 1)[1]: tree.read(i) for i, name in enumerate(tree.names)} == {
        Path(name).name: listed.read(i) for i, name in enumerate(listed.names)
    }
