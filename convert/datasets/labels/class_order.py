"""How it is known which class a label means: proven by something, or assumed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from convert.common.errors import InputError
from convert.datasets.labels import imagenet


@dataclass(frozen=True)
class ClassOrder:
    """basis: what says which class each label means, in words. proven: False where that is an assumption."""

    basis: str
    proven: bool = False

    def __str__(self) -> str:
        return f"{'proven' if self.proven else 'assumed'}: {self.basis}"


_ENOUGH = 3  # known images that agree: one alone may by chance, and says little of the other classes
_DEVKIT = "they are the ILSVRC devkit's numbers{}: give its meta.mat with --synsets"
# What labels may be in place of labels in synset order: the words for it, and the label that such a number means.
_MISTAKES: tuple[tuple[str, Callable[[int], int | None]], ...] = (
    ("they count from 1: subtract 1 from each", lambda label: label - 1),
    (_DEVKIT.format(" (ILSVRC2012_ID)"), lambda label: imagenet.by_number().get(label)),
    (_DEVKIT.format(" less 1"), lambda label: imagenet.by_number().get(label + 1)),
    ("they are one too low: add 1 to each", lambda label: label + 1),
)


def evidence(names: Sequence[str], labels: Sequence[int], source: str) -> ClassOrder | None:
    """What the paths of images say of their labels, for a model with ImageNet's classes in ImageNet's order.

    source: what InputError calls the set. None where no path tells the class of its image. InputError: most of those
    that do have other labels; the message says which, and what the labels seem to be.
    """
    known = [
        (name, label, truth)
        for name, label in zip(names, labels, strict=True)
        if (truth := imagenet.known_label(name)) is not None
    ]
    if not known:
        return None
    wrong = [entry for entry in known if entry[1] != entry[2]]
    if 2 * len(wrong) < len(known):
        right = len(known) - len(wrong)
        agree = f"{right} of " if wrong else ""
        known_ones = (
            "image of ImageNet whose path tells its" if len(known) == 1 else "images of ImageNet whose paths tell their"
        )
        return ClassOrder(f"{agree}{len(known)} {known_ones} class", proven=right >= _ENOUGH)
    name, label, truth = wrong[0]
    others = f" and {len(wrong) - 1} other{'s' * (len(wrong) > 2)}" if len(wrong) > 1 else ""
    said = next(
        (words for words, meant in _MISTAKES if all(meant(label) == truth for _, label, truth in wrong)),
        f"it is {truth}, {imagenet.classes()[truth].names}: the labels are in another order",
    )
    raise InputError(
        f"{source}: the labels contradict what is known of {PurePosixPath(name).stem} ({truth}, here {label}){others};"
        f" {said}"
    )
