"""Parquet shards as the Hugging Face hub ships them: `data/validation-00000-of-00014.parquet`."""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path, PurePath
from typing import Any

from convert.common.errors import InputError, listing
from convert.datasets.files import head, is_folder, refuse_pointer, scan, short_name
from convert.datasets.formats.shard_reader import RowGroup, ShardReader
from convert.datasets.labelled_set import LabelledSet, by_class, check_labels, limited, whole
from convert.datasets.labels.class_names import class_labels
from convert.datasets.labels.meta import WORDNET_ID

SUFFIX = ".parquet"
_SPLITS = ("validation", "val", "valid", "dev")  # the hub's names of the split that accuracy is measured on
_SHARD = re.compile(r"(?P<split>.+)-(?P<number>[0-9]{5})-of-(?P<count>[0-9]{5})(-[0-9a-f]+)?", re.ASCII)


@dataclass(frozen=True)
class Shard:
    """What is known of a shard without its images. class_names: of its metadata, None where it has none."""

    file: Path
    groups: list[RowGroup]
    labels: list[int]
    names: list[str]
    class_names: list[str] | None


def load_parquet(path: Path, classes: int | None, limit: int | None, synsets: Path | None = None) -> LabelledSet:
    """The rows of one shard, or of all shards of the validation split in a folder or its `data/`, by name.

    Columns: `image`, a struct of `bytes` and `path`, and `label`, a whole number. Names of classes in the shards'
    metadata must be as many as the model has classes. Where the rows go class by class, a limit is spread evenly over
    them. InputError names the shard and the row.
    """
    files, name = find_shards(path)
    read = [read_shard(file) for file in files]
    starts = [0, *accumulate(len(shard.labels) for shard in read)]
    if not starts[-1]:
        raise InputError(f"{path}: no rows in it")

    def where(index: int) -> str:
        shard = bisect_right(starts, index) - 1
        return f"{read[shard].file}, row {index - starts[shard]}"

    labels = _labels(read, where, classes, synsets)
    names = [name for shard in read for name in shard.names]
    reader = ShardReader([group for shard in read for group in shard.groups])
    return limited(whole("parquet", name, names, labels, reader), limit, spread=by_class(labels))


def parquet_files(folder: Path) -> list[Path]:
    """The parquet files of a folder; where it has none, those of `data/` in it, as in a checkout from the hub."""
    for place in (folder, folder / "data"):
        if is_folder(place):
            found = [place / entry.name for entry in scan(place) if entry.name.endswith(SUFFIX) and entry.is_file()]
            if found:
                return found
    return []


def find_shards(path: Path) -> tuple[list[Path], str]:
    """The file itself; of a folder, the shards of its validation split, or of the only split that it has, by name.

    With them comes the name of the set, for records. InputError: there are several other splits, or shards of more than
    one version.
    """
    if not is_folder(path):
        return [path], short_name(path)
    splits: dict[str, list[Path]] = {}
    for file in parquet_files(path):
        splits.setdefault(split_of(file.stem), []).append(file)
    split = next((name for name in _SPLITS if name in splits), None)
    if split is None:
        if len(splits) != 1:
            raise InputError(
                f"{path}: parquet files of several splits ({listing(sorted(splits))}); give a file, or one split"
            )
        split = next(iter(splits))
    files = splits[split]
    named = f"{short_name(files[0].parent)}/{f'{split}-' if split else ''}*{SUFFIX}"
    matches = [match for file in files if (match := _SHARD.fullmatch(file.stem))]
    counts = {int(match["count"]) for match in matches}
    numbers = {int(match["number"]) for match in matches}
    if matches and (len(counts) > 1 or len(numbers) != len(files)):
        raise InputError(f"{path}: shards of more than one version of {split}: {listing(file.name for file in files)}")
    missing = matches and len(files) < max(counts)
    return files, f"{named} ({len(files)} of {max(counts)} shards)" if missing else named


def split_of(stem: str) -> str:
    """`validation` for validation-00000-of-00014 and for validation-0, nothing for 0000."""
    match = _SHARD.fullmatch(stem)
    return match["split"] if match else stem.rstrip("0123456789").rstrip("-_.")


