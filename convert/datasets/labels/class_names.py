"""From the names of classes, WordNet ids mostly, to labels: never by position where classes are missing."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path

from convert.common.errors import InputError, listing
from convert.datasets.files import decode, read_bytes
from convert.datasets.labels.meta import META_BYTES, WORDNET_ID, parse_meta

SYNSET_FILES = "LOC_synset_mapping.txt, synset_words.txt, imagenet_class_index.json or the devkit's meta.mat"


def class_labels(
    names: Collection[str], source: str, classes: int | None, synsets: Path | None = None
) -> dict[str, int]:
    """The label of each name.

    With a synset list, its position there. Without one, the position among the sorted names, which is the label order
    of ImageNet's 1000 WordNet ids, and what torchvision's ImageFolder and PaddlePaddle's DatasetFolder do. source: what
    InputError calls the names. InputError: their number is not the model's, a name is not in the list, or they are
    numbers whose order as text is another one.
    """
    if synsets is not None:
        order = {name: label for label, name in enumerate(read_synsets(synsets))}
        if classes is not None and len(order) != classes:
            raise InputError(f"{synsets}: {len(order)} classes, but the model has {classes}")
        unknown = sorted(name for name in names if name not in order)
        if unknown:
            raise InputError(
                f"{source}: {len(unknown)} of {len(names)} classes are not in {synsets}: {listing(unknown)}"
            )
        return {name: order[name] for name in names}
    if classes is not None and len(names) != classes:
        reason = f"{source}: {len(names)} classes, but the model has {classes}"
        if len(names) > classes:
            raise InputError(
                f"{reason}; give --synsets with the model's classes in label order, and images of those only"
            )
        raise InputError(
            f"{reason}: their position is not their label; give all {classes} in label order with --synsets"
            f" ({SYNSET_FILES})"
        )
    ordered = sorted(names)
    if all(name.isascii() and name.isdigit() for name in ordered) and ordered != sorted(ordered, key=int):
        raise InputError(
            f"{source}: the classes are numbers, and sorted as text ({listing(ordered, 3)}) they are in another order"
            " than by value; give --synsets with the names in label order, one a line"
        )
    return {name: label for label, name in enumerate(ordered)}


def read_synsets(path: Path) -> list[str]:
    """The names of the classes in label order, from a text, a JSON index or the devkit's meta.mat."""
    data = read_bytes(path, "a synset list")
    if path.suffix.lower() == ".mat":
        if len(data) > META_BYTES:
            raise InputError(f"{path}: too large for the devkit's meta.mat: {len(data)} bytes")
        return sorted(parse_meta(data, str(path)).values())
    text = decode(data, str(path), "a synset list")
    return parse_class_index(text, str(path)) if text.lstrip()[:1] in ("{", "[") else parse_synsets(text, str(path))


def parse_synsets(text: str, source: str) -> list[str]:
    """The WordNet ids at the start of each line; where not every line has one, the whole lines are names."""
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    first = [line.split()[0] for line in lines]
    return _checked(first if all(WORDNET_ID.fullmatch(word) for word in first) else lines, source)


def parse_class_index(text: str, source: str) -> list[str]:
    """Keras' `imagenet_class_index.json`: `{"0": ["n01440764", "tench"], ...}`; or a plain list of names."""
    try:
        index = json.loads(text)
        if isinstance(index, dict):
            found = {int(label): value for label, value in index.items()}
            if sorted(found) != list(range(len(index))):
                raise InputError(f"{source}: the labels of its classes are not 0 to {len(index) - 1}")
            index = [found[label] for label in range(len(found))]
        names = [value if isinstance(value, str) else value[0] for value in index]
        if not all(isinstance(name, str) for name in names):
            raise TypeError
    except (ValueError, TypeError, LookupError, RecursionError):
        raise InputError(f'{source}: not a class index such as {{"0": ["n01440764", "tench"], ...}}') from None
    return _checked(names, source)


def _checked(names: list[str], source: str) -> list[str]:
    if not names:
        raise InputError(f"{source}: the synset list is empty")
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise InputError(f"{source}: {name} is there twice; one line a class is expected, in label order")
        seen.add(name)
    return names
