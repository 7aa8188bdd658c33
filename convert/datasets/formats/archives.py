"""Archives as sets: whichever of the forms a folder may have, in a tar or a zip, and shards of several tars."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from convert.common.errors import InputError, listing
from convert.datasets.files import scan, short_name
from convert.datasets.formats import lists, webdataset
from convert.datasets.formats.folders import is_image_folder, load_flat, load_image_folder
from convert.datasets.formats.tar import open_tar
from convert.datasets.formats.zip_file import open_zip
from convert.datasets.image_kinds import is_image_name
from convert.datasets.labelled_set import LabelledSet
from convert.datasets.request import SetRequest
from convert.datasets.trees import ArchiveTree, Entries, walk

TAR, ZIP = "tar", "zip"
TAR_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.xz", ".tar.bz2", ".tar.zst")
_SPLITS = ("val", "validation", "valid")


def kind_of(path: Path, start: bytes) -> str | None:
    """tar, zip or None. start: the first bytes of the file."""
    name = path.name.lower()
    if start.startswith((b"PK\x03\x04", b"PK\x05\x06")) or name.endswith(".zip"):
        return ZIP
    return TAR if start[257:262] == b"ustar" or name.endswith(TAR_SUFFIXES) else None


def shards(folder: Path) -> list[Path]:
    """The tars of a folder, by name."""
    return [folder / entry.name for entry in scan(folder) if entry.name.endswith(".tar") and entry.is_file()]


def open_archive(path: Path, kind: str) -> ArchiveTree:
    """InputError: it is damaged, or holds no images."""
    tree = open_zip(path) if kind == ZIP else open_tar(path)
    if not any(is_image_name(name) for name in tree.sizes):
        raise InputError(f"{path}: no images in the archive")
    return tree


def open_shards(folder: Path, files: Sequence[Path]) -> ArchiveTree:
    """Several tars as one tree with a folder for each."""
    trees = {file.name: open_archive(file, TAR) for file in files}
    sizes = {f"{shard}/{name}": size for shard, tree in trees.items() for name, size in tree.sizes.items()}

    def fetch(name: str, count: int | None) -> bytes:
        shard, _, inner = name.partition("/")
        return trees[shard].fetch(inner, count)

    return ArchiveTree(folder, sizes, fetch)


def load_shards(folder: Path, files: Sequence[Path], request: SetRequest) -> LabelledSet:
    """Of several splits, the validation set. InputError: there is none, or they are no shards of a WebDataset."""
    used = [file for file in files if _words(file).intersection(_SPLITS)]
    others = [file.name for file in files if file not in used]
    if not used:
        training = [file for file in files if "train" in _words(file)]
        if training and len(training) < len(files):
            names = listing((file.name for file in files), 3)
            raise InputError(
                f"{folder}: shards of training and of others ({names}); put those that are meant in a folder"
            )
        used, others = list(files), []
    tree = open_shards(folder, used)
    if not webdataset.samples(tree):
        names = listing([one.name for one in used], 3)
        raise InputError(f"{folder}: {len(used)} archives ({names}), no WebDataset; give one of them")
    found = webdataset.load_webdataset(tree, f"{short_name(folder)}/*.tar ({len(used)} shards)", request)
    left = (
        [f"left out: {len(others)} archive{'s' * (len(others) > 1)} of other splits: {listing(others, 3)}"]
        if others
        else []
    )
    return replace(found, notes=(*left, *found.notes))


def _words(file: Path) -> set[str]:
    """What the name of a shard consists of: imagenet, val and 000 of `imagenet-val-000.tar`."""
    return set(re.split(r"[\W_]+", file.stem.lower()))


def load_archive(path: Path, kind: str, request: SetRequest) -> LabelledSet:
    """The set in an archive: a list, class folders, WebDataset samples, or images whose ground truth lies beside it."""
    tree = open_archive(path, kind)
    if request.ground_truth is None:
        inner = _inner(tree)
        name = next((name for name in lists.FILES if name in inner.entries().files), None)
        if name is not None:
            return lists.load_member(inner, name, request, kind)
        if webdataset.samples(tree):
            return webdataset.load_webdataset(tree, short_name(path), request)
        if is_image_folder(inner) and not _numbered(inner):
            return load_image_folder(inner, request, kind, f"{short_name(path)}{f': {inner.top}' if inner.top else ''}")
    return load_flat(tree, [name for name in walk(tree) if is_image_name(name)], request, kind)


def _numbered(tree: ArchiveTree) -> bool:
    """True for `val/ILSVRC2012_val_00000001.JPEG`: one folder alone, which is no class."""
    return len(tree.entries().folders) == 1


def _inner(tree: ArchiveTree) -> ArchiveTree:
    """Where the set begins: at a list, else in the validation split, and below folders that are alone, as when a folder
    was packed."""
    while not _has_list(found := tree.entries()):
        split = next((name for name in _SPLITS if name in found.folders and "train" in found.folders), None)
        below = split or _packed(tree, found)
        if below is None:
            break
        tree = tree.below(below)
    return tree


def _packed(tree: ArchiveTree, found: Entries) -> str | None:
    """The folder that is alone, notes beside it apart, and has more in it than images."""
    if len(found.folders) != 1 or any(map(is_image_name, found.files)):
        return None
    inner = tree.below(found.folders[0]).entries()
    return found.folders[0] if inner.folders or _has_list(inner) else None


def _has_list(found: Entries) -> bool:
    return any(name in lists.FILES for name in found.files)
