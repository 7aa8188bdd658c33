"""A tree with one folder for each class, as torchvision's ImageFolder takes it: `n01440764/xxx.JPEG`."""

from __future__ import annotations

from pathlib import Path

from convert.common.errors import InputError
from validate.datasets.files import check_images, is_image_name, read_image, scan, short_name
from validate.datasets.labelled_set import LabelledSet, index_sha256, limited
from validate.datasets.labels.class_names import class_labels

_NO_CLASS = {"__MACOSX"}


def load_image_folder(folder: Path, classes: int | None, limit: int | None, synsets: Path | None = None) -> LabelledSet:
    """The images of a tree, class by class and by name; a limit is spread evenly over it.

    synsets: names of the classes in label order; None: the sorted folder names are all classes of the model. An empty
    folder is a class without images. InputError as of `classes.class_labels`.
    """
    folders = class_folders(folder)
    labels = class_labels(folders, str(folder), classes, synsets)
    names = [
        f"{name}/{image}"
        for name in sorted(folders, key=lambda name: labels[name])
        for image in _class_images(folder / name)
    ]
    if not names:
        raise InputError(f"{folder}: no images in its {len(folders)} folders")
    images = [folder / name for name in names]
    check_images(images, lambda _: str(folder), "the folder has changed")
    image_labels = [labels[name.split("/", 1)[0]] for name in names]
    whole = LabelledSet(
        name=short_name(folder),
        labels=tuple(image_labels),
        names=tuple(names),
        read=lambda index: read_image(images[index]),
        listed=len(names),
        sha256=index_sha256(names, image_labels),
        format="image folder",
    )
    return limited(whole, limit, spread=True)


def _class_images(folder: Path) -> list[str]:
    """The names of a class's images. InputError when there are more in a folder below, which would be left out."""
    entries = scan(folder)
    for entry in entries:
        if entry.is_dir() and any(is_image_name(inner.name) for inner in scan(folder / entry.name)):
            raise InputError(f"{folder / entry.name}: images in a folder within a class; move them up into {folder}")
    return [entry.name for entry in entries if is_image_name(entry.name)]


def class_folders(folder: Path) -> list[str]:
    """The names of its folders, hidden ones apart."""
    return [entry.name for entry in scan(folder) if entry.name not in _NO_CLASS and entry.is_dir()]


def is_image_folder(folder: Path) -> bool:
    """True when a folder in it has images. `imagenet/` with train/ and val/ in it has not: those are not classes."""
    return any(any(is_image_name(e.name) for e in scan(folder / name)) for name in class_folders(folder))
