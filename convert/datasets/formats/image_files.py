"""Sets whose images are files: a list of them, a tree with a folder for each class, a flat folder."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from convert.common.errors import InputError
from convert.datasets.files import check_images, decode, is_folder, read_bytes, scan, short_name
from convert.datasets.image_lists import parse
from convert.datasets.labelled_set import LabelledSet, limited, whole
from convert.datasets.labels.class_names import class_labels
from convert.datasets.labels.devkit import find_meta, list_labels
from convert.datasets.labels.ground_truth import find_truth, pair
from convert.images.preprocess import UnreadableImage
from convert.images.sources import is_image_name

_NO_CLASS = {"__MACOSX"}


def load_list(
    file: Path, classes: int | None, limit: int | None, root: Path | None = None, synsets: Path | None = None
) -> LabelledSet:
    """Read a list of `path label` lines, as PaddleClas' `val_list.txt`, and make sure that the images in use exist.

    root: what paths are relative to; None: the list's folder. Labels in the devkit's order are recognised where the
    list has its first images, and mapped by meta.mat. InputError names the line when one is malformed, its label out of
    range or its image there before, and counts the files that are missing.
    """
    if root is not None and not is_folder(root):
        raise InputError(f"--root {root}: no such folder")
    data = read_bytes(file, "a list of `path label` lines")
    text = decode(data, str(file), "a list of `path label` lines")
    listed = parse(text, str(file), file.parent if root is None else root)
    listed.refuse_duplicates(map(os.path.normpath, listed.names))
    labels = list_labels(listed, find_meta(file.parent, synsets), classes, synsets)
    hint = "paths are relative to the list's folder" if root is None else f"paths are relative to --root {root}"
    check_images(listed.images[:limit], listed.where, hint)
    sha256 = hashlib.sha256(data).hexdigest()
    found = whole("list", short_name(file), listed.names, labels, _reader(listed.images), sha256=sha256)
    return limited(found, limit)


def load_image_folder(folder: Path, classes: int | None, limit: int | None, synsets: Path | None = None) -> LabelledSet:
    """The images of a tree as torchvision's ImageFolder takes it (`n01440764/xxx.JPEG`), class by class and by name.

    A limit is spread evenly over it. synsets: names of the classes in label order; None: the sorted folder names are
    all classes of the model. An empty folder is a class without images. InputError as of `class_names.class_labels`.
    """
    folders = class_folders(folder)
    by_class = class_labels(folders, str(folder), classes, synsets)
    names, labels = [], []
    for name in sorted(folders, key=lambda name: by_class[name]):
        found = _class_images(folder / name)
        names += [f"{name}/{image}" for image in found]
        labels += [by_class[name]] * len(found)
    if not names:
        raise InputError(f"{folder}: no images in its {len(folders)} folders")
    images = [folder / name for name in names]
    check_images(images, lambda _: str(folder), "the folder has changed")
    tree = whole("image folder", short_name(folder), names, labels, _reader(images))
    return limited(tree, limit, spread=True)


def load_flat(
    folder: Path, classes: int | None, limit: int | None, ground_truth: Path | None = None, synsets: Path | None = None
) -> LabelledSet:
    """The images of a folder as `ILSVRC2012_img_val/` with their labels, in the order of the ground truth.

    ground_truth: None looks for one in the folder and beside it. InputError as of `ground_truth.pair`.
    """
    truth = find_truth(folder, ground_truth, synsets)
    available = [entry.name for entry in scan(folder) if is_image_name(entry.name)]
    found = pair(available, folder, truth, classes)
    images = [folder / name for name in found.names]
    check_images(images, lambda _: str(folder), "the folder has changed")
    name = f"{short_name(folder)} with {truth.path.name}"
    return limited(whole("flat", name, found.names, found.labels, _reader(images), found.listed), limit)


def class_folders(folder: Path) -> list[str]:
    """The names of its folders, hidden ones apart."""
    return [entry.name for entry in scan(folder) if entry.name not in _NO_CLASS and entry.is_dir()]


def is_image_folder(folder: Path) -> bool:
    """True when a folder in it has images. `imagenet/` with train/ and val/ in it has not: those are not classes."""
    return any(any(is_image_name(e.name) for e in scan(folder / name)) for name in class_folders(folder))


def _class_images(folder: Path) -> list[str]:
    """The names of a class's images. InputError when there are more in a folder below, which would be left out."""
    entries = scan(folder)
    for entry in entries:
        if entry.is_dir() and any(is_image_name(inner.name) for inner in scan(folder / entry.name)):
            raise InputError(f"{folder / entry.name}: images in a folder within a class; move them up into {folder}")
    return [entry.name for entry in entries if is_image_name(entry.name)]


def _reader(images: Sequence[Path]) -> Callable[[int], bytes]:
    """The encoded bytes of image i. It raises UnreadableImage for one that cannot be read."""

    def read(index: int) -> bytes:
        try:
            return images[index].read_bytes()
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise UnreadableImage(images[index], f"cannot be read ({reason})") from None

    return read
