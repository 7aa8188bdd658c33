"""From labels as a set writes them (numbers, WordNet ids, names of classes) to the model's labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from convert.common.errors import InputError
from convert.datasets.image_lists import LabelledList, is_number, shortened
from convert.datasets.labels.class_names import Known, by_known_names, named_labels
from convert.datasets.labels.class_order import ClassOrder
from convert.datasets.labels.devkit import Meta, list_labels
from convert.datasets.labels.label_files import LabelFile


@dataclass(frozen=True)
class MappedLabels:
    """labels: 0-based, of the model. class_names, order: as in `LabelledSet`. notes: what was assumed, a line each."""

    labels: list[int]
    class_names: dict[int, str] | None = None
    notes: tuple[str, ...] = ()
    order: ClassOrder | None = None


def of_list(
    listed: LabelledList,
    classes: int | None,
    synsets: Path | None,
    meta: Meta | None,
    order: LabelFile | None,
    names: LabelFile | None = None,
    own: Sequence[str] | None = None,
) -> MappedLabels:
    """The labels of a list. meta: the devkit's, where one is beside it; order, names: of the files that are beside it.

    own: the model's own names of its classes. InputError: a line has no label, they are of several kinds, out of range,
    or no order of their words is known.
    """
    listed.refuse_unlabelled()
    if listed.numbered:
        labels = list_labels(listed, meta, classes, synsets)
        return MappedLabels(labels) if names is None else _of_numbers(labels, names, classes, own)
    odd = next(
        (i for i, word in enumerate(listed.words) if is_number(word or "") != is_number(listed.words[0] or "")), 0
    )
    if odd:
        raise InputError(
            f"{listed.where(odd)}: label {shortened(listed.words[odd] or '')}, where line {listed.lines[0]} has"
            f" {shortened(listed.words[0] or '')}: all have to be numbers, or all names"
        )
    return of_words([word or "" for word in listed.words], listed.source, classes, synsets, order or names, own)


def _of_numbers(
    labels: list[int], file: LabelFile, classes: int | None, own: Sequence[str] | None = None
) -> MappedLabels:
    """Labels whose names stand in a file. Of a part of the model's classes, they become these classes' labels."""
    names = dict(enumerate(file.names))
    notes = (f"class names of {file.source}",)
    if classes is None or len(names) == classes:
        return MappedLabels(labels, names, notes)
    found = None
    if len(set(names.values())) == len(names) and all(label in names for label in labels):
        found = by_known_names(list(names.values()), file.source, Known(classes, own))
    if found is None:
        raise InputError(
            f"{file.source}: names {len(names)} classes, but the model has {classes}; take it away where the labels are"
            " the model's all the same"
        )
    by_label = {label: name for name, label in found.labels.items()}
    return MappedLabels([found.labels[names[label]] for label in labels], by_label, notes, found.order)


def of_words(
    words: Sequence[str],
    source: str,
    classes: int | None,
    synsets: Path | None,
    order: LabelFile | None = None,
    own: Sequence[str] | None = None,
) -> MappedLabels:
    """The labels of WordNet ids or names, see `class_names.named_labels`. order: the label file beside the set."""
    distinct = sorted(set(words))
    named = named_labels(distinct, source, Known(classes, own, synsets, None if synsets else order))
    by_label = {label: name for name, label in named.labels.items()}
    return MappedLabels([named.labels[word] for word in words], by_label, order=named.order)
