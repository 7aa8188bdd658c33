"""The ILSVRC 2012 devkit numbers the classes in an order of its own: how it is recognised, and mapped to labels."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from convert.common.errors import InputError
from convert.datasets.files import is_file, read_bytes
from convert.datasets.image_lists import LabelledList
from convert.datasets.labelled_set import check_labels
from convert.datasets.labels import imagenet
from convert.datasets.labels.class_names import class_labels
from convert.datasets.labels.imagenet import image_number
from convert.datasets.labels.meta import META_BYTES, META_FILE, parse_meta

DEVKIT = "ILSVRC2012_devkit_t12"
TRUTH_FILE = "ILSVRC2012_validation_ground_truth.txt"

_ENOUGH = 3  # of the known validation images tell the orders apart


@dataclass(frozen=True)
class Meta:
    """The devkit's meta.mat, not yet parsed. source: what InputError calls it."""

    data: bytes
    source: str


def numbered(names: Iterable[str], labels: Iterable[int]) -> dict[int, int]:
    """Labels by the image number in the name, of the images that have one."""
    found = ((image_number(name), label) for name, label in zip(names, labels, strict=True))
    return {number: label for number, label in found if number is not None}


def first_id(labels: Mapping[int, int]) -> int | None:
    """By what the known validation images are labelled: 1 where by the devkit's numbers, 0 where by those less one.

    labels: by image number. None when they are in another order, or too few of these images are there.
    """
    ids = {number: imagenet.classes()[label].number for number, label in imagenet.VALIDATION.items()}
    return next((first for first in (1, 0) if _agree(labels, ids, 1 - first)), None)


def in_synset_order(labels: Mapping[int, int]) -> bool:
    """True when the known validation images have the labels that they have in synset order."""
    return _agree(labels, imagenet.VALIDATION, 0)


def _agree(labels: Mapping[int, int], known: Mapping[int, int], less: int) -> bool:
    seen = [labels[number] == value - less for number, value in known.items() if number in labels]
    return len(seen) >= _ENOUGH and all(seen)


def find_meta(folder: Path, synsets: Path | None = None) -> Meta | None:
    """The meta.mat that was given as the synset list, else the one in the folder or in a devkit in it."""
    places = [folder / META_FILE, folder / "data" / META_FILE, folder / DEVKIT / "data" / META_FILE]
    given = [synsets] if synsets is not None and synsets.suffix.lower() == ".mat" else []
    for path in [*given, *places]:
        if path in given or is_file(path):
            return Meta(read_bytes(path, "the devkit's meta.mat", META_BYTES), str(path))
    return None


def refuse_synsets(source: str, synsets: Path | None) -> None:
    """InputError when a synset list was given for labels that are in synset order."""
    if synsets is not None:
        raise InputError(
            f"{source}: its labels are not in the devkit's order, which alone needs --synsets; leave it out"
        )


def to_labels(
    ids: Sequence[int],
    first: int,
    meta: Meta | None,
    where: Callable[[int], str],
    source: str,
    classes: int | None,
    synsets: Path | None,
) -> list[int]:
    """0-based labels in synset order of the devkit's class numbers.

    first: what its first class is called, 1 as in the devkit itself or 0. where: names the place of number i.
    InputError: without meta.mat, or for a number that is not in it.
    """
    if meta is None:
        raise InputError(
            f"{source}: the labels are in the class order of the ILSVRC devkit (ILSVRC2012_ID), which is not the synset"
            f" order of the model's labels; put the devkit's {META_FILE} beside it or give it with --synsets"
        )
    by_id = parse_meta(meta.data, meta.source)
    labels = class_labels(by_id.values(), meta.source, classes, synsets)
    mapped = []
    for index, number in enumerate(ids):
        synset = by_id.get(number + 1 - first)
        if synset is None:
            last = len(by_id) - 1 + first
            raise InputError(f"{where(index)}: {number} is none of the devkit's class numbers, {first} to {last}")
        mapped.append(labels[synset])
    return mapped


def list_labels(listed: LabelledList, meta: Meta | None, classes: int | None, synsets: Path | None) -> list[int]:
    """The labels of the lines in synset order, checked against the number of classes."""
    labels, source = listed.labels, listed.source
    first = first_id(numbered(listed.names, labels))
    if first is not None:
        labels = to_labels(labels, first, meta, listed.where, source, classes, synsets)
    else:
        refuse_synsets(source, synsets)
    check_labels(labels, classes, listed.where)
    return labels
