"""Tiny labelled photos, and what writes them down in each format."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np

CLASSES = 7
SYNSETS = [f"n{1440764 + 100 * label:08d}" for label in range(CLASSES)]  # in label order, so sorted
# The devkit's number of each label: another order, of which no label keeps its place or the next.
IDS = [3, 5, 7, 1, 2, 4, 6]


@dataclass(frozen=True)
class Photos:
    """names[i] is that of validation image i + 1, with its label and its encoded bytes."""

    names: list[str]
    labels: list[int]
    data: list[bytes]

    def content(self) -> dict[str, tuple[int, bytes]]:
        return dict(zip(self.names, zip(self.labels, self.data, strict=True), strict=True))


def make_photos(count: int) -> Photos:
    rng = np.random.default_rng(0)
    encoded = [cv2.imencode(".jpg", rng.integers(0, 255, (8, 9, 3), np.uint8))[1].tobytes() for _ in range(count)]
    names = [f"ILSVRC2012_val_{number:08d}.JPEG" for number in range(1, count + 1)]
    return Photos(names, [number * 3 % CLASSES for number in range(count)], encoded)


def write_folder(folder: Path, files: Mapping[str, bytes]) -> Path:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def write_list(file: Path, names: Sequence[str], labels: Sequence[int]) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(f"{name} {label}\n" for name, label in zip(names, labels, strict=True)))
    return file


def write_tar(file: Path, files: Mapping[str, bytes], mode: str = "w") -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(file, mode) as archive:  # type: ignore[call-overload]
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return file


def write_zip(file: Path, files: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return file


def write_meta(file: Path, synsets: Mapping[int, str], parents: int = 3) -> Path:
    """A meta.mat as the devkit's: classes and, behind them, synsets with children, one record each."""
    return write_folder(file.parent, {file.name: _meta(tuple(synsets.items()), parents)}) / file.name


@lru_cache
def _meta(synsets: tuple[tuple[int, str], ...], parents: int) -> bytes:
    from scipy.io import savemat

    rows = [(number, synset, 0) for number, synset in synsets]
    rows += [(len(synsets) + 1 + i, f"n9{i:07d}", 2) for i in range(parents)]
    fields = ["ILSVRC2012_ID", "WNID", "words", "num_children"]
    table = np.zeros((len(rows), 1), dtype=[(field, object) for field in fields])
    for index, (number, synset, children) in enumerate(rows):
        table[index, 0] = (float(number), synset, f"name of {synset}", float(children))
    stream = io.BytesIO()
    savemat(stream, {"synsets": table})
    return stream.getvalue()


def write_devkit(folder: Path, labels: Sequence[int], meta: bool = True) -> Path:
    """The devkit's folder with the labels in its own order."""
    data = folder / "ILSVRC2012_devkit_t12" / "data"
    data.mkdir(parents=True)
    truth = "".join(f"{IDS[label]}\n" for label in labels)
    (data / "ILSVRC2012_validation_ground_truth.txt").write_text(truth)
    if meta:
        write_meta(data / "meta.mat", {IDS[label]: synset for label, synset in enumerate(SYNSETS)})
    return data.parent


def write_parquet(
    file: Path,
    images: Sequence[tuple[str | None, bytes | None]],
    labels: Sequence[int | None],
    class_names: Sequence[str] | None = None,
    **options: Any,
) -> Path:
    import pyarrow as pa
    import pyarrow.parquet as pq

    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    metadata = None
    if class_names is not None:
        label = {"_type": "ClassLabel", "names": list(class_names)}
        metadata = {"huggingface": json.dumps({"info": {"features": {"image": {"_type": "Image"}, "label": label}}})}
    schema = pa.schema([("image", kind), ("label", pa.int64())], metadata=metadata)
    rows = [pa.array([{"path": p, "bytes": b} for p, b in images], kind), pa.array(labels, pa.int64())]
    file.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_arrays(rows, schema=schema), file, **options)
    return file


def write_set(kind: str, folder: Path, photos: Photos) -> Path:
    """The photos in a format, below a folder: what `load` is to be pointed at."""
    files = dict(zip(photos.names, photos.data, strict=True))
    if kind == "list":
        write_folder(folder / "val", files)
        return write_list(folder / "val_list.txt", [f"val/{name}" for name in photos.names], photos.labels)
    if kind == "image folder":
        trees = {f"{SYNSETS[label]}/{name}": files[name] for name, label in zip(files, photos.labels, strict=True)}
        return write_folder(folder / "val", trees)
    if kind == "flat":
        write_devkit(folder, photos.labels)
        return write_folder(folder / "ILSVRC2012_img_val", files)
    if kind == "tar":
        write_devkit(folder, photos.labels)
        return write_tar(folder / "ILSVRC2012_img_val.tar", files)
    assert kind == "parquet"
    rows = list(files.items())
    for shard, start in enumerate(range(0, len(rows), 10)):
        file = folder / "data" / f"validation-{shard:05d}-of-{-(-len(rows) // 10):05d}.parquet"
        part = slice(start, start + 10)
        write_parquet(file, rows[part], photos.labels[part], [f"name {i}" for i in range(CLASSES)], row_group_size=4)
    return folder
