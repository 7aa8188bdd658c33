"""From the names of classes to labels: by a label file, the model's own names or ImageNet's, else as is assumed."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from convert.common.errors import InputError, listing
from convert.datasets.labels import imagenet
from convert.datasets.labels.class_order import ClassOrder, evidence
from convert.datasets.labels.label_files import KNOWN, LabelFile, read_label_file
from convert.datasets.labels.matching import Matches, imagenet_places, is_imagenet, match, match_imagenet
from convert.datasets.labels.meta import WORDNET_ID

_GIVE = "give --synsets with the model's classes in label order"


@dataclass(frozen=True)
class Known:
    """What is known of the classes beside their names.

    classes: how many the model has, None where that is open. own: the model's own names in label order. synsets: the
    label file that the user gave; beside: one that lies with the images. members: paths of images of each class.
    """

    classes: int | None = None
    own: Sequence[str] | None = None
    synsets: Path | None = None
    beside: LabelFile | None = None
    members: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def own_names(self) -> Sequence[str] | None:
        """The model's own names, where there are as many as it has classes."""
        return self.own if self.own and len(self.own) == self.classes else None


@dataclass(frozen=True)
class NamedLabels:
    """The label of each name, and how that is known."""

    labels: dict[str, int]
    order: ClassOrder


def class_labels(
    names: Collection[str], source: str, classes: int | None, synsets: Path | None = None
) -> dict[str, int]:
    """`named_labels`, where nothing but the number of the model's classes and a label file is known."""
    return named_labels(names, source, Known(classes, synsets=synsets)).labels


def named_labels(names: Collection[str], source: str, known: Known) -> NamedLabels:
    """The label of each name of a class. source: what InputError calls the names.

    What is looked at, in this order: a label file; the model's own names; ImageNet's, for a model with 1000 classes;
    numbers as names; and at last the sorted names, as torchvision and PaddlePaddle number folders. InputError: names
    that are not in the list that the others are in, a number of classes that is not the model's, or numbers that can be
    read in two ways.
    """
    found = _by_file(names, source, known) or by_known_names(names, source, known)
    numbers = [int(name) for name in names if name.isascii() and name.isdigit()]
    if found is None and len(set(numbers)) == len(names):
        found = _by_numbers(names, source, known)
    found = found or _by_place(names, source, known)
    file = known.beside
    if found.order.proven or file is None or known.synsets:
        return found
    unused = f"{file.name} is not used: it has {len(file.classes)} classes, and the model {known.classes}"
    return NamedLabels(found.labels, ClassOrder(f"{found.order.basis}; {unused}"))


def _by_file(names: Collection[str], source: str, known: Known) -> NamedLabels | None:
    """By the label file that was given, or the one beside the images where it has as many classes as the model."""
    file = read_label_file(known.synsets) if known.synsets else known.beside
    if file is None:
        return None
    if known.classes is not None and len(file.classes) != known.classes:
        if known.synsets is None:
            return None
        raise InputError(f"{file.source}: {len(file.classes)} classes, but the model has {known.classes}")
    found = match(names, file.classes)
    if found.unknown:
        few = f"{len(found.unknown)} of {len(names)} classes are not in {file.source}: {listing(found.unknown)}"
        raise InputError(f"{source}: {few}" + ("" if known.synsets else f"; {_GIVE}"))
    contrary = _contradiction(found.labels, known)
    if contrary and known.synsets is None:
        raise InputError(f"{file.source}: {contrary}; give the right order with --synsets")
    return NamedLabels(
        found.labels, ClassOrder(f"by {file.name}" + (f", although {contrary}" if contrary else ""), True)
    )


def _contradiction(labels: Mapping[str, int], known: Known) -> str:
    """What the model's own names say against labels, in words; empty where they agree or are of other classes."""
    own = match(labels, [(name,) for name in known.own_names or ()]).labels
    name = next((name for name, label in own.items() if labels[name] != label), None)
    return "" if name is None else f"{name} is label {labels[name]} there and {own[name]} by the model's own names"


