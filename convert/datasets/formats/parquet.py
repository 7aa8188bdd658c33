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
from convert.datasets.formats.shard_columns import choose_columns
from convert.datasets.formats.shard_reader import RowGroup, ShardReader
from convert.datasets.labelled_set import LabelledSet, check_labels, limited, whole
from convert.datasets.labels.class_names import Known, by_known_names, named_labels
from convert.datasets.labels.class_order import ClassOrder
from convert.datasets.labels.meta import WORDNET_ID
from convert.datasets.labels.words import MappedLabels, of_words
from convert.datasets.request import SetRequest
from convert.datasets.tables import Columns

SUFFIX = ".parquet"
_SPLITS = ("validation", "val", "valid", "dev")  # the hub's names of the split that accuracy is measured on
_SHARD = re.compile(r"(?P<split>.+)-(?P<number>[0-9]{5})-of-(?P<count>[0-9]{5})(-[0-9a-f]+)?", re.ASCII)


@dataclass(frozen=True)
class Shard:
    """What is known of a shard without its images. class_names: of its metadata, None where it has none. labels: empty
    where they were not asked for. column: the one with the images."""

    file: Path
    groups: list[RowGroup]
    labels: list[int] | list[str]
    names: list[str]
    class_names: list[str] | None
    column: str


def load_parquet(path: Path, request: SetRequest) -> LabelledSet:
    """The rows of one shard, or of all shards of the validation split in a folder or its `data/`, by name.

    Columns: images, a struct of `bytes` and `path` or bytes alone, and labels, whole numbers or names; `--columns` says
    which. Names of classes in the shards' metadata must be as many as the model has classes. InputError names the shard
    and the row.
    """
    rows = open_shards(path, request)

    def where(index: int) -> str:
        shard = bisect_right(rows.starts, index) - 1
        return f"{rows.shards[shard].file}, row {index - rows.starts[shard]}"

    mapped = _labels(rows.shards, where, Known(request.classes, request.own, request.synsets))
    found = whole(
        "parquet", rows.name, rows.names, mapped.labels, rows.read, class_names=mapped.class_names, order=mapped.order
    )
    return limited(found, request.limit)


@dataclass(frozen=True)
class ShardRows:
    """The rows of several shards. starts: the number of the first row of each, and of all rows at last."""

    name: str
    shards: list[Shard]
    starts: list[int]
    names: list[str]
    read: ShardReader


def open_shards(path: Path, request: SetRequest, labelled: bool = True) -> ShardRows:
    """The rows of a file or of the shards in a folder, see `find_shards`. InputError: there are none."""
    files, name = find_shards(path)
    shards = [read_shard(file, request.columns, labelled) for file in files]
    names = [name for shard in shards for name in shard.names]
    if not names:
        raise InputError(f"{path}: no rows in it")
    columns = {shard.column for shard in shards}
    if len(columns) > 1:
        raise InputError(f"{path}: its shards have their images in different columns ({listing(sorted(columns))})")
    reader = ShardReader([group for shard in shards for group in shard.groups], columns.pop())
    return ShardRows(name, shards, [0, *accumulate(len(shard.names) for shard in shards)], names, reader)


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


def read_shard(file: Path, columns: Columns | None = None, labelled: bool = True) -> Shard:
    """Labels, paths and row groups of a shard. InputError: it is damaged, or has other columns."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    refuse_pointer(file, head(file))
    try:
        with pq.ParquetFile(file, pre_buffer=False) as shard:
            image, label = choose_columns(file, shard.schema_arrow, columns or Columns(), labelled)
            wanted = [f"{image}.path", *([label] if label is not None else [])]
            table = shard.read(columns=wanted, use_threads=False)
            sizes = [shard.metadata.row_group(number).num_rows for number in range(shard.num_row_groups)]
            metadata = shard.schema_arrow.metadata or {}
    except (OSError, pa.ArrowException) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{file}: no parquet file, or damaged or cut off ({reason})") from None
    labels = table[label].to_pylist() if label is not None else []
    if None in labels:
        raise InputError(f"{file}, row {labels.index(None)}: no label")
    images = table[image].to_pylist() if image in table.column_names else [None] * sum(sizes)
    firsts = [0, *accumulate(sizes)]
    return Shard(
        file,
        [RowGroup(file, number, firsts[number], rows) for number, rows in enumerate(sizes)],
        labels,
        [_name(file, row, image) for row, image in enumerate(images)],
        _class_names(metadata.get(b"huggingface"), label),
        image,
    )


def _name(file: Path, row: int, image: dict[str, Any] | None) -> str:
    """The image's path in the shard, never an absolute one; the row where it has none."""
    path = PurePath((image or {}).get("path") or "")
    shown = path.name if path.is_absolute() else str(path)
    return shown if path.name else f"{file.name} row {row}"


def _class_names(metadata: bytes | None, label: str | None) -> list[str] | None:
    """The names of the ClassLabel feature that the hub's `datasets` writes into the schema's metadata."""
    try:
        feature = json.loads(metadata or b"")["info"]["features"][label]
        names = feature["names"]
    except (ValueError, LookupError, TypeError):
        return None
    return [str(name) for name in names] if isinstance(names, list) else None


def _labels(shards: list[Shard], where: Any, known: Known) -> MappedLabels:
    """The labels of all rows, mapped by a synset list where one is given, checked against the model's classes."""
    labels: list[Any] = [label for shard in shards for label in shard.labels]
    first, names = shards[0].file, shards[0].class_names
    for shard in shards:
        if shard.class_names != names:
            raise InputError(f"{shard.file}: its metadata names other classes than {first.name}")
    kinds = {type(label) for label in labels}
    if kinds == {str}:
        return of_words(labels, str(first), known.classes, known.synsets, own=known.own)
    if kinds != {int}:
        raise InputError(f"{first}: the labels of its shards are numbers in some and names in others")
    if names is None:
        if known.synsets is not None:
            raise InputError(f"{first}: its metadata names no classes to look up in --synsets; leave that out")
        check_labels(labels, known.classes, where)
        return MappedLabels(labels)
    check_labels(labels, len(names), where)
    distinct = len(set(names)) == len(names)
    found = named_labels(names, str(first), known) if known.synsets else None
    if found is None and distinct:
        found = by_known_names(names, str(first), known)
    if found is not None:
        by_label = {label: name for name, label in found.labels.items()}
        return MappedLabels([found.labels[names[label]] for label in labels], by_label, order=found.order)
    if known.classes is not None and len(names) != known.classes:
        raise InputError(f"{first}: its metadata names {len(names)} classes, but the model has {known.classes}")
    if all(WORDNET_ID.fullmatch(name) for name in names) and names != sorted(names):
        raise InputError(
            f"{first}: the WordNet ids of its metadata are not in sorted order; give the model's with --synsets"
        )
    return MappedLabels(labels, dict(enumerate(names)), order=ClassOrder("in the order of its metadata"))
