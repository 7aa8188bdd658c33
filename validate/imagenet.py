"""Sets of images with labels, in the format of ImageNet's `val_list.txt`."""

from __future__ import annotations

import hashlib
import re
import stat
from dataclasses import dataclass
from pathlib import Path

from convert.errors import InputError

LIST_FILE = "val_list.txt"
COMPLETE = 50_000  # images in the validation set of ILSVRC 2012

# The path may hold spaces, so the label is what follows the last blank. Nineteen digits and more are no label.
_LINE = re.compile(r"(?P<path>.*[^ \t])[ \t]+(?P<label>-?[0-9]{1,18})[ \t]*", re.ASCII)


@dataclass(frozen=True)
class LabelledSet:
    """Images and their 0-based labels, in the order of the list.

    name: the list's folder and file name, never an absolute path. entries: those in use. listed: images in the whole
    list. sha256: of the list file's bytes; the images themselves are not hashed.
    """

    name: str
    entries: tuple[tuple[Path, int], ...]
    listed: int
    sha256: str

    @property
    def complete(self) -> bool:
        """True when exactly as many images are in use as ImageNet's validation set has."""
        return len(self.entries) == COMPLETE

    @property
    def description(self) -> str:
        """What records carry as `dataset`: name and count, and how much of the list is in use."""
        if len(self.entries) == self.listed:
            return f"{self.name}, {self.listed} images"
        return f"{self.name}, first {len(self.entries)} of {self.listed} images"


def load_labelled(path: Path, classes: int | None = None, limit: int | None = None) -> LabelledSet:
    """Read a list of `path label` lines and make sure that its images exist.

    path: the list, or a folder that holds `val_list.txt`; paths in it are relative to its folder. classes: labels must
    lie below; None takes any. limit: use only so many images, from the first on. InputError names the line when one is
    malformed or its label out of range, and the first file that is missing.
    """
    file = _list_file(path)
    try:
        data = file.read_bytes()
        text = data.decode("utf-8-sig")
    except OSError as error:
        raise InputError(f"{file}: the list cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise InputError(f"{file}: not a list: it is no UTF-8 text; `path label` lines are expected") from None
    lines = parse_list(text, str(file), classes)
    used = [(number, file.parent / name, label) for number, name, label in lines[:limit]]
    _check_files(used, file)
    folder = file.parent.resolve().name
    return LabelledSet(
        name=f"{folder}/{file.name}" if folder else file.name,
        entries=tuple((image, label) for _, image, label in used),
        listed=len(lines),
        sha256=hashlib.sha256(data).hexdigest(),
    )


def parse_list(text: str, source: str, classes: int | None = None) -> list[tuple[int, str, int]]:
    """(line number, path, label) of every line that is not blank. source: what InputError calls the text."""
    entries = []
    for number, line in enumerate(text.split("\n"), start=1):  # splitlines would also cut at U+2028 and its like
        line = line.rstrip("\r")
        if not line.strip():
            continue
        match = _LINE.fullmatch(line)
        if not match:
            shown = line if len(line) <= 80 else line[:77] + "..."
            raise InputError(f"{source}, line {number}: {shown!r} is not `path label` with a whole number as label")
        label = int(match["label"])
        if label < 0 or (classes is not None and label >= classes):
            upper = "and above" if classes is None else f"to {classes - 1}"
            raise InputError(f"{source}, line {number}: label {label} is out of range: labels are 0-based, 0 {upper}")
        entries.append((number, match["path"], label))
    if not entries:
        raise InputError(f"{source}: the list is empty; `path label` lines are expected")
    return entries


def _list_file(path: Path) -> Path:
    mode = _mode(path)
    if mode is None:
        raise InputError(f"{path}: no such file or folder; give a list of `path label` lines or its folder")
    if not stat.S_ISDIR(mode):
        return path
    file = path / LIST_FILE
    mode = _mode(file)
    if mode is None or not stat.S_ISREG(mode):
        raise InputError(
            f"{path}: holds no {LIST_FILE}; give a list of `path label` lines, or a folder with {LIST_FILE}"
        )
    return file


def _check_files(entries: list[tuple[int, Path, int]], file: Path) -> None:
    missing = []
    for number, image, _ in entries:
        mode = _mode(image)
        if mode is None:
            missing.append((number, image))
        elif stat.S_ISDIR(mode):
            raise InputError(f"{file}, line {number}: {image} is a folder, not an image")
    if missing:
        number, image = missing[0]
        count = f"{len(missing)} of {len(entries)} images are missing, the first is"
        raise InputError(f"{file}, line {number}: {count} {image}; paths are relative to the list's folder")


def _mode(path: Path) -> int | None:
    """The file's mode bits, None where nothing can be found: also for names that no file system would take."""
    try:
        return path.stat().st_mode
    except (OSError, ValueError):
        return None
