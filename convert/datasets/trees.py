"""A tree of files, on disk or in an archive, that sets are recognised in and read from alike."""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from convert.common.errors import InputError
from convert.datasets.files import head, is_file, read_bytes, scan
from convert.datasets.image_kinds import HEAD, is_image, is_image_name, is_junk, is_junk_path
from convert.images.preprocess import UnreadableImage


@dataclass(frozen=True)
class Entries:
    """What a folder holds, by name; what an operating system left there apart."""

    folders: list[str]
    files: list[str]


class Tree(Protocol):
    """Paths in it are relative, with `/`; the top is ''. source: what InputError calls it."""

    @property
    def source(self) -> str: ...
    def entries(self, folder: str = "") -> Entries: ...
    def head(self, name: str) -> bytes: ...
    def text(self, name: str, what: str) -> bytes: ...
    def image(self, name: str) -> bytes: ...


@dataclass(frozen=True)
class DiskTree:
    """A folder. InputError where one cannot be read; UnreadableImage of `image` alone."""

    path: Path

    @property
    def source(self) -> str:
        return str(self.path)

    def entries(self, folder: str = "") -> Entries:
        found = [(entry.name, entry.is_dir()) for entry in scan(self.path / folder) if not is_junk(entry.name)]
        return Entries([name for name, inner in found if inner], [name for name, inner in found if not inner])

    def head(self, name: str) -> bytes:
        path = self.path / name
        return head(path, HEAD) if is_file(path) else b""

    def text(self, name: str, what: str) -> bytes:
        return read_bytes(self.path / name, what)

    def image(self, name: str) -> bytes:
        return read_image(self.path / name)


@dataclass(frozen=True)
class ArchiveTree:
    """The files of an archive by their names in it. sizes: in bytes, as announced. fetch: the bytes of a file, or only
    the first so many; it raises UnreadableImage and may be called from any thread."""

    path: Path
    sizes: Mapping[str, int]
    fetch: Callable[[str, int | None], bytes]
    top: str = ""
    _folders: dict[str, Entries] = field(default_factory=dict, repr=False, compare=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    @property
    def source(self) -> str:
        return str(self.path) + (f": {self.top}" if self.top else "")

    def entries(self, folder: str = "") -> Entries:
        with self._lock:
            if not self._folders:
                self._folders.update(_folders(self.sizes))
        return self._folders.get(joined(self.top, folder), Entries([], []))

    def head(self, name: str) -> bytes:
        try:
            return self.fetch(joined(self.top, name), HEAD)
        except UnreadableImage:
            return b""

    def text(self, name: str, what: str) -> bytes:
        try:
            return self.fetch(joined(self.top, name), None)
        except UnreadableImage as error:
            raise InputError(f"{self.source}: {what} cannot be read: {error.reason}") from None

    def image(self, name: str) -> bytes:
        return self.fetch(joined(self.top, name), None)

    def below(self, folder: str) -> ArchiveTree:
        """The tree that begins at a folder of this one."""
        return ArchiveTree(self.path, self.sizes, self.fetch, joined(self.top, folder))


def joined(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder and name else folder or name


def _folders(names: Mapping[str, int]) -> dict[str, Entries]:
    found: dict[str, tuple[set[str], set[str]]] = {"": (set(), set())}
    for name in names:
        if is_junk_path(name):
            continue
        *parents, last = name.split("/")
        folder = ""
        for parent in parents:
            found[folder][0].add(parent)
            folder = joined(folder, parent)
            found.setdefault(folder, (set(), set()))
        found[folder][1].add(last)
    return {folder: Entries(sorted(folders), sorted(files)) for folder, (folders, files) in found.items()}


def walk(tree: Tree, folder: str = "", depth: int = 32) -> Iterator[str]:
    """Every file in a folder and in those below it, in the order of a file manager: by name, folder by folder.

    InputError for a folder that is called like an image, which hardly anybody means.
    """
    found = tree.entries(folder)
    below = set(found.folders)
    for name in sorted([*found.folders, *found.files]):
        path = joined(folder, name)
        if name not in below:
            yield path
        elif is_image_name(name):
            raise InputError(f"{tree.source}: {path} is a folder, not an image; rename it or leave it out")
        elif depth:  # links of a disk may lead round in circles
            yield from walk(tree, path, depth - 1)


def images_and_others(tree: Tree, folder: str, files: list[str]) -> tuple[list[str], list[str]]:
    """The paths of the files of a folder, images apart from others."""
    images: list[str] = []
    others: list[str] = []
    for name in files:
        path = joined(folder, name)
        (images if is_image(path, functools.partial(tree.head, path)) else others).append(path)
    return images, others


def read_image(path: Path) -> bytes:
    """The bytes of an image file. UnreadableImage: it cannot be read."""
    try:
        return path.read_bytes()
    except (OSError, ValueError) as error:
        raise UnreadableImage(path, f"cannot be read ({getattr(error, 'strerror', None) or error})") from None


def normal(path: str) -> str:
    """A path as trees know it: without `./`, `..` and repeated slashes. One that leaves the tree keeps its `..`."""
    return os.path.normpath(path).replace(os.sep, "/")


def has_file(tree: Tree, name: str) -> bool:
    """True where a file of that name is at the top of a tree."""
    if isinstance(tree, DiskTree):
        return is_file(tree.path / name)
    return name in tree.entries().files
