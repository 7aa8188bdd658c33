"""WebDataset samples, in one archive and in shards."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from convert.common.errors import InputError
from convert.datasets import load
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
    assert dataset.name == f"{tmp_path.name}/*.tar (2 shards)" or dataset.name.endswith("/*.tar (2 shards)")
    assert len(load_images(tmp_path, "--inputs", lambda total, words: range(total)).names) == 24


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.cls", b"", "a.cls: no label"),
        ("a.cls", b"99", "label 99 is out of range"),
        ("a.json", b"{", "a.json: no JSON"),
        ("a.json", b'{"label": 1, "target": 2}', "which entry is the label, label or target"),
        ("a.json", b'{"fine": 2}', "none of fine"),
        ("a.json", b'{"label": [1]}', "label is no label"),
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
    with pytest.raises(InputError, match=r"1 images have no \.cls or \.json beside them: b\.jpg"):
        load(path, CLASSES)
