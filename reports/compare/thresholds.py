"""What counts as a regression: `median:5%` and the like."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from convert.common.errors import InputError
from reports.compare.figures import FIGURES

DEFAULT = ("median:5%", "throughput:5%", "accuracy:1%")
_SHARE = re.compile(r"([0-9]{1,4}(?:\.[0-9]{1,6})?)%", re.ASCII)


@dataclass(frozen=True)
class Threshold:
    """A change for the worse that fails the comparison. share: 0.05 is 5 % (of accuracy: percentage points)."""

    figure: str
    share: float

    def __str__(self) -> str:
        return f"{self.figure}:{100 * self.share:g}%"


def parse(text: str) -> Threshold:
    """A threshold from `FIGURE:NUMBER%`. InputError says what is wrong."""
    figure, colon, share = text.partition(":")
    if not colon:
        raise InputError(f"--fail {text!r}: FIGURE:NUMBER% is needed, as in median:5%")
    names = [*FIGURES, "accuracy"]
    if figure not in names:
        raise InputError(f"--fail {text!r}: there is no figure {figure!r}; there are {', '.join(names)}")
    return Threshold(figure, parse_share("--fail", share))


def parse_all(texts: Sequence[str]) -> list[Threshold]:
    """One threshold for each figure; InputError when a figure has two."""
    found = [parse(text) for text in texts]
    for threshold in found:
        alike = [str(one) for one in found if one.figure == threshold.figure]
        if len(alike) > 1:
            raise InputError(f"--fail {' and '.join(alike)}: give one for each figure")
    return found


def parse_share(option: str, text: str) -> float:
    """0.05 from `5%`. InputError says what is wrong."""
    found = _SHARE.fullmatch(text)
    if not found:
        raise InputError(f"{option} {text!r}: NUMBER% is needed, as in 5% or 0.5%")
    return float(found[1]) / 100
