"""Names of classes held against lists of classes, however their words are joined."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from convert.datasets.labels import imagenet

Aliases = Sequence[Sequence[str]]  # by label: everything that a class is called

_BETWEEN = re.compile(r"[\W_]+")
_ID_FIRST = re.compile(r"(n[0-9]{8})[\W_].*", re.ASCII | re.DOTALL)


@dataclass(frozen=True)
class Matches:
    """labels: of the names that mean one class. unknown: the names that mean none, or one of several."""

    labels: dict[str, int]
    unknown: list[str]

    @property
    def most(self) -> bool:
        """Whether the names are of these classes, be it that some are misspelt: at least half of them are found."""
        return len(self.labels) >= max(len(self.unknown), 1)


def plain(name: str) -> str:
    """`great white shark` for `Great_White-Shark`; a name of signs alone stays as it is."""
    return _BETWEEN.sub(" ", name.casefold()).strip() or name


def match(names: Collection[str], known: Aliases) -> Matches:
    """The class that each name means: no two names mean the same one.

    A name that several classes have goes to the one that no other name means, where there is one. Exact names go before
    those that are alike but for signs and capitals, and these before one of several: `tench` of `tench, Tinca tinca`.
    """
    labels: dict[str, int] = {}
    for form, parts in ((str, _whole), (plain, _whole), (plain, _split)):
        meanings: dict[str, set[int]] = {}
        for label, aliases in enumerate(known):
            for alias in aliases:
                for part in parts(alias):
                    meanings.setdefault(form(part), set()).add(label)
        waiting, found = [name for name in names if name not in labels], True
        while waiting and found:
            taken = set(labels.values())
            left = {name: meanings.get(form(name), set()) - taken for name in waiting}
            single = {name: next(iter(one)) for name, one in left.items() if len(one) == 1}
            claims = Counter(single.values())
            sure = {name: label for name, label in single.items() if claims[label] == 1}
            labels |= sure
            waiting, found = [name for name in waiting if name not in sure], bool(sure)
    return Matches(labels, sorted(name for name in names if name not in labels))


def _whole(alias: str) -> list[str]:
    return [alias]


def _split(alias: str) -> list[str]:
    return [part.strip() for part in alias.split(",")]


def is_imagenet(own: Sequence[str] | None) -> bool:
    """False where a model's own class names say that its classes are not ImageNet's, or are in another order."""
    if own is None:
        return True
    same = match(own, [one.aliases for one in imagenet.classes()]).labels
    return 2 * sum(own[label] == name for name, label in same.items()) > len(own)


def imagenet_places(own: Sequence[str] | None) -> dict[int, int]:
    """The model's label of each of ImageNet's: the same one, unless the model's own class names have another order.

    Empty where these are names of other classes.
    """
    if own is None or is_imagenet(own):
        return {label: label for label in range(imagenet.CLASSES)}
    found = match(own, [one.aliases for one in imagenet.classes()])
    return {label: own.index(name) for name, label in found.labels.items()} if found.most else {}


def match_imagenet(names: Collection[str]) -> Matches:
    """The same for ImageNet's classes; `n01440764 tench` and `n01440764_tench` are what their WordNet id says."""
    first = {name: begun[1] for name in names if (begun := _ID_FIRST.fullmatch(name))}
    short = {name: first.get(name, name) for name in names}
    found = match(list(dict.fromkeys(short.values())), [one.aliases for one in imagenet.classes()])
    labels = {name: found.labels[key] for name, key in short.items() if key in found.labels}
    return Matches(labels, sorted(name for name in names if name not in labels))
