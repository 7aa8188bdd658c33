"""WebDataset samples, in one archive and in shards."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from convert.common.errors import InputError
from convert.datasets import load
from convert.datasets.formats import webdataset
from convert.datasets.formats.tar import open_tar
from convert.datasets.unlabelled import load_images
from tests.convert.datasets.written_sets import CLASSES, SYNSETS, Photos, write_tar


def samples(photos: Photos, how: str) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    for i, (label, data) in enumerate(zip(photos.labels, photos.data, strict=True)):
        files[f"{i:04d}.jpg"] = data
        if how == "json":
            files[f"{i:04d}.json"] = json.dumps({"label": label, "key": i}).encode()
        else:
            files[f"{i:04d}.cls"] = f"{label}\n".encode() if how == "cls" else SYNSETS[label].encode()
    return files


@pytest.mark.parametrize("how", ["cls", "json", "names"])
def test_one_archive(tmp_path: Path, photos: Photos, how: str) -> None:
    dataset = load(write_tar(tmp_path / "val-000.tar", samples(photos, how)), CLASSES)
    assert dataset.format == "webdataset"
    assert dataset.labels == tuple(photos.labels)
    assert [dataset.read(i) for i in range(24)] == photos.data
    assert (dataset.class_names == dict(enumerate(SYNSETS))) is (how == "names")


def test_shards(tmp_path: Path, photos: Photos) -> None:
    files = list(samples(photos, "cls").items())
    for shard in range(2):
        write_tar(tmp_path / f"val-{shard}.tar", dict(files[24 * shard : 24 * (shard + 1)]))
    dataset = load(tmp_path, CLASSES)
    assert dataset.labels == tuple(photos.labels)
    assert [dataset.read(i) for i in (0, 23)] == [photos.data[0], photos.data[23]]
    assert dataset.name == f"{tmp_path.parent.name}/{tmp_path.name}/*.tar (2 shards)"
    assert len(load_images(tmp_path, "--inputs", lambda total, words: range(total)).names) == 24


def test_training_images_are_not_mixed_with_those_of_validation(tmp_path: Path, photos: Photos) -> None:
    files = list(samples(photos, "cls").items())
    for name, first in (("set-train-000001.tar", 0), ("set-train-000002.tar", 16), ("set-val-000000.tar", 32)):
        write_tar(tmp_path / name, dict(files[first : first + 16]))
    dataset = load(tmp_path, CLASSES)
    assert dataset.labels == tuple(photos.labels[16:])
    assert dataset.notes[0] == "left out: 2 archives of other splits: set-train-000001.tar, set-train-000002.tar"
    (tmp_path / "set-val-000000.tar").rename(tmp_path / "set-other-000000.tar")
    with pytest.raises(InputError, match=r"shards of training and of others .* put those that are meant in a folder"):
        load(tmp_path, CLASSES)


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.cls", b"", "a.cls: no label"),
        ("a.cls", b"99", "label 99 is out of range"),
        ("a.json", b"{", "a.json: no JSON"),
        ("a.json", b'{"label": 1, "target": 2}', "which entry is the label, label or target"),
        ("a.json", b'{"fine": 2}', "none of fine"),
        ("a.json", b'{"label": [1]}', "label is no label"),
        ("a.json", b'{"label": true}', "label is no label"),
        ("a.json", b'{"label": " "}', "label is no label"),
        ("a.json", b'{"label": 1.5}', "label is no label"),
        ("a.json", b"true", "no label in it; an entry `label` is expected"),
        ("a.json", b"[1]", "no label in it; an entry `label` is expected"),
        ("a.json", b"[" * 100_000, "a.json: no JSON"),
        ("a.cls", b"x" * 201, "a.cls: no label"),
        ("a.cls", b"cat\ndog", "a.cls: no label: 'cat.*a number or the name"),
        ("a.cls", b"\xff\xff", "a.cls: not a label"),
    ],
)
def test_labels_that_are_none(tmp_path: Path, name: str, data: bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load(write_tar(tmp_path / "a.tar", {"a.jpg": b"x", name: data}), CLASSES)


def test_an_entry_that_is_named(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "a.tar", {"a.jpg": b"x", "a.json": b'{"label": 1, "fine": 2}'})
    assert load(path, CLASSES, columns="label=fine").labels == (2,)


def test_an_image_without_a_label(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "a.tar", {"a.jpg": b"x", "a.cls": b"1", "b.jpg": b"x"})
    with pytest.raises(InputError, match=r"1 image without \.cls or \.json beside: b\.jpg"):
        load(path, CLASSES)


@pytest.mark.parametrize(
    ("files", "label"),
    [
        ({"a.CLS": b" 3 \n"}, 3),
        ({"a.cls.txt": b"3"}, 3),
        ({"a.json": b"3"}, 3),
        ({"a.json": b'"3"'}, 3),
        ({"a.json": b'{"Label": " 3 ", "x": 1}'}, 3),
        ({"a.json": b'{"label": 1}', "a.cls": b"3"}, 3),
        ({"a.json": b'{"label": 1}', "a.cls.txt": b"3"}, 3),
        ({"a.cls.txt": b"1", "a.cls": b"3"}, 3),
        ({"a.json": b'{"label": -1}'}, None),
    ],
)
def test_where_a_label_stands(tmp_path: Path, files: dict[str, bytes], label: int | None) -> None:
    path = write_tar(tmp_path / "a.tar", {"a.jpg": b"x", **files})
    if label is None:
        with pytest.raises(InputError, match=r"a\.tar, line 1: label -1 is out of range"):
            load(path, 4)
    else:
        assert load(path, 4).labels == (label,)


def test_a_name_may_be_long_and_have_several_words(tmp_path: Path) -> None:
    names = ["x" * 200, "polar bear"]
    path = write_tar(
        tmp_path / "a.tar", {"a.jpg": b"1", "a.cls": names[0].encode(), "b.jpg": b"2", "b.cls": names[1].encode()}
    )
    dataset = load(path, 2)
    assert dataset.class_names == {0: names[1], 1: names[0]}
    assert dataset.labels == (1, 0)
    assert str(dataset.order) == "assumed: sorted names of classes"


def test_samples_are_told_by_the_first_dot_and_their_folder(tmp_path: Path) -> None:
    files = {
        **{"v1.0/a.jpg": b"1", "v1.0/a.cls": b"0", "v1.1/a.seg.png": b"2", "v1.1/a.png": b"3", "v1.1/a.cls": b"1"},
        "notes.txt": b"x",
    }
    found = webdataset.samples(open_tar(write_tar(tmp_path / "a.tar", files)))
    assert found["v1.0/a.jpg"] == ("v1.0/a.cls", "cls")
    assert len(found) == 2
    with pytest.raises(InputError, match=r"1 image without \.cls or \.json beside: v1\.1/a\.(seg\.)?png"):
        load(tmp_path / "a.tar", 2)


def test_some_of_them_evenly(tmp_path: Path, photos: Photos) -> None:
    dataset = load(write_tar(tmp_path / "a.tar", samples(photos, "json")), CLASSES, CLASSES)
    assert sorted(dataset.labels) == list(range(CLASSES))
    assert dataset.description == f"{tmp_path.name}/a.tar, 7 of 24 images, evenly over its classes"


def test_an_entry_that_is_named_and_absent(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "a.tar", {"a.jpg": b"x", "a.json": b'{"label": 1, "fine": 2}'})
    with pytest.raises(InputError, match=r"which entry is the label, none of label, fine\? say it with --columns"):
        load(path, 4, columns="label=coarse")
