"""A set that was read, held against all that is known of the model's classes and of its images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from convert.common import errors
from convert.common.errors import InputError, listing
from convert.datasets.labelled_set import LabelledSet, check_labels
from convert.datasets.labels import imagenet
from convert.datasets.labels.class_order import ClassOrder, evidence
from convert.datasets.labels.matching import Aliases, is_imagenet, match

SHOWN = 5  # classes that are shown with their labels
_NAME = 100  # characters of a class's name


def settled(found: LabelledSet, classes: int | None, own: Sequence[str] | None = None) -> LabelledSet:
    """The set with labels of the model, and with `order`, how that is known.

    classes: of the model; None changes nothing. own: the model's own class names by label. A set that names its classes
    gets the labels that these names have there. InputError: the labels contradict what is known, or are out of range.
    """
    if classes is None:
        return found
    own = own if own and len(own) == classes else None
    if found.order is None or not found.order.proven:
        for words, known in _lists(classes, own):
            found = _by_names(found, words, known)
            if found.order and found.order.proven:
                break
    if (found.order is None or not found.order.proven) and classes == imagenet.CLASSES and is_imagenet(own):
        found = replace(found, order=evidence(found.names, found.labels, found.name) or found.order)
    check_labels(found.labels, classes, lambda index: f"{found.name}, {found.names[index]}")
    return replace(found, order=found.order or ClassOrder("its labels are the model's, counted from 0"))


def shown(found: LabelledSet, classes: int, own: Sequence[str] | None = None) -> str:
    """The first classes of a set as `name -> label`: `tench -> 0, goldfish -> 1`; empty where no names are known."""
    names: Mapping[int, str] = found.class_names or {}
    if not names and own and len(own) == classes:
        names = {label: name.split(",")[0] for label, name in enumerate(own)}
    elif not names and classes == imagenet.CLASSES:
        names = {label: one.names.split(",")[0] for label, one in enumerate(imagenet.classes())}
    first = sorted(set(found.labels))[:SHOWN]
    return ", ".join(f"{errors.shown(names[label], _NAME)} -> {label}" for label in first if label in names)


def _lists(classes: int, own: Sequence[str] | None) -> list[tuple[str, Aliases]]:
    """The lists of names whose order is known, with the words for them."""
    lists: list[tuple[str, Aliases]] = []
    if own:
        lists.append(("the model's own class names", [(name,) for name in own]))
    if classes == imagenet.CLASSES and is_imagenet(own):
        lists.append(("ImageNet's class names", [one.aliases for one in imagenet.classes()]))
    return lists


def _by_names(found: LabelledSet, words: str, known: Aliases) -> LabelledSet:
    """The set with the labels that its classes' names have in a known list; as it is where they are others."""
    told = found.class_names or {}
    names = {label: told[label] for label in set(found.labels) if label in told}
    if not names or len(names) < len(set(found.labels)) or len(set(names.values())) < len(names):
        return found
    matches = match(list(names.values()), known)
    meant = {label: matches.labels[name] for label, name in names.items() if name in matches.labels}
    if not matches.most:
        return found
    moved = any(label != to for label, to in meant.items())
    if matches.unknown:
        if moved:
            few = f"{len(matches.unknown)} of {len(names)} classes are none or several of {words}"
            raise InputError(f"{found.name}: {few}: {listing(matches.unknown)}; name them as there")
        return replace(found, order=ClassOrder(f"{words} ({len(meant)} of {len(names)} agree)", proven=True))
    return replace(
        found,
        labels=tuple(meant[label] for label in found.labels),
        class_names={meant[label]: name for label, name in names.items()},
        order=ClassOrder(words + (", to which the labels of the set were brought" if moved else ""), proven=True),
    )
