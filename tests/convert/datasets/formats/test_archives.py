"""Zips and tars of the forms that folders have, and WebDataset shards."""

from __future__ import annotations

import hashlib
import json
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from convert.common.errors import InputError
from convert.datasets import load
from convert.datasets.formats import zip_file
from convert.datasets.unlabelled import ImageSet, load_images
from convert.images.preprocess import UnreadableImage
from tests.convert.datasets.written_sets import CLASSES, SYNSETS, Photos, write_tar


def write_zip(file: Path, files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return file


def everything(path: Path) -> ImageSet:
    return load_images(path, "--calibration", lambda total, words: range(total))


def forms(photos: Photos) -> dict[str, dict[str, bytes]]:
    files = dict(zip(photos.names, photos.data, strict=True))
    lines = "".join(f"images/{name} {label}\n" for name, label in zip(photos.names, photos.labels, strict=True))
    tree = {f"{SYNSETS[label]}/{name}": files[name] for name, label in zip(files, photos.labels, strict=True)}
    listed = {f"images/{name}": data for name, data in files.items()}
    return {
        "list": {**listed, "val_list.txt": lines.encode()},
        "packed folder": {f"my set/{name}": data for name, data in {**listed, "val.txt": lines.encode()}.items()},
        "tree": tree,
        "splits": {f"set/val/{n}": d for n, d in tree.items()} | {f"set/train/{n}": b"x" for n in tree},
        "from a Mac": {
            **tree,
            **{f"__MACOSX/{n}": b"x" for n in tree},
            ".DS_Store": b"x",
            f"{SYNSETS[0]}/._a.png": b"x",
        },
    }


@pytest.mark.parametrize("form", ["list", "packed folder", "tree", "splits", "from a Mac"])
@pytest.mark.parametrize("packed", ["zip", "tar"])
def test_the_forms_of_folders(tmp_path: Path, photos: Photos, form: str, packed: str) -> None:
    files = forms(photos)[form]
    path = write_zip(tmp_path / "set.zip", files) if packed == "zip" else write_tar(tmp_path / "set.tar", files)
    dataset = load(path, CLASSES)
    found = {name.rsplit("/", 1)[-1]: (dataset.labels[i], dataset.read(i)) for i, name in enumerate(dataset.names)}
    assert found == photos.content()
    assert dataset.format == packed
    assert str(tmp_path) not in dataset.description
    images = everything(path)
    assert len(images.names) == len(photos.names) * (2 if form == "splits" else 1)


def test_images_in_a_zip_with_a_ground_truth_beside_it(tmp_path: Path, photos: Photos) -> None:
    path = write_zip(tmp_path / "val.zip", dict(zip(photos.names, photos.data, strict=True)), zipfile.ZIP_STORED)
    with pytest.raises(InputError, match="images without labels; give --ground-truth"):
        load(path, CLASSES)
    lines = "".join(f"{name},{label}\n" for name, label in zip(photos.names, photos.labels, strict=True))
    (tmp_path / "val_list.txt").write_text(lines)
    dataset = load(path, CLASSES)
    assert dataset.labels == tuple(photos.labels)
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(dataset.read, [i % 24 for i in range(500)])) == [photos.data[i % 24] for i in range(500)]


def test_an_image_is_the_same_wherever_it_lies(tmp_path: Path, photos: Photos) -> None:
    """What int8 was calibrated on is known by the encoded bytes."""
    files = dict(zip(photos.names, photos.data, strict=True))
    expected = [hashlib.sha256(data).hexdigest() for data in photos.data]
    for path in (write_zip(tmp_path / "a.zip", files), write_tar(tmp_path / "a.tar", files)):
        found = everything(path)
        assert [hashlib.sha256(found.read(i)).hexdigest() for i in range(24)] == expected


