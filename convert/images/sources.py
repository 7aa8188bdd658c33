"""Where images come from: a folder, a list file or one image file, read alike wherever images are asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from convert.common.errors import InputError

IMAGE_SUFFIXES = (".jpeg", ".jpg", ".png", ".bmp", ".webp")


@dataclass(frozen=True)
class ImageFile:
    """An image that a source names. name: without the folder that it is in. label: its class, where a list says it."""

    name: str
    path: Path
    label: int | None = None


def read(path: Path, option: str) -> list[ImageFile]:
    """The images of a folder (all below it, by name), of a list file, or one image file.

    option: what the user called the path. InputError: there is no such path, or no image in it.
    """
    try:
        if path.is_dir():
            found = sorted(file for file in path.rglob("*") if file.suffix.lower() in IMAGE_SUFFIXES)
            images = [ImageFile(file.relative_to(path).as_posix(), file) for file in found]
        elif path.suffix.lower() == ".txt" and path.is_file():
            images = parse_list(path.read_text(encoding="utf-8-sig"), path.parent)
        elif path.is_file():
            images = [ImageFile(path.name, path)]
        else:
            raise InputError(f"{option} {path}: there is no such file or folder")
    except UnicodeDecodeError:
        raise InputError(f"{option} {path}: a list of images is expected, and this is no UTF-8 text") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{option} {path}: cannot be read ({reason})") from None
    if not images:
        raise InputError(f"{option} {path}: no images in it ({', '.join(IMAGE_SUFFIXES)})")
    return images


def parse_list(text: str, folder: Path) -> list[ImageFile]:
    """The images of a list: a `path` or `path label` in each line, where paths are relative to a folder.

    A path may have spaces in it; a label is a whole number, and the last word of its line. Empty lines mean nothing.
    """
    return [_entry(line.strip(), folder) for line in text.split("\n") if line.strip()]


def _entry(line: str, folder: Path) -> ImageFile:
    name, _, label = line.rpartition(" ")
    if name and label.isdecimal():
        return ImageFile(name, folder / name, int(label))
    return ImageFile(line, folder / line)
