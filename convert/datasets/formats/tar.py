"""`ILSVRC2012_img_val.tar` read where it lies: the places of its images are looked up once, nothing is unpacked."""

from __future__ import annotations

import tarfile
from dataclasses import dataclass
from pathlib import Path

from convert.common.errors import InputError
from convert.datasets.files import head, refuse_pointer, short_name
from convert.datasets.labelled_set import LabelledSet, limited, whole
from convert.datasets.labels.ground_truth import find_truth, pair
from convert.images.preprocess import UnreadableImage
from convert.images.sources import is_image_name

_BLOCK = 512
_COMPRESSED = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"\x28\xb5\x2f\xfd": "zstd"}


@dataclass(frozen=True)
class Member:
    """Where an image lies in the archive, in bytes."""

    offset: int
    size: int


def load_tar(
    path: Path, classes: int | None, limit: int | None, ground_truth: Path | None = None, synsets: Path | None = None
) -> LabelledSet:
    """The images of an archive with their labels, in the order of the ground truth.

    ground_truth: None looks for one beside the archive. InputError as of `index` and of `ground_truth.pair`.
    """
    members = index(path)
    truth = find_truth(path, ground_truth, synsets)
    pairs = pair(list(members), path, truth, classes)
    places = [members[name] for name in pairs.names]

    def read(index: int) -> bytes:
        return read_member(path, pairs.names[index], places[index])

    name = f"{short_name(path)} with {truth.path.name}"
    return limited(whole("tar", name, pairs.names, pairs.labels, read, pairs.listed), limit)


def index(path: Path) -> dict[str, Member]:
    """The images of an archive by name, in its order.

    InputError: it is compressed, damaged, cut off, or has no images or the same one twice.
    """
    start = head(path)
    refuse_pointer(path, start)
    for magic, kind in _COMPRESSED.items():
        if start.startswith(magic):
            raise InputError(
                f"{path}: compressed with {kind}, so that images cannot be found in it; decompress it first"
            )
    members: dict[str, Member] = {}
    try:
        size = path.stat().st_size
        with tarfile.open(path, "r:") as archive:
            for entry in archive:
                if not is_image_name(Path(entry.name).name):
                    continue
                if not entry.isreg() or entry.issparse():
                    raise InputError(f"{path}: {entry.name} is no plain file in the archive")
                name = entry.name.removeprefix("./")
                if name in members:
                    raise InputError(f"{path}: {name} is in the archive twice")
                members[name] = Member(entry.offset_data, entry.size)
            end = archive.offset
    except tarfile.ReadError as error:
        raise InputError(f"{path}: the archive is damaged or cut off ({error})") from None
    except (OSError, tarfile.TarError) as error:
        raise InputError(f"{path}: the archive cannot be read ({error})") from None
    _check_end(path, end, size, len(members))
    if not members:
        raise InputError(f"{path}: no images in the archive")
    return members


def _check_end(path: Path, end: int, size: int, count: int) -> None:
    """`tarfile` takes whatever it cannot read behind the first entry for the end of the archive."""
    with path.open("rb") as stream:
        stream.seek(end)
        block = stream.read(_BLOCK)
    if block != bytes(_BLOCK):
        raise InputError(
            f"{path}: the archive is damaged or cut off: after {count} images, at byte {end} of {size}, there is"
            " neither another entry nor the end mark"
        )


def read_member(path: Path, name: str, member: Member) -> bytes:
    """The bytes of one image. Each call opens the archive for itself, so that threads share no position."""
    try:
        with path.open("rb", buffering=0) as stream:
            stream.seek(member.offset)
            data = stream.read(member.size)
    except OSError as error:
        raise UnreadableImage(path / name, f"cannot be read ({error.strerror or error})") from None
    if len(data) != member.size:
        raise UnreadableImage(path / name, f"cannot be read ({len(data)} of {member.size} bytes are there)")
    return data
