"""Where the images of a list are: beside it, below `--root`, or in the one folder nearby that has all of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from convert.common.errors import InputError, listing
from convert.datasets.files import is_file
from convert.datasets.image_kinds import is_image_name, is_junk
from convert.datasets.image_lists import unquoted
from convert.datasets.trees import ArchiveTree, joined, normal

# Of names without a suffix, as in Kaggle's LOC_val_solution.csv.
_SUFFIXES = (".JPEG", ".jpg", ".jpeg", ".png")
_NEARBY = 100  # folders that are looked into; one with more holds classes rather than sets
_BELOW = ("", "val", "images", "ILSVRC/Data/CLS-LOC/val")


@dataclass(frozen=True)
class ImagePlace:
    """folder: what names are relative to; suffix: what they lack. note: where a user should know of the folder."""

    folder: str
    suffix: str = ""
    note: str = ""


@dataclass(frozen=True)
class Files:
    """Files on disk or in an archive. exists: of a path; join: of a folder and a name. nearby: where a list's images
    may be besides the folder that they are relative to."""

    exists: Callable[[str], bool]
    join: Callable[[str, str], str]
    nearby: Callable[[], Iterator[str]]


def on_disk(folder: Path) -> Files:
    """Around the folder of a list: the folders in it, the one that it is in, and those beside it."""

    def nearby() -> Iterator[str]:
        resolved = folder.resolve()
        for near in (resolved, resolved.parent):
            inner = _folders(near)
            for place in (near, *inner):
                yield from (str(place / below) for below in _BELOW)

    return Files(lambda path: is_file(Path(path)), os.path.join, nearby)


def _folders(folder: Path) -> list[Path]:
    try:
        found = sorted(entry.name for entry in os.scandir(folder) if entry.is_dir() and not is_junk(entry.name))
    except OSError:
        return []
    return [folder / name for name in found] if len(found) <= _NEARBY else []


def in_archive(tree: ArchiveTree) -> Files:
    """Any folder of the archive."""

    def nearby() -> Iterator[str]:
        yield from sorted({name[:i] for name in tree.sizes for i, letter in enumerate(name) if letter == "/"} | {""})

    return Files(tree.sizes.__contains__, lambda folder, name: normal(joined(folder, name)), nearby)


def tidy(names: Sequence[str], exists: Callable[[str], bool]) -> list[str]:
    """The names without quotes around them, a comma behind them and backslashes in them, unless files are called so.

    exists: of a name, taken as it stands. Each is decided by the first name that it is in.
    """
    found = list(names)
    for change in (lambda name: name.rstrip(", "), unquoted, lambda name: name.replace("\\", "/")):
        first = next((name for name in found if change(name) != name), None)
        if first is not None and not exists(first):
            found = [change(name) or name for name in found]
    return found


def find(names: Sequence[str], folder: str, files: Files, rooted: bool, source: str) -> ImagePlace:
    """The place of images. names: of those in use. folder: what they should be relative to; rooted: the user said so.

    Where not all are there, it is the only other one nearby that has all; the folder itself where there is none.
    InputError: several have all.
    """
    for suffix in _suffixes(names):
        if _all_in(names, folder, suffix, files):
            return ImagePlace(folder, suffix)
    if rooted or all(Path(name).is_absolute() for name in names):
        return ImagePlace(folder)
    found: dict[str, ImagePlace] = {}
    for other in files.nearby():
        for suffix in _suffixes(names):
            if _all_in(names, other, suffix, files):
                found.setdefault(os.path.realpath(files.join(other, names[0] + suffix)), ImagePlace(other, suffix))
                break
    if len(found) > 1:
        places = listing(one.folder for one in found.values())
        raise InputError(f"{source}: its images are in each of {places}: say with --root which folder is meant")
    if not found:
        return ImagePlace(folder)
    (place,) = found.values()
    return ImagePlace(place.folder, place.suffix, f"its images are in {place.folder}, not beside the list")


def _suffixes(names: Sequence[str]) -> tuple[str, ...]:
    return ("",) if is_image_name(names[0]) else ("", *_SUFFIXES)


def _all_in(names: Sequence[str], folder: str, suffix: str, files: Files) -> bool:
    return all(files.exists(files.join(folder, name + suffix)) for name in names)
