"""Files that say which class a label means, as PaddleClas, PaddleX, torchvision, Keras and the hub write them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from convert.common.errors import InputError
from convert.datasets.files import decode, read_bytes
from convert.datasets.labels.meta import META_BYTES, WORDNET_ID, parse_meta
from convert.datasets.trees import Tree, has_file

# Files with WordNet ids in label order, as they lie beside ImageNet, and with names of classes.
ORDER_FILES = ("LOC_synset_mapping.txt", "synset_words.txt", "synsets.txt", "imagenet_class_index.json")
NAME_FILES = (
    *("labels.txt", "label.txt", "label_list.txt", "classes.txt", "class_names.txt"),
    *("labels.json", "class_to_idx.json", "id2label.json"),
)
KNOWN = (
    "LOC_synset_mapping.txt, synset_words.txt, a label list with `0 name` or one name a line, class_to_idx or id2label"
    " as JSON, imagenet_class_index.json or the devkit's meta.mat"
)

_WHAT = "a synset list"

Classes = list[tuple[str, ...]]  # by label: what the class is called, its name in that file first


@dataclass(frozen=True)
class LabelFile:
    """The classes that a file has, by label. source: what InputError and notes call it."""

    source: str
    classes: Classes

    @property
    def names(self) -> list[str]:
        """The first name of each class."""
        return [names[0] for names in self.classes]

    @property
    def name(self) -> str:
        """Of the file alone."""
        return PurePath(self.source).name


def find_order(trees: Sequence[Tree]) -> LabelFile | None:
    """The first file that is called as those are which name WordNet ids in label order."""
    return next((_of_tree(tree, name) for tree in trees for name in ORDER_FILES if has_file(tree, name)), None)


def find_names(tree: Tree) -> LabelFile | None:
    """A file of class names, None where there is none. InputError: there are several, and they differ."""
    found = [_of_tree(tree, name) for name in NAME_FILES if has_file(tree, name)]
    if any(one.classes != found[0].classes for one in found):
        names = " and ".join(one.name for one in found)
        raise InputError(f"{tree.source}: {names} have other classes: give the right one with --synsets")
    return found[0] if found else None


def _of_tree(tree: Tree, name: str) -> LabelFile:
    source = f"{tree.source}/{name}"
    return LabelFile(source, parse(decode(tree.text(name, _WHAT), source, _WHAT), source))


def read_label_file(path: Path) -> LabelFile:
    """The file that a user gave. InputError says what is wrong with it."""
    data = read_bytes(path, _WHAT)
    if path.suffix.lower() == ".mat":
        if len(data) > META_BYTES:
            raise InputError(f"{path}: too large for the devkit's meta.mat: {len(data)} bytes")
        return LabelFile(str(path), [(synset,) for synset in sorted(parse_meta(data, str(path)).values())])
    return LabelFile(str(path), parse(decode(data, str(path), _WHAT), str(path)))


def parse(text: str, source: str) -> Classes:
    return (parse_json if text.lstrip()[:1] in ("{", "[") else parse_lines)(text, source)


def parse_lines(text: str, source: str) -> Classes:
    """A class a line: `n01440764 tench, Tinca tinca`, `0 tench`, `tench 0` or `tench`.

    Where every line begins or ends with a number, and these are 0 to N - 1 or 1 to N, the numbers are the labels.
    """
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    words = [line.split() for line in lines]
    if not words:
        raise InputError(f"{source}: the synset list is empty")
    if all(WORDNET_ID.fullmatch(one[0]) for one in words):
        return _distinct([(one[0], *(" ".join(one[1:]),) * (len(one) > 1)) for one in words], source)
    numbered = _numbered(words, 0) or _numbered(words, -1)  # names may be there twice, as `crane` is in ImageNet's
    return [(name,) for name in numbered] if numbered else _distinct([(line,) for line in lines], source)


def _numbered(words: Sequence[list[str]], place: int) -> list[str] | None:
    """The names in the order of the numbers that lines begin or end with; None where these are not 0 to N - 1 or so."""
    if not all(len(one) > 1 and one[place].isascii() and one[place].isdigit() for one in words):
        return None
    names = {int(one[place]): " ".join(one[1:] if place == 0 else one[:-1]) for one in words}
    first = min(names)
    if first > 1 or sorted(names) != list(range(first, first + len(words))):
        return None
    return [names[number] for number in sorted(names)]


def parse_json(text: str, source: str) -> Classes:
    """A list of names, or a table of one of these forms.

    torchvision's class_to_idx `{"tench": 0}`; the hub's id2label `{"0": "tench"}`, also inside a config.json; Keras'
    index `{"0": ["n01440764", "tench"]}`.
    """
    try:
        table = json.loads(text)
        if isinstance(table, Mapping):
            table = _by_label(_inner(table), source)
        found = [(value,) if isinstance(value, str) else tuple(value) for value in table]
        if not all(names and all(isinstance(name, str) for name in names) for names in found):
            raise TypeError
    except (ValueError, TypeError, LookupError, RecursionError):
        raise InputError(f'{source}: not a class index such as {{"0": ["n01440764", "tench"], ...}}') from None
    if not found:
        raise InputError(f"{source}: the synset list is empty")
    return found


def _inner(table: Mapping[str, Any]) -> Mapping[Any, Any]:
    for name in ("id2label", "label2id", "class_to_idx"):
        if isinstance(table.get(name), Mapping):
            inner: Mapping[Any, Any] = table[name]
            return inner
    return table


def _by_label(table: Mapping[Any, Any], source: str) -> list[Any]:
    numbers = [value for value in table.values() if isinstance(value, int) and not isinstance(value, bool)]
    named = bool(table) and len(numbers) == len(table)
    pairs = [(value, name) for name, value in table.items()] if named else [(int(k), v) for k, v in table.items()]
    found = dict(pairs)
    if sorted(found) != list(range(len(table))):
        raise InputError(f"{source}: the labels of its classes are not 0 to {len(table) - 1}")
    return [found[label] for label in range(len(found))]


def _distinct(found: Classes, source: str) -> Classes:
    seen: set[str] = set()
    for name, *_ in found:
        if name in seen:
            raise InputError(f"{source}: {name} is there twice; one line a class is expected, in label order")
        seen.add(name)
    return found