class TestWebDataset:
    def samples(self, photos: Photos, how: str) -> dict[str, bytes]:
        files: dict[str, bytes] = {}
        for i, (label, data) in enumerate(zip(photos.labels, photos.data, strict=True)):
            files[f"{i:04d}.jpg"] = data
            if how == "json":
                files[f"{i:04d}.json"] = json.dumps({"label": label, "key": i}).encode()
            else:
                files[f"{i:04d}.cls"] = f"{label}\n".encode() if how == "cls" else SYNSETS[label].encode()
        return files

    @pytest.mark.parametrize("how", ["cls", "json", "names"])
    def test_one_archive(self, tmp_path: Path, photos: Photos, how: str) -> None:
        dataset = load(write_tar(tmp_path / "val-000.tar", self.samples(photos, how)), CLASSES)
        assert dataset.format == "webdataset"
        assert dataset.labels == tuple(photos.labels)
        assert [dataset.read(i) for i in range(24)] == photos.data
        assert (dataset.class_names == dict(enumerate(SYNSETS))) is (how == "names")

    def test_shards(self, tmp_path: Path, photos: Photos) -> None:
        files = list(self.samples(photos, "cls").items())
        for shard in range(2):
            write_tar(tmp_path / f"val-{shard}.tar", dict(files[24 * shard : 24 * (shard + 1)]))
        dataset = load(tmp_path, CLASSES)
        assert dataset.labels == tuple(photos.labels)
        assert [dataset.read(i) for i in (0, 23)] == [photos.data[0], photos.data[23]]
        assert dataset.name == f"{tmp_path.name}/*.tar (2 shards)" or dataset.name.endswith("/*.tar (2 shards)")
        assert len(everything(tmp_path).names) == 24

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
    def test_labels_that_are_none(self, tmp_path: Path, name: str, data: bytes, message: str) -> None:
        with pytest.raises(InputError, match=message):
            load(write_tar(tmp_path / "a.tar", {"a.jpg": b"x", name: data}), CLASSES)

    def test_an_entry_that_is_named(self, tmp_path: Path) -> None:
        path = write_tar(tmp_path / "a.tar", {"a.jpg": b"x", "a.json": b'{"label": 1, "fine": 2}'})
        assert load(path, CLASSES, columns="label=fine").labels == (2,)

    def test_an_image_without_a_label(self, tmp_path: Path) -> None:
        path = write_tar(tmp_path / "a.tar", {"a.jpg": b"x", "a.cls": b"1", "b.jpg": b"x"})
        with pytest.raises(InputError, match=r"1 images have no \.cls or \.json beside them: b\.jpg"):
            load(path, CLASSES)


class TestHostileZips:
    def test_a_bomb(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(zip_file, "_BOMB_BYTES", 1 << 16)
        path = write_zip(tmp_path / "a.zip", {"a/b.bmp": bytes(1 << 20)})
        with pytest.raises(InputError, match=r"b\.bmp announces 1048576 bytes, packed into \d+: too much for an image"):
            load(path, 1)

    def test_a_size_that_no_image_has(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(zip_file, "MOST_BYTES", 100)
        path = write_zip(tmp_path / "a.zip", {"a/b.bmp": bytes(range(256))}, zipfile.ZIP_STORED)
        with pytest.raises(InputError, match="too much for an image"):
            everything(path)

    def test_paths_lead_nowhere(self, tmp_path: Path) -> None:
        (tmp_path / "secret.png").write_bytes(b"outside")
        path = write_zip(tmp_path / "a.zip", {"../secret.png": b"inside", "val_list.txt": b"../secret.png 0\n"})
        assert load(path, 1).read(0) == b"inside"
        path = write_zip(tmp_path / "b.zip", {"c.png": b"", "val_list.txt": b"../secret.png 0\n/etc/passwd 0\n"})
        with pytest.raises(InputError, match="2 of 2 images are not in the archive"):
            load(path, 1)

    @pytest.mark.parametrize("cut", [10, 200])
    def test_damage(self, tmp_path: Path, cut: int) -> None:
        path = write_zip(tmp_path / "a.zip", {"a/b.png": bytes(range(256)) * 4, "c/d.png": b"x"}, zipfile.ZIP_STORED)
        data = bytearray(path.read_bytes())
        path.write_bytes(data[:cut])
        with pytest.raises(InputError, match=r"a\.zip: the archive is damaged or cut off"):
            load(path, 2)
        data[100] ^= 1
        path.write_bytes(data)
        dataset = load(path, 2)
        with pytest.raises(UnreadableImage, match=r"b\.png cannot be read \(Bad CRC"):
            dataset.read(0)

    def test_a_password(self, tmp_path: Path) -> None:
        path = write_zip(tmp_path / "a.zip", {"a/b.png": b"x"})
        data = bytearray(path.read_bytes())
        data[6] |= 1
        data[data.index(b"PK\x01\x02") + 8] |= 1
        path.write_bytes(data)
        with pytest.raises(InputError, match="locked with a password"):
            load(path, 1)

    def test_names_in_gbk(self, tmp_path: Path) -> None:
        name = "照片/狗.png"
        path = write_zip(tmp_path / "a.zip", {name: b"x"})
        plain = bytearray(path.read_bytes().replace(name.encode(), name.encode("gbk").ljust(len(name.encode()), b"_")))
        plain[7] &= ~8 & 0xFF
        plain[plain.index(b"PK\x01\x02") + 9] &= ~8 & 0xFF
        path.write_bytes(plain)
        assert next(iter(zip_file.open_zip(path).sizes)).startswith(name)


def test_several_archives_that_are_no_shards(tmp_path: Path) -> None:
    for name in ("a.tar", "b.tar"):
        write_tar(tmp_path / name, {"x.png": b"x"})
    with pytest.raises(InputError, match=r"2 archives \(a\.tar, b\.tar\), no WebDataset; give one of them"):
        load(tmp_path, 1)
