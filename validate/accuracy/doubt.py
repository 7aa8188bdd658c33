"""Whether a top-1 says anything: what chance gives, and what seems wrong where a model does no better."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from convert.datasets.labels import imagenet
from validate.accuracy.outcomes import wilson

USUAL = "usually the order of the classes, the preprocessing or the weights are wrong"
SEEDED = "as it must be with drawn weights"

# A trained model of so many classes is above this on anything that it was made for: what is below has found a few
# classes by their likeness to others.
MANY_CLASSES, LEAST = 100, 0.03
_ENOUGH = 10  # images, before another order of the labels is looked for
_BETTER = 0.2  # in top-1, by which another order must be
_PER_CLASS = 10  # images of each class, before their order is guessed from what they are taken for


@dataclass(frozen=True)
class Answers:
    """What a runtime answered to the images that have an answer. first: (images,), negative where logits were not
    finite. labels: (images,). classes: of the model."""

    first: np.ndarray
    labels: np.ndarray
    classes: int

    @property
    def right(self) -> int:
        return self.right_with(self.labels)

    def right_with(self, labels: np.ndarray) -> int:
        """How many answers would be right with other labels."""
        return int((self.first == labels).sum())

    @property
    def chance(self) -> float:
        """The top-1 of as many answers of each class, given without a look at the image; at least 1 / classes."""
        if len(np.unique(self.labels)) < 2:
            return 1 / self.classes
        size = self.classes
        answers = np.bincount(self.first[self.first >= 0], minlength=size)
        truth = np.bincount(self.labels, minlength=size)
        return max(1 / size, float(answers @ truth) / len(self.labels) ** 2)


def doubt(answers: Answers, seeded: bool) -> str | None:
    """Why a top-1 says nothing of a model, in a sentence; None where it does. seeded: its weights were drawn."""
    images = len(answers.labels)
    if not images:
        return None
    top1, chance = answers.right / images, answers.chance
    at_chance = wilson(answers.right, images)[0] <= chance and top1 < min(2 * chance, (1 + chance) / 2)
    low = answers.classes >= MANY_CLASSES and top1 < LEAST
    found = None if seeded else _other_order(answers, chance)
    if not (at_chance or low or found):
        return None
    level = f"is at chance level ({chance:.2g})" if at_chance else f"is hardly above chance ({chance:.2g})"
    said = f"top-1 {top1:.4f} {level if at_chance or low else 'is that of another order of the classes'}"
    return f"{said}, {SEEDED}" if seeded else f"{said}: {found or USUAL}"


def _other_order(answers: Answers, chance: float) -> str | None:
    """With which other labels most answers would be right, in words; None where there are none."""
    images = len(answers.labels)
    if images < _ENOUGH:
        return None
    best = max(_READINGS, key=lambda reading: answers.right_with(reading.labels(answers)))
    right = answers.right_with(best.labels(answers))
    if wilson(right, images)[0] > chance and right - answers.right >= _BETTER * images:
        return f"with {best.words} it would be {right / images:.4f}: {best.meaning}"
    return _permuted(answers, chance)


def _permuted(answers: Answers, chance: float) -> str | None:
    """The same for any order of the classes, where each class has many images."""
    from scipy.optimize import linear_sum_assignment

    own, counts = np.unique(answers.labels, return_counts=True)
    given = np.unique(answers.first[answers.first >= 0])
    if len(own) < 2 or counts.min() < _PER_CLASS or not len(given):
        return None
    table = np.array([[((answers.labels == a) & (answers.first == b)).sum() for b in given] for a in own])
    rows, columns = linear_sum_assignment(-table)
    right = int(table[rows, columns].sum())
    images = len(answers.labels)
    if wilson(right, images)[0] < (1 + chance) / 2 or right - answers.right < _BETTER * images:
        return None
    moved = [f"{own[a]} is taken for {given[b]}" for a, b in zip(rows, columns, strict=True) if own[a] != given[b]]
    return f"in another order of the classes it would be {right / images:.4f}: label {', '.join(moved[:3])}"


@dataclass(frozen=True)
class Reading:
    """Another reading of labels. words: what it is called; meaning: what the labels are then."""

    words: str
    meaning: str
    labels: Callable[[Answers], np.ndarray]


def _as_text(answers: Answers) -> np.ndarray:
    """Label i is the number that is at place i when numbers are sorted as text."""
    order = sorted(range(answers.classes), key=str)
    return np.array([order[label] for label in answers.labels])


def _of_text(answers: Answers) -> np.ndarray:
    """The model's classes are in the order of text: number n is at a place i of it."""
    places = {number: place for place, number in enumerate(sorted(range(answers.classes), key=str))}
    return np.array([places[label] for label in answers.labels])


def _devkit(first: int) -> Callable[[Answers], np.ndarray]:
    def labels(answers: Answers) -> np.ndarray:
        known = imagenet.by_number() if answers.classes == imagenet.CLASSES else {}
        return np.array([known.get(int(label) + 1 - first, -1) for label in answers.labels])

    return labels


_READINGS = (
    Reading("labels minus 1", "they seem to count from 1", lambda answers: answers.labels - 1),
    Reading("labels plus 1", "they seem to be one too low", lambda answers: answers.labels + 1),
    Reading("labels by value", "they seem to be places of numbers that were sorted as text", _as_text),
    Reading("labels sorted as text", "the model's classes seem to be numbers that were sorted as text", _of_text),
    Reading("the ILSVRC devkit's numbers as labels", "they seem to be ILSVRC2012_IDs", _devkit(1)),
    Reading("the ILSVRC devkit's numbers less 1 as labels", "they seem to be ILSVRC2012_IDs less 1", _devkit(0)),
)
