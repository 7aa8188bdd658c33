"""What every format becomes: images that are read by number, and their labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from convert.common.disk.files import sha256_json
from convert.common.errors import InputError
from convert.datasets.labels.class_order import ClassOrder

COMPLETE = 50_000  # images in the validation set of ILSVRC 2012
OVER_CLASSES = "over its classes"  # a limit's selection; earlier versions took the "first" ones or "evenly spread" ones


@dataclass(frozen=True)
class LabelledSet:
    """Images in use, in their order, and their 0-based labels.

    name: folder and file name, never an absolute path. names: of the images, relative, for messages and CSVs. read: the
    encoded bytes of image i of `labels`, callable from any thread; raises `convert.images.preprocess.UnreadableImage`.
    listed: images in the whole set. sha256: of what says which images and labels the whole set has; the images
    themselves are not hashed. format: list, image folder, flat, tar, zip, webdataset or parquet. selection: how the
    images in use were taken from the whole set, in words. class_names: by label, where the set itself says names
    (folders, WordNet ids, a file of labels, metadata); None where it says none. notes: what was assumed or found that a
    user should know, a line each, for the console. order: how it is known which class a label means; None where it was
    not looked at.
    """

    name: str
    labels: tuple[int, ...]
    names: tuple[str, ...]
    read: Callable[[int], bytes] = field(repr=False, compare=False)
    listed: int
    sha256: str
    format: str
    selection: str = ""
    class_names: Mapping[int, str] | None = None
    notes: tuple[str, ...] = ()
    order: ClassOrder | None = None

    @property
    def complete(self) -> bool:
        """True when every image of the set is in use."""
        return len(self.labels) == self.listed

    @property
    def description(self) -> str:
        """What records carry as `dataset`: name and count, and which part of the set is in use."""
        used = len(self.labels)
        if self.complete:
            return f"{self.name}, {used} image{'s' * (used != 1)}"
        part = f"{self.name}, {used} of {self.listed} images"
        return f"{part}, evenly {self.selection}" if self.selection else part


def whole(
    format: str,
    name: str,
    names: Sequence[str],
    labels: Sequence[int],
    read: Callable[[int], bytes],
    listed: int | None = None,
    sha256: str | None = None,
    class_names: Mapping[int, str] | None = None,
    notes: Sequence[str] = (),
    order: ClassOrder | None = None,
) -> LabelledSet:
    """All images of a set. listed: where more are listed than there are; sha256: where a file says what is in it."""
    if sha256 is None:
        sha256 = sha256_json([[name, label] for name, label in zip(names, labels, strict=True)])
    return LabelledSet(
        name,
        tuple(labels),
        tuple(names),
        read,
        listed or len(names),
        sha256,
        format,
        class_names=class_names,
        notes=tuple(notes),
        order=order,
    )


def choose(labels: Sequence[int | str], limit: int | None) -> list[int]:
    """The numbers of `limit` images, in the set's order, such that no class has two more than another that has more.

    Of a class the first ones are taken. Where not every class can have as many, those that have one more are evenly
    spread over the classes in the order of their labels, which do not have to be numbers.
    """
    if limit is None or limit >= len(labels):
        return list(range(len(labels)))
    waiting: dict[int | str, list[int]] = {}
    for index, label in enumerate(labels):
        waiting.setdefault(label, []).append(index)
    classes = [waiting[label] for label in sorted(waiting, key=lambda label: (isinstance(label, str), label))]
    chosen: list[int] = []
    turn = 0
    while len(chosen) + len(classes) <= limit:
        chosen += [images[turn] for images in classes]
        turn += 1
        classes = [images for images in classes if len(images) > turn]
    left = limit - len(chosen)
    chosen += [classes[i * len(classes) // left][turn] for i in range(left)]
    return sorted(chosen)


def limited(dataset: LabelledSet, limit: int | None) -> LabelledSet:
    """`limit` images, as `choose` takes them."""
    chosen = choose(dataset.labels, limit)
    if len(chosen) == len(dataset.labels):
        return dataset
    return replace(
        dataset,
        labels=tuple(dataset.labels[i] for i in chosen),
        names=tuple(dataset.names[i] for i in chosen),
        read=lambda index: dataset.read(chosen[index]),
        selection=OVER_CLASSES,
    )


def check_labels(labels: Sequence[int], classes: int | None, where: Callable[[int], str]) -> None:
    """InputError for the first label outside 0 to classes - 1, with the mistake that it looks like.

    classes: None takes any from 0 on. where: names the place of label i.
    """
    for index, label in enumerate(labels):
        if label < 0 or (classes is not None and label >= classes):
            upper = "and above" if classes is None else f"to {classes - 1}"
            message = f"label {label} is out of range: labels are 0-based, 0 {upper}"
            raise InputError(f"{where(index)}: {message}{_mistake(labels, classes)}")


def _mistake(labels: Sequence[int], classes: int | None) -> str:
    low, high = min(labels), max(labels)
    if low == high == -1:
        return "; all are -1: this is a test split, which has no labels"
    if low >= 1 and high == classes:
        return f"; these run from {low} to {high} and seem to count from 1: subtract 1 from each"
    return ""
