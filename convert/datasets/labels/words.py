"""From labels as a set writes them (numbers, WordNet ids, names of classes) to the model's labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from convert.common.errors import InputError, listing
from convert.datasets.files import decode
from convert.datasets.image_lists import LabelledList, is_number, shortened
from convert.datasets.labels.class_names import SYNSET_FILES, class_labels, parse_class_index, parse_synsets
from convert.datasets.labels.devkit import Meta, list_labels
from convert.datasets.labels.meta import WORDNET_ID
from convert.datasets.trees import Tree, has_file

# Files with the classes in label order, as they lie beside sets.
ORDER_FILES = ("LOC_synset_mapping.txt", "synset_words.txt", "synsets.txt", "imagenet_class_index.json")
LABEL_FILES = ("labels.txt", "label.txt", "label_list.txt")  # of PaddleX and PaddleClas: `0 cat`, or a name a line


@dataclass(frozen=True)
class MappedLabels:
    """labels: 0-based, of the model. class_names: as in `LabelledSet`. notes: what was assumed, a line each."""

    labels: list[int]
    class_names: dict[int, str] | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class OrderFile:
    """A file that names the classes in label order. source: what InputError and notes call it."""

    source: str
    names: list[str]


def of_list(
    listed: LabelledList,
    classes: int | None,
    synsets: Path | None,
    meta: Meta | None,
    order: OrderFile | None,
    names: OrderFile | None = None,
) -> MappedLabels:
    """The labels of a list. meta: the devkit's, where one is beside it; order, names: of the files that are beside it.

    InputError: a line has none, they are of several kinds, out of range, or no order of their words is known.
    """
    listed.refuse_unlabelled()
    if listed.numbered:
        labels = list_labels(listed, meta, classes, synsets)
        if names is None:
            return MappedLabels(labels)
        if classes is not None and len(names.names) != classes:
            raise InputError(
                f"{names.source}: names {len(names.names)} classes, but the model has {classes}; take it away where"
                " the labels are the model's all the same"
            )
        return MappedLabels(labels, dict(enumerate(names.names)), (f"class names of {names.source}",))
    odd = next(
        (i for i, word in enumerate(listed.words) if is_number(word or "") != is_number(listed.words[0] or "")), 0
    )
    if odd:
        raise InputError(
            f"{listed.where(odd)}: label {shortened(listed.words[odd] or '')}, where line {listed.lines[0]} has"
            f" {shortened(listed.words[0] or '')}: all have to be numbers, or all names"
        )
    return of_words([word or "" for word in listed.words], listed.source, classes, synsets, order or names)


def of_words(
    words: Sequence[str], source: str, classes: int | None, synsets: Path | None, order: OrderFile | None = None
) -> MappedLabels:
    """The labels of WordNet ids or names: their places in `--synsets`, else in the order file, else among the sorted
    ones where they are exactly as many as the model has classes, as torchvision's ImageFolder counts them."""
    distinct = sorted(set(words))
    if synsets is None and order is not None:
        mapping = {name: label for label, name in enumerate(order.names)}
        unknown = [word for word in distinct if word not in mapping]
        if unknown:
            count = f"{len(unknown)} of {len(distinct)} classes are not in {order.source}"
            raise InputError(f"{source}: {count}: {listing(unknown)}; name another file with --synsets")
        if classes is not None and len(mapping) != classes:
            raise InputError(f"{order.source}: {len(mapping)} classes, but the model has {classes}")
        notes: tuple[str, ...] = (f"classes in the order of {order.source}",)
    elif synsets is None and classes is not None and len(distinct) != classes:
        what = "WordNet ids" if all(WORDNET_ID.fullmatch(word) for word in distinct) else "class names"
        raise InputError(
            f"{source}: its labels are {len(distinct)} {what}, but the model has {classes} classes: give all {classes}"
            f" in label order with --synsets ({SYNSET_FILES})"
        )
    else:
        mapping = class_labels(distinct, source, classes, synsets)
        sorted_names = f"classes in the sorted order of their {len(distinct)} names ({listing(distinct, 3)})"
        notes = () if synsets is not None else (sorted_names,)
    return MappedLabels([mapping[word] for word in words], {mapping[word]: word for word in distinct}, notes)


def find_order(trees: Sequence[Tree]) -> OrderFile | None:
    """The first file that is called as those are which name WordNet ids in label order."""
    for tree in trees:
        for name in ORDER_FILES:
            if has_file(tree, name):
                source = f"{tree.source}/{name}"
                text = decode(tree.text(name, "a synset list"), source, "a synset list")
                found = parse_class_index(text, source) if name.endswith(".json") else parse_synsets(text, source)
                return OrderFile(source, found)
    return None


def find_names(tree: Tree) -> OrderFile | None:
    """The file of class names that PaddleX and PaddleClas keep beside `val.txt`: lines of `0 cat`, or of names."""
    for name in LABEL_FILES:
        if has_file(tree, name):
            source = f"{tree.source}/{name}"
            text = decode(tree.text(name, "a list of class names"), source, "a list of class names")
            lines = [line.strip() for line in text.split("\n") if line.strip()]
            pairs = [line.split(None, 1) for line in lines]
            if all(len(pair) == 2 and is_number(pair[0]) for pair in pairs) and sorted(
                int(pair[0]) for pair in pairs
            ) == list(range(len(pairs))):
                lines = [pair[1] for pair in sorted(pairs, key=lambda pair: int(pair[0]))]
            return OrderFile(source, lines) if lines else None
    return None
