"""An artifact travels to a node once: known by the hashes of its files, in pieces, checked on arrival, kept there.

With it go the references that its parity is held against, and of a lower precision the manifest of what it was made
from, so that a node without Paddle can check parity. A node that sees the same files at the same place uses them there.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import platformdirs

from convert.artifact import MANIFEST, Artifact
from convert.common.disk import scratch
from convert.common.disk.files import sha256_file
from convert.common.errors import InputError, shown
from convert.manifest import FileEntry

PIECE = 32 << 20  # bytes
LOG = 1 << 16  # bytes of what a process printed that travel back
_REFERENCES = "reference"
_SHA256 = re.compile("[0-9a-f]{64}")
_SMALL = 1 << 20  # bytes: such files are hashed each time, since they may have changed while the artifact has not


@dataclass(frozen=True)
class Parcel:
    """What travels of an artifact.

    name: sha256 of the artifact. folder: of the artifact, in the parcel and below a folder of artifacts alike. root:
    that folder at the sender. files: by their place in the parcel.
    """

    name: str
    folder: str
    root: str
    files: Mapping[str, FileEntry]

    @property
    def bytes(self) -> int:
        return sum(entry.bytes for entry in self.files.values())


def parcel(artifact: Artifact) -> Parcel:
    """The parcel of an artifact, with the references that are there now. InputError as `Artifact.base`, and for a file
    that is in another folder of artifacts."""
    path = Path(os.path.normpath(artifact.path.absolute()))
    root = path.parents[1]
    truth = artifact.base
    loose = [path / MANIFEST, truth.path / MANIFEST, *sorted((truth.path / _REFERENCES).glob("*.npz"))]
    files = {_place(path / name, root): entry for name, entry in artifact.manifest.files.items()}
    for file in dict.fromkeys(loose):
        files[_place(file, root)] = FileEntry(file.stat().st_size, sha256_file(file))
    return Parcel(artifact.sha256, _place(path, root), str(root), files)


def _place(file: Path, root: Path) -> str:
    file = Path(os.path.normpath(file.absolute()))
    if not file.is_relative_to(root):
        raise InputError(f"{file}: it is not in {root}, the folder of artifacts, and does not travel to a node")
    return file.relative_to(root).as_posix()


def pieces(file: Path) -> Iterator[tuple[int, bytes]]:
    """The content of a file: offset and bytes of each piece; one that is empty for an empty file."""
    offset = 0
    with file.open("rb") as stream:
        while (piece := stream.read(PIECE)) or not offset:
            yield offset, piece
            offset += max(len(piece), 1)


def cache() -> Path:
    """Where a node keeps what has travelled to it."""
    return platformdirs.user_cache_path("vitbench") / "cluster" / "artifacts"


def look(table: Mapping[str, Any]) -> dict[str, Any]:
    """On the node: `path`, of the artifact, and `lacking`, the files of its parcel that have to be sent first."""
    files: Mapping[str, Mapping[str, Any]] = table["files"]
    root = Path(table["root"])
    for name in (table["folder"], *files):
        _place_of(table["name"], name)
    if not _lacking(root, files, hashed=True):
        return {"path": str(root / table["folder"]), "lacking": []}
    own = cache() / table["name"]
    return {"path": str(own / table["folder"]), "lacking": _lacking(own, files)}


def _place_of(parcel_name: str, name: str) -> Path:
    """Where a file of a parcel is kept. InputError for one that would be elsewhere."""
    parts = PurePosixPath(name).parts
    if not _SHA256.fullmatch(parcel_name) or not parts or PurePosixPath(name).is_absolute() or ".." in parts:
        raise InputError(f"{shown(parcel_name)}, {shown(name)}: no file of a parcel")
    return cache() / parcel_name / name


def _lacking(root: Path, files: Mapping[str, Mapping[str, Any]], hashed: bool = False) -> list[str]:
    """The files that are not there, or are others. hashed: whether large ones are read too; what we have written was
    checked when it came."""
    return [name for name, entry in files.items() if not _same(root / name, entry, hashed)]


def _same(file: Path, entry: Mapping[str, Any], hashed: bool) -> bool:
    try:
        if file.stat().st_size != entry["bytes"]:
            return False
        return (entry["bytes"] > _SMALL and not hashed) or sha256_file(file) == entry["sha256"]
    except OSError:
        return False


def write(parcel_name: str, name: str, offset: int, piece: bytes) -> None:
    """On the node: a piece of a file that is on its way. OSError where the disk refuses it, InputError for a name that
    no file of a parcel has."""
    file = _arriving(parcel_name, name)
    if not offset:
        file.parent.mkdir(parents=True, exist_ok=True)
        scratch.sweep_once(file.parent)
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | (0 if offset else os.O_TRUNC), 0o644)
    with os.fdopen(descriptor, "wb") as stream:
        stream.seek(offset)
        stream.write(piece)


def arrived(parcel_name: str, name: str, sha256: str) -> str | None:
    """On the node: a file that is whole takes its place. Returns what is wrong with it, in a clause."""
    file, target = _arriving(parcel_name, name), _place_of(parcel_name, name)
    if not file.exists() and target.exists() and sha256_file(target) == sha256:
        return None  # asked again
    if not file.exists() or sha256_file(file) != sha256:
        file.unlink(missing_ok=True)
        return f"{name} has not arrived as it was sent (its sha256 differs)"
    file.replace(target)
    return None


def _arriving(parcel_name: str, name: str) -> Path:
    target = _place_of(parcel_name, name)
    return target.with_name(scratch.prefix(f".{target.name}."))