def by_known_names(names: Collection[str], source: str, known: Known) -> NamedLabels | None:
    """By names that are the model's own or ImageNet's; None where they are neither."""
    tried: list[tuple[str, Matches]] = []
    if known.own_names:
        tried.append(("the model's own class names", match(names, [(name,) for name in known.own_names])))
    if known.classes == imagenet.CLASSES and (places := imagenet_places(known.own_names)):
        words = "WordNet ids" if all(WORDNET_ID.fullmatch(name) for name in names) else "ImageNet's class names"
        words += "" if is_imagenet(known.own_names) else ", in the order of the model's own class names"
        theirs = match_imagenet(names).labels
        labels = {name: places[label] for name, label in theirs.items() if label in places}
        tried.append((words, Matches(labels, sorted(name for name in names if name not in labels))))
    for words, found in tried:
        if not found.unknown:
            return NamedLabels(found.labels, ClassOrder(words, proven=True))
    for words, found in tried:
        if found.most:
            few = f"{len(found.unknown)} of {len(names)} classes are none or several of {words}"
            raise InputError(f"{source}: {few}: {listing(found.unknown)}; {_GIVE}")
    return None


def _by_numbers(names: Collection[str], source: str, known: Known) -> NamedLabels:
    """Names that are numbers: labels from 0 or from 1, places in the order of text, or the devkit's numbers."""
    values = {name: int(name) for name in names}
    counted_from = int(min(values.values()) > 0 and max(values.values()) in (known.classes, len(names)))
    readings = {
        f"numbers that count from {counted_from}": {name: value - counted_from for name, value in values.items()}
    }
    if len(names) == known.classes:
        readings["sorted as text, as torchvision does"] = {name: place for place, name in enumerate(sorted(names))}
    if (
        known.classes == imagenet.CLASSES
        and is_imagenet(known.own_names)
        and (proven := _proven(values, readings, source, known))
    ):
        return proven
    words, labels = next(iter(readings.items()))
    if known.classes is not None and max(labels.values()) >= known.classes:
        count = f"{min(values.values())} to {max(values.values())}, but the model has {known.classes} classes"
        raise InputError(f"{source}: the names of its classes are numbers, {count}; {_GIVE}")
    for other, differing in readings.items():
        name = next((name for name in labels if labels[name] != differing[name]), None)
        if name is not None:
            raise InputError(
                f"{source}: the classes are numbers: {name} is label {labels[name]} as one of the {words}, and"
                f" label {differing[name]} {other}; give --synsets with the names in label order, one a line"
            )
    return NamedLabels(labels, ClassOrder(f"names of folders as {words}"))


def _counted(first: int) -> str:
    return f"numbers that count from {first}"


def _proven(
    values: Mapping[str, int], readings: Mapping[str, dict[str, int]], source: str, known: Known
) -> NamedLabels | None:
    """The reading of numbers that the images in the folders prove; None where they tell nothing."""
    meanings = dict(readings)
    for first in (0, 1):
        if first <= min(values.values()) and max(values.values()) < imagenet.CLASSES + first:
            meanings.setdefault(_counted(first), {name: value - first for name, value in values.items()})
    if all(value in imagenet.by_number() for value in values.values()):
        meanings["the ILSVRC devkit's numbers"] = {name: imagenet.by_number()[n] for name, n in values.items()}
    refused: InputError | None = None
    for words, labels in meanings.items():
        pairs = [(path, labels[name]) for name, paths in known.members.items() for path in paths]
        try:
            order = evidence([path for path, _ in pairs], [label for _, label in pairs], source)
        except InputError as error:
            refused = refused or error
            continue
        if order is None:
            return None
        return NamedLabels(labels, replace(order, basis=f"{words}, by {order.basis}"))
    assert refused
    raise refused


def _by_place(names: Collection[str], source: str, known: Known) -> NamedLabels:
    """The position among the sorted names, which torchvision's ImageFolder and PaddlePaddle's DatasetFolder take."""
    classes = known.classes
    if classes is not None and len(names) != classes:
        reason = f"{source}: {len(names)} classes, but the model has {classes}"
        if len(names) > classes:
            raise InputError(
                f"{reason}; give --synsets with the model's classes in label order, and images of those only"
            )
        raise InputError(
            f"{reason}: their position is not their label; give all {classes} in label order with --synsets ({KNOWN})"
        )
    basis = "sorted WordNet ids" if all(WORDNET_ID.fullmatch(name) for name in names) else "sorted names of classes"
    return NamedLabels({name: label for label, name in enumerate(sorted(names))}, ClassOrder(basis))
