"""PaddleClas' `val_list.txt`: a text of `path label` lines."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable
from pathlib import Path

from convert.common.errors import InputError
from validate.datasets.base import LabelledSet, check_labels, limited
from validate.datasets.devkit import Meta, find_meta, first_id, numbered, refuse_synsets, to_labels
from validate.datasets.files import check_images, decode, is_folder, read_bytes, read_image, short_name

LIST_FILE = "val_list.txt"

# The path may hold spaces, so the label is what follows the last blank. Nineteen digits and more are no label.
_LINE = re.compile(r"(?P<path>.*[^ \t])[ \t]+(?P<label>-?[0-9]{1,18})[ \t]*", re.ASCII)
_NUMBER = re.compile(r"-?[0-9]{1,18}", re.ASCII)

Line = tuple[int, str, int]  # number in the file, path, label


def load_list(
    file: Path, classes: int | None, limit: int | None, root: Path | None = None, synsets: Path | None = None
) -> LabelledSet:
    """Read a list and make sure that the images in use exist.

    root: what paths are relative to; None: the list's folder. Labels in the devkit's order are recognised where the
    list has its first images, and mapped by meta.mat. InputError names the line when one is malformed, its label out of
    range or its image there before, and counts the files that are missing.
    """
    if root is not None and not is_folder(root):
        raise InputError(f"--root {root}: no such folder")
    data = read_bytes(file, "a list of `path label` lines")
    lines = parse_list(decode(data, str(file), "a list of `path label` lines"), str(file))
    refuse_duplicates(((number, os.path.normpath(path)) for number, path, _ in lines), str(file))
    labels = list_labels(lines, str(file), find_meta(file.parent, synsets), classes, synsets)
    folder = file.parent if root is None else root
    images = [folder / path for _, path, _ in lines]
    hint = "paths are relative to the list's folder" if root is None else f"paths are relative to --root {root}"
    check_images(images[:limit], lambda index: f"{file}, line {lines[index][0]}", hint)
    whole = LabelledSet(
        name=short_name(file),
        labels=tuple(labels),
        names=tuple(path for _, path, _ in lines),
        read=lambda index: read_image(images[index]),
        listed=len(lines),
        sha256=hashlib.sha256(data).hexdigest(),
        format="list",
    )
    return limited(whole, limit)


def parse_list(text: str, source: str) -> list[Line]:
    """Every line that is not blank. source: what InputError calls the text."""
    lines = []
    for number, line in enumerate(text.split("\n"), start=1):  # splitlines would also cut at U+2028 and its like
        line = line.rstrip("\r")
        if not line.strip():
            continue
        match = _LINE.fullmatch(line)
        if not match:
            hint = "; a ground truth without names goes to --ground-truth" if is_number(line) else ""
            raise InputError(
                f"{source}, line {number}: {shortened(line)} is not `path label` with a whole number as label{hint}"
            )
        lines.append((number, match["path"], int(match["label"])))
    if not lines:
        raise InputError(f"{source}: the list is empty; `path label` lines are expected")
    return lines


def list_labels(
    lines: list[Line], source: str, meta: Meta | None, classes: int | None, synsets: Path | None
) -> list[int]:
    """The labels of the lines in synset order, checked against the number of classes."""
    labels = [label for _, _, label in lines]

    def where(index: int) -> str:
        return f"{source}, line {lines[index][0]}"

    first = first_id(numbered((path for _, path, _ in lines), labels))
    if first is not None:
        labels = to_labels(labels, first, meta, where, source, classes, synsets)
    else:
        refuse_synsets(source, synsets)
    check_labels(labels, classes, where)
    return labels


def refuse_duplicates(names: Iterable[tuple[int, str]], source: str) -> None:
    """InputError for a name that was there before: its image would count twice. names: with their line numbers."""
    seen: dict[str, int] = {}
    for number, name in names:
        before = seen.setdefault(name, number)
        if before != number:
            raise InputError(f"{source}, line {number}: {shortened(name)} is in line {before} already")


def is_number(line: str) -> bool:
    """True for a line that is a whole number and nothing else."""
    return _NUMBER.fullmatch(line.strip(" \t\r")) is not None


def shortened(line: str) -> str:
    """A line as it goes into a message."""
    return repr(line if len(line) <= 80 else line[:77] + "...")
