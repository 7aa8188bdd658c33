"""Images whose labels nobody needs, for parity and calibration: all that `load` reads, plain lists and folders, and one
image alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from convert.common.errors import InputError
from convert.datasets.files import check_images, is_folder, stat_of
from convert.datasets.formats import archives, lists
from convert.datasets.formats.parquet import open_shards, parquet_files
from convert.datasets.image_kinds import left_out
from convert.datasets.load import kind_of_file, only_file
from convert.datasets.request import SetRequest
from convert.datasets.trees import ArchiveTree, DiskTree, Tree, images_and_others, read_image, walk

# Which of so many images are wanted, by their numbers. The words are their labels as the set writes them, or None.
Pick = Callable[[int, Sequence[str] | None], Sequence[int]]


@dataclass(frozen=True)
class ImageSet:
    """The images that were picked, in their order. read: the encoded bytes of image i, as in `LabelledSet`. notes: what
    a user should know, a line each."""

    names: tuple[str, ...]
    read: Callable[[int], bytes]
    notes: tuple[str, ...] = ()


def load_images(path: Path, option: str, pick: Pick) -> ImageSet:
    """The images of whatever a user may point at.

    Of a folder, all that are below it, by name; where there are none, those of the list, table, archive or shards in
    it. option: what the user called the path. InputError: there are none, a line's image is missing, or as of `load`.
    """
    try:
        found = _load(path, pick)
    except InputError as error:
        raise InputError(f"{option} {error.message}") from None
    if not found.names:
        raise InputError(f"{option} {path}: no images in it")
    return found


def _load(path: Path, pick: Pick) -> ImageSet:
    if stat_of(path) is None:
        raise InputError(f"{path}: there is no such file or folder")
    if is_folder(path):
        tree = DiskTree(path)
        images, others = images_and_others(tree, "", list(walk(tree)))
        if images:
            return _of_tree(tree, images, others, pick)
        name = next((name for name in lists.FILES if (path / name).is_file()), None)
        kind, path = ("list", path / name) if name else _inside(path)
    else:
        kind = kind_of_file(path)
    if kind == "image":
        return ImageSet((path.name,), lambda _: read_image(path))
    if kind == "list":
        return _of_list(path, pick)
    if kind == "parquet":
        rows = open_shards(path, SetRequest(), labelled=False)
        used = pick(len(rows.names), None)
        return ImageSet(tuple(rows.names[i] for i in used), lambda index: rows.read(used[index]))
    if kind == "shards":
        return _of_archive(archives.open_shards(path, archives.shards(path)), pick)
    return _of_archive(archives.open_archive(path, kind), pick)


def _inside(path: Path) -> tuple[str, Path]:
    if parquet_files(path):
        return "parquet", path
    found = only_file(path)
    if found is None:
        raise InputError(f"{path}: no images in it")
    return found


def _of_archive(tree: ArchiveTree, pick: Pick) -> ImageSet:
    images, others = images_and_others(tree, "", list(walk(tree)))
    return _of_tree(tree, images, others, pick)


def _of_tree(tree: Tree, images: list[str], others: list[str], pick: Pick) -> ImageSet:
    used = [images[i] for i in pick(len(images), None)]
    if isinstance(tree, DiskTree):
        check_images([tree.path / name for name in used], lambda _: tree.source, "the folder has changed")
    return ImageSet(tuple(used), lambda index: tree.image(used[index]), tuple(left_out(others)))


def _of_list(file: Path, pick: Pick) -> ImageSet:
    request = SetRequest()
    found = lists.open_list(file, request, labelled=False)
    if not found.listed.names:
        raise InputError(f"{file}: no images in it")
    words = [word for word in found.listed.words if word is not None]
    used = pick(len(found.listed.names), words if len(words) == len(found.listed.names) else None)
    found, names = found.place(used)
    paths = [Path(names[i]) for i in used]
    check_images(paths, lambda index: found.listed.where(used[index]), lists.hint(found, request))
    return ImageSet(
        tuple(found.listed.names[i] for i in used), lambda index: read_image(paths[index]), tuple(found.notes)
    )
