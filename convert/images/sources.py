"""Where images come from: a folder, a list file or one image file, read alike wherever images are asked for."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from convert.common.errors import InputError

IMAGE_SUFFIXES = (".jpeg", ".jpg", ".png", ".bmp", ".webp")

# The path may hold spaces, so the label is what follows the last blank. Nineteen digits and more are no label.
_LABELLED = re.compile(r"(?P<path>.*[^ \t])[ \t]+(?P<label>-?[0-9]{1,18})[ \t]*", re.ASCII)


@dataclass(frozen=True)
class ImageFile:
    """An image that a source names.

    name: without the folder that it is in. label: its class, and line: its number from 1, where a list says it.
    """

    name: str
    path: Path
    label: int | None = None
    line: int | None = None


def is_image_name(name: str) -> bool:
    """Whether a file of that name is taken for an image, which hidden ones are not."""
    return name.lower().endswith(IMAGE_SUFFIXES) and not name.startswith(".")


def read(path: Path, option: str) -> list[ImageFile]:
    """The images of a folder (all below it, by name), of a list file, or one image file.

    option: what the user called the path. InputError: there is no such path, or no image in it.
    """
    try:
        if path.is_dir():
            found = sorted(file for file in path.rglob("*") if is_image_name(file.name))
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
    images = []
    for number, line in enumerate(text.split("\n"), start=1):  # splitlines would also cut at U+2028 and its like
        if line.strip():
            match = _LABELLED.fullmatch(line.rstrip("\r"))
            name = match["path"] if match else line.strip()
            images.append(ImageFile(name, folder / name, int(match["label"]) if match else None, number))
    return images
