"""Which parquet files of a folder are one set: the shards of one split, by their names."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from convert.common.errors import InputError, listing
from validate.datasets.files import is_folder, scan, short_name

SUFFIX = ".parquet"
_SPLITS = ("validation", "val", "valid", "dev")  # the hub's names of the split that accuracy is measured on
_SHARD = re.compile(r"(?P<split>.+)-(?P<number>[0-9]{5})-of-(?P<count>[0-9]{5})(-[0-9a-f]+)?", re.ASCII)


@dataclass(frozen=True)
class Shards:
    """The files of a set, by name. name: of the set, for records."""

    files: list[Path]
    name: str


def parquet_files(folder: Path) -> list[Path]:
    """The parquet files of a folder; where it has none, those of `data/` in it, as in a checkout from the hub."""
    for place in (folder, folder / "data"):
        if is_folder(place):
            found = [place / entry.name for entry in scan(place) if entry.name.endswith(SUFFIX) and entry.is_file()]
            if found:
                return found
    return []


def find_shards(path: Path) -> Shards:
    """The file itself; of a folder, the shards of its validation split, or of the only split that it has.

    InputError: there are several others, or shards of more than one version.
    """
    if not is_folder(path):
        return Shards([path], short_name(path))
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
    named = f"{short_name(files[0].parent)}/{split}-*{SUFFIX}" if split else f"{short_name(files[0].parent)}/*{SUFFIX}"
    matches = [match for file in files if (match := _SHARD.fullmatch(file.stem))]
    counts = {int(match["count"]) for match in matches}
    numbers = {int(match["number"]) for match in matches}
    if matches and (len(counts) > 1 or len(numbers) != len(files)):
        raise InputError(f"{path}: shards of more than one version of {split}: {listing(file.name for file in files)}")
    missing = matches and len(files) < max(counts)
    return Shards(files, f"{named} ({len(files)} of {max(counts)} shards)" if missing else named)


def split_of(stem: str) -> str:
    """`validation` for validation-00000-of-00014 and for validation-0, nothing for 0000."""
    match = _SHARD.fullmatch(stem)
    return match["split"] if match else stem.rstrip("0123456789").rstrip("-_.")
