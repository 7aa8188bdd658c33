"""Sets that are a list or a table of images, on disk or in an archive."""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from convert.common.errors import InputError
from convert.datasets.files import GB18030, UTF_8, check_images, decoded, is_folder, read_bytes, short_name
from convert.datasets.formats import list_places
from convert.datasets.formats.list_places import Files
from convert.datasets.image_lists import LIST_FILE, LabelledList
from convert.datasets.labelled_set import LabelledSet, choose, limited, whole
from convert.datasets.labels import words
from convert.datasets.labels.devkit import find_meta
from convert.datasets.labels.label_files import find_names, find_order
from convert.datasets.request import SetRequest
from convert.datasets.tables import entries
from convert.datasets.trees import ArchiveTree, DiskTree, Tree, joined, normal, read_image

# What says the images of a folder's validation set, the first that is there: PaddleClas', PaddleX', Kaggle's, others'.
FILES = (LIST_FILE, "val.txt", "LOC_val_solution.csv", "val.csv", "val.tsv", "val_labels.csv")

_WHAT = "a list of `path label` lines"


@dataclass(frozen=True)
class OpenList:
    """A list that was read, and where its images are looked for. data: the file. notes: of its encoding."""

    listed: LabelledList
    data: bytes
    notes: list[str]
    folder: str
    files: Files
    rooted: bool

    def place(self, used: Sequence[int]) -> tuple[OpenList, list[str]]:
        """With what the names of the images in use lack, and the paths of all."""
        names = [self.listed.names[i] for i in used]
        where = list_places.find(names, self.folder, self.files, self.rooted, self.listed.source)
        listed = replace(self.listed, names=[name + where.suffix for name in self.listed.names])
        notes = [*self.notes, *([where.note] if where.note else [])]
        paths = [self.files.join(where.folder, name) for name in listed.names]
        return replace(self, listed=listed, notes=notes), paths


def open_list(file: Path, request: SetRequest, labelled: bool = True) -> OpenList:
    """A file on disk. InputError: it cannot be read as a list or a table."""
    if request.root is not None and not is_folder(request.root):
        raise InputError(f"--root {request.root}: no such folder")
    folder = file.parent if request.root is None else request.root
    data = read_bytes(file, _WHAT)
    return _opened(data, str(file), str(folder), list_places.on_disk(file.parent), request, labelled)


def open_member(tree: ArchiveTree, name: str, request: SetRequest) -> OpenList:
    """A file of an archive; paths may be relative to any folder of it."""
    folder = joined(tree.top, posixpath.dirname(name))
    source = f"{tree.source}/{name}"
    return _opened(tree.text(name, _WHAT), source, folder, list_places.in_archive(tree), request, labelled=True)


def _opened(data: bytes, source: str, folder: str, files: Files, request: SetRequest, labelled: bool) -> OpenList:
    text, encoding = decoded(data, source, _WHAT)
    listed = entries(text, source, request.columns, labelled)
    if encoding == UTF_8 and not text.isascii() and (other := _in_gbk(data, listed, folder, files)):
        listed, encoding = entries(other, source, request.columns, labelled), GB18030
    names = list_places.tidy(listed.names, lambda name: files.exists(files.join(folder, name)))
    notes = [] if encoding == UTF_8 else [f"read as {encoding}"]
    return OpenList(replace(listed, names=names), data, notes, folder, files, request.root is not None)


def _in_gbk(data: bytes, listed: LabelledList, folder: str, files: Files) -> str | None:
    """The text of a list in GBK that happens to be UTF-8 too, as the word for pictures does: told by the files."""

    def there(name: str) -> bool:
        return files.exists(files.join(folder, name.replace("\\", "/")))

    odd = next((name for name in listed.names if not name.isascii()), None)
    if odd is None or there(odd):
        return None
    try:
        return data.decode(GB18030) if there(odd.encode().decode(GB18030)) else None
    except UnicodeDecodeError:
        return None


def load_list(file: Path, request: SetRequest) -> LabelledSet:
    """Read a list of `path label` lines, as PaddleClas' `val_list.txt`, and make sure that the images in use exist.

    Paths are relative to --root, else to the list's folder, else to the one nearby that has all of them. Labels in the
    devkit's order are recognised where the list has its first images, and mapped by meta.mat. InputError names the line
    when one is malformed, its label out of range or its image there before, and counts the files that are missing.
    """
    found = open_list(file, request)
    mapped = _labels(found.listed, [DiskTree(file.parent), DiskTree(file.parent.parent)], request, file.parent)
    used = choose(mapped.labels, request.limit)
    found, names = found.place(used)
    paths = [Path(name) for name in names]
    check_images([paths[i] for i in used], lambda index: found.listed.where(used[index]), hint(found, request))
    return _set("list", short_name(file), found, mapped, lambda index: read_image(paths[index]), request)


def load_member(tree: ArchiveTree, name: str, request: SetRequest, format: str) -> LabelledSet:
    """Likewise of a list in an archive, whose images are in it too."""
    found = open_member(tree, name, request)
    mapped = _labels(found.listed, [tree], request, tree.path.parent)
    used = choose(mapped.labels, request.limit)
    found, paths = found.place(used)
    refuse_missing(tree, found, paths, used)
    title = f"{short_name(tree.path)} with {name}"
    return _set(format, title, found, mapped, lambda index: tree.fetch(paths[index], None), request)


def hint(found: OpenList, request: SetRequest) -> str:
    """What a user should know whose images are missing."""
    encoding = f"; {', '.join(found.notes)}" if found.notes else ""
    if request.root is not None:
        return f"paths are relative to --root {request.root}{encoding}"
    return f"paths are relative to the list's folder, or to another one that is named with --root{encoding}"


def refuse_missing(tree: ArchiveTree, found: OpenList, paths: Sequence[str], used: Sequence[int]) -> None:
    """InputError where images in use are not in the archive."""
    missing = [i for i in used if paths[i] not in tree.sizes]
    if missing:
        count = f"{len(missing)} of {len(used)} images are not in the archive"
        raise InputError(f"{found.listed.where(missing[0])}: {count}, the first is {found.listed.names[missing[0]]}")


def _labels(listed: LabelledList, trees: Sequence[Tree], request: SetRequest, folder: Path) -> words.MappedLabels:
    listed.refuse_unlabelled()
    listed.refuse_duplicates(map(normal, listed.names))
    return words.of_list(
        listed,
        request.classes,
        request.synsets,
        find_meta(folder, request.synsets),
        find_order(trees),
        find_names(trees[0]),
        request.own,
    )


def _set(
    format: str,
    name: str,
    found: OpenList,
    mapped: words.MappedLabels,
    read: Callable[[int], bytes],
    request: SetRequest,
) -> LabelledSet:
    digest = hashlib.sha256(found.data).hexdigest()
    notes = [*found.notes, *mapped.notes]
    labelled = whole(
        format,
        name,
        found.listed.names,
        mapped.labels,
        read,
        sha256=digest,
        class_names=mapped.class_names,
        notes=notes,
        order=mapped.order,
    )
    return limited(labelled, request.limit)
