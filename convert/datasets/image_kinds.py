"""Which files are images: whatever the OpenCV here reads, by the name or else by the first bytes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import PurePosixPath

from convert.common.errors import listing

# What OpenCV 5 decodes with the libraries that its wheels have in them (cv2.getBuildInformation); no OpenEXR.
_IMAGE = re.compile(
    r"\.(jpe?g|jpe|jp2|a?png|bmp|dib|webp|avif|gif|tiff?|hdr|pic|p[bgpn]m|pam|pfm|sr|ras)", re.IGNORECASE
)
# Files that stand beside images and are none: their first bytes are not looked at.
_OTHER = re.compile(
    r"\.(txt|csv|tsv|jsonl?|cls|xml|ya?ml|toml|md|rst|html|log|py|ipynb|mat|np[yz]|pkl|pdf|zip|tar|gz|tgz|parquet|db|ini"
    r"|mp4|exr|hei[cf]|dcm)",
    re.IGNORECASE,
)
HEAD = 32  # bytes that tell a format
_MAGIC = re.compile(
    rb"\xff\xd8\xff|\x89PNG\r\n\x1a\n|GIF8[79]a|BM.{12}[\x0c\x28\x34\x38\x40\x6c\x7c]\x00\x00\x00|RIFF....WEBP"
    rb"|II[\x2a\x2b]\x00|MM\x00[\x2a\x2b]|....ftypavi[fs]|\x00\x00\x00\x0cjP  |\xff\x4f\xff\x51|\x59\xa6\x6a\x95"
    rb"|#\?RADIANCE|#\?RGBE|P[1-6][ \t\r\n]+[0-9#]|P7\n[A-Z#]|P[Ff]\r?\n",
    re.DOTALL,
)
# What macOS and Windows leave behind; names with a leading dot (`._x.jpg`, `.DS_Store`) are of the same kind.
_JUNK = {"__macosx", "thumbs.db", "desktop.ini", "@eadir", "$recycle.bin"}


def is_junk(name: str) -> bool:
    """True for a file or folder that an operating system made and no user means, and for hidden ones."""
    return name.startswith(".") or name.lower() in _JUNK


def is_junk_path(path: str) -> bool:
    """`is_junk` for a path in an archive: any part of it counts, `.` and `..` apart."""
    return any(is_junk(part) for part in path.split("/") if part.strip("."))


def is_image_name(name: str) -> bool:
    """Whether a file of that name is taken for an image without a look into it; hidden ones never are."""
    return _IMAGE.fullmatch(PurePosixPath(name).suffix) is not None and not is_junk(PurePosixPath(name).name)


def is_image_data(start: bytes) -> bool:
    """Whether a file that begins so is an image."""
    return _MAGIC.match(start) is not None


def is_image(name: str, head: Callable[[], bytes]) -> bool:
    """By the name where it says what the file is, else by its first bytes. head: gives these."""
    if is_image_name(name):
        return True
    last = PurePosixPath(name).name
    return not is_junk(last) and not _OTHER.fullmatch(PurePosixPath(last).suffix) and is_image_data(head())


def left_out(names: Sequence[str]) -> list[str]:
    """What a user is told of files that are no images: a line, or nothing where there are none."""
    if not names:
        return []
    count = f"{len(names)} files that are no images" if len(names) > 1 else "1 file that is no image"
    return [f"left out: {count}: {listing(names, 3)}"]


def without_images(classes: Iterable[str]) -> list[str]:
    """Likewise of classes that have no images."""
    names = list(classes)
    return [f"no images of {len(names)} class{'es' * (len(names) > 1)}: {listing(names, 3)}"] if names else []
