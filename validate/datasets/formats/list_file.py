"""PaddleClas' `val_list.txt`: a text of `path label` lines."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from convert.common.errors import InputError
from validate.datasets.files import check_images, decode, is_folder, read_bytes, read_image, short_name
from validate.datasets.image_lists import parse_list, refuse_duplicates
from validate.datasets.labelled_set import LabelledSet, limited
from validate.datasets.labels.devkit import find_meta, list_labels


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
