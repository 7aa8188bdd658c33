"""Sets whose images stand in folders, on disk or in an archive: one for each class, or a flat one."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from convert.common.errors import InputError, listing
from convert.datasets.files import check_images, short_name
from convert.datasets.image_kinds import is_image, left_out, without_images
from convert.datasets.labelled_set import LabelledSet, limited, whole
from convert.datasets.labels import words
from convert.datasets.labels.class_names import Known, named_labels
from convert.datasets.labels.ground_truth import find_truth, pair
from convert.datasets.labels.label_files import LabelFile, find_names, find_order
from convert.datasets.labels.matching import match
from convert.datasets.request import SetRequest
from convert.datasets.trees import ArchiveTree, DiskTree, Tree, images_and_others, joined, walk

_WORDNET_IN_NAME = re.compile(r"(?:.*[_-])?(n[0-9]{8})(?:[_-].*)?\.[^.]+", re.ASCII | re.DOTALL)


def load_image_folder(tree: Tree, request: SetRequest, format: str = "image folder", name: str = "") -> LabelledSet:
    """The images of a tree as torchvision's ImageFolder takes it (`n01440764/xxx.JPEG`), class by class and by name.

    Images in folders within a class are of that class. Which label a folder has, `class_names.named_labels` says, by
    request.synsets or a label file in the tree where there is one. An empty folder is a class without images, which is
    said as what is left out is. tree: one that `is_image_folder` is true of. name: of the set. InputError as of
    `named_labels`.
    """
    folders = tree.entries().folders
    inside = {folder: images_and_others(tree, "", list(walk(tree, folder))) for folder in folders}
    file = None if request.synsets else _label_file(tree, folders, request.classes)
    images = {folder: found for folder, (found, _) in inside.items()}
    named = named_labels(folders, tree.source, Known(request.classes, request.own, request.synsets, file, images))
    by_class = named.labels
    names, labels = [], []
    beside, others = images_and_others(tree, "", tree.entries().files)[0], []
    empty = []
    for folder in sorted(folders, key=lambda folder: by_class[folder]):
        found, rest = inside[folder]
        names += found
        others += rest
        labels += [by_class[folder]] * len(found)
        empty += [] if found else [folder]
    notes = left_out(others) + without_images(empty)
    if beside:
        count = f"{len(beside)} image{'s' * (len(beside) > 1)}"
        notes.append(f"left out: {count} beside the folders of the classes: {listing(beside, 3)}")
    if isinstance(tree, DiskTree):
        check_images([tree.path / name for name in names], lambda _: tree.source, "the folder has changed")
        name = short_name(tree.path)
    class_names = {label: folder for folder, label in by_class.items()}
    found_set = whole(
        format,
        name,
        names,
        labels,
        lambda index: tree.image(names[index]),
        class_names=class_names,
        notes=notes,
        order=named.order,
    )
    return limited(found_set, request.limit)


def _label_file(tree: Tree, folders: Sequence[str], classes: int | None) -> LabelFile | None:
    """The one in the tree, else one in the folder above that has all of its classes: `label.txt` beside `val/`."""
    found = find_names(tree)
    if found is None and isinstance(tree, DiskTree):
        try:
            above = find_names(DiskTree(tree.path.resolve().parent))
        except InputError:  # it may be about something else
            return None
        if above and len(above.classes) == classes and not match(folders, above.classes).unknown:
            found = above
    return found


def flat_images(tree: Tree) -> tuple[list[str], list[str]]:
    """The images at the top of a tree, and the files there that are none."""
    return images_and_others(tree, "", tree.entries().files)


def load_flat(tree: Tree, available: Sequence[str], request: SetRequest, format: str = "flat") -> LabelledSet:
    """Images as in `ILSVRC2012_img_val/` with their labels, in the order of the ground truth.

    available: their paths in the tree. request.ground_truth: None takes the WordNet ids of the names where all have
    one, else looks for a ground truth in the folder and beside it. InputError as of `ground_truth.pair`.
    """
    path = _path(tree)
    ids = [wordnet_id(name) for name in available]
    if request.ground_truth is None and all(ids):
        return _by_name(tree, available, [one or "" for one in ids], request, format)
    truth = find_truth(path, request.ground_truth, request.synsets)
    found = pair(available, path, truth, request.classes)
    names = found.names
    if isinstance(tree, DiskTree):
        check_images([tree.path / name for name in names], lambda _: tree.source, "the folder has changed")
    dataset = whole(
        format,
        f"{short_name(path)} with {truth.path.name}",
        names,
        found.labels,
        lambda index: tree.image(names[index]),
        found.listed,
        class_names=found.class_names,
        order=found.order,
    )
    return limited(dataset, request.limit)


def wordnet_id(name: str) -> str | None:
    """n01751748 of `ILSVRC2012_val_00000001_n01751748.JPEG`, as in the hub's archives of ImageNet's validation set."""
    match = _WORDNET_IN_NAME.fullmatch(PurePosixPath(name).name)
    return match[1] if match else None


def _by_name(tree: Tree, available: Sequence[str], ids: Sequence[str], request: SetRequest, format: str) -> LabelledSet:
    path = _path(tree)
    places = [tree, DiskTree(path.parent)]
    order = find_order(places) if request.synsets is None else None
    mapped = words.of_words(ids, str(path), request.classes, request.synsets, order, request.own)
    dataset = whole(
        format,
        short_name(path),
        list(available),
        mapped.labels,
        lambda index: tree.image(available[index]),
        class_names=mapped.class_names,
        notes=["labels of the WordNet ids in the names"],
        order=mapped.order,
    )
    return limited(dataset, request.limit)


def _path(tree: Tree) -> Path:
    assert isinstance(tree, DiskTree | ArchiveTree)
    return tree.path


def is_image_folder(tree: Tree) -> bool:
    """True when a folder in it has images. `imagenet/` with train/ and val/ in it has not: those are not classes."""
    return any(has_images(tree, folder) for folder in tree.entries().folders)


def has_images(tree: Tree, folder: str) -> bool:
    """True when there is an image in a folder itself."""
    paths = (joined(folder, name) for name in tree.entries(folder).files)
    return any(is_image(path, functools.partial(tree.head, path)) for path in paths)