def read_shard(file: Path) -> Shard:
    """Labels, paths and row groups of a shard. InputError: it is damaged, or has other columns."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    refuse_pointer(file, head(file))
    try:
        with pq.ParquetFile(file, pre_buffer=False) as shard:
            _check_columns(file, shard.schema_arrow)
            columns = ["label", "image.path"]
            table = shard.read(columns=columns, use_threads=False)
            sizes = [shard.metadata.row_group(number).num_rows for number in range(shard.num_row_groups)]
            metadata = shard.schema_arrow.metadata or {}
    except (OSError, pa.ArrowException) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{file}: no parquet file, or damaged or cut off ({reason})") from None
    labels = table["label"].to_pylist()
    if None in labels:
        raise InputError(f"{file}, row {labels.index(None)}: no label")
    images = table["image"].to_pylist() if "image" in table.column_names else [None] * len(labels)
    firsts = [0, *accumulate(sizes)]
    return Shard(
        file,
        [RowGroup(file, number, firsts[number], rows) for number, rows in enumerate(sizes)],
        labels,
        [_name(file, row, image) for row, image in enumerate(images)],
        _class_names(metadata.get(b"huggingface")),
    )


def _check_columns(file: Path, schema: Any) -> None:
    import pyarrow.types as types

    wanted = "a column `image` (struct of bytes and path) and a column `label` (whole number) are needed"
    absent = [name for name in ("image", "label") if name not in schema.names]
    if absent:
        raise InputError(f"{file}: no column {' and no column '.join(absent)} among {listing(schema.names)}; {wanted}")
    image, label = schema.field("image").type, schema.field("label").type
    if not types.is_integer(label):
        raise InputError(f"{file}: column label is {label}; {wanted}")
    fields = (
        {image.field(i).name: image.field(i).type for i in range(image.num_fields)} if types.is_struct(image) else {}
    )
    if "bytes" not in fields or not (types.is_binary(fields["bytes"]) or types.is_large_binary(fields["bytes"])):
        raise InputError(f"{file}: column image is {image}; {wanted}")


def _name(file: Path, row: int, image: dict[str, Any] | None) -> str:
    """The image's path in the shard, never an absolute one; the row where it has none."""
    path = PurePath((image or {}).get("path") or "")
    shown = path.name if path.is_absolute() else str(path)
    return shown if path.name else f"{file.name} row {row}"


def _class_names(metadata: bytes | None) -> list[str] | None:
    """The names of the ClassLabel feature that the hub's `datasets` writes into the schema's metadata."""
    try:
        feature = json.loads(metadata or b"")["info"]["features"]["label"]
        names = feature["names"]
    except (ValueError, LookupError, TypeError):
        return None
    return [str(name) for name in names] if isinstance(names, list) else None


def _labels(shards: list[Shard], where: Any, classes: int | None, synsets: Path | None) -> list[int]:
    """The labels of all rows, mapped by a synset list where one is given, checked against the model's classes."""
    labels = [label for shard in shards for label in shard.labels]
    first, names = shards[0].file, shards[0].class_names
    for shard in shards:
        if shard.class_names != names:
            raise InputError(f"{shard.file}: its metadata names other classes than {first.name}")
    if names is None:
        if synsets is not None:
            raise InputError(f"{first}: its metadata names no classes to look up in --synsets; leave that out")
        check_labels(labels, classes, where)
        return labels
    check_labels(labels, len(names), where)
    if synsets is not None:
        mapping = class_labels(names, str(first), classes, synsets)
        return [mapping[names[label]] for label in labels]
    if classes is not None and len(names) != classes:
        raise InputError(f"{first}: its metadata names {len(names)} classes, but the model has {classes}")
    if all(WORDNET_ID.fullmatch(name) for name in names) and names != sorted(names):
        raise InputError(
            f"{first}: the WordNet ids of its metadata are not in sorted order; give the model's with --synsets"
        )
    return labels
