"""What a user can spend: `p99<50ms, top1>=-0.5, memory<1GB`, as typed constraints."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from fractions import Fraction

from convert.common.errors import InputError
from validate.accuracy.evaluation import KEEP

LATENCY, THROUGHPUT, COST = "latency", "throughput", "cost"
OBJECTIVES = (LATENCY, THROUGHPUT, COST)
TOP1, MEMORY, RATE = "top1", "memory", "images/s"  # and COST, in euros per million images
PERCENTILES = {"p50": 50, "p90": 90, "p95": 95, "p99": 99}

_TIMES = {"ms": 1.0, "s": 1000.0}
_SIZES = {"kb": 1e3, "mb": 1e6, "gb": 1e9, "kib": 2.0**10, "mib": 2.0**20, "gib": 2.0**30}
_PART = re.compile(
    r"([a-z0-9/]+)\s*(<=|>=|<|>)\s*(-?[0-9]{1,12}(?:\.[0-9]{1,9})?)\s*([a-z%]*)", re.ASCII | re.IGNORECASE
)
_KNOWN = (
    "p50, p90, p95 and p99 (p99<50ms), memory (memory<1GB), top1 (top1>=-0.5, or top1>=99%), images/s (images/s>=100),"
    " cost (cost<=0.5)"
)
_EXAMPLES = {MEMORY: "memory<1GB", RATE: "images/s>=100", COST: "cost<=0.5"}


@dataclass(frozen=True)
class Constraint:
    """One part of a budget.

    figure: what is limited. text: as the user wrote it. limit: milliseconds of a percentile, bytes of memory, images/s,
    euros per million images. price: of cost, euros per hour of the machine.
    difference, share: of top1, exact: how far below Paddle's FP32 it may be (0.005 for half a point), or the part of it
    that must be reached; one of the two.
    """

    figure: str
    text: str
    limit: float = 0.0
    difference: Fraction | None = None
    share: Fraction | None = None
    price: float | None = None

    @property
    def most(self) -> bool:
        """Whether less is better."""
        return self.figure in PERCENTILES or self.figure in (MEMORY, COST)

    def keep(self, reference: Fraction) -> Fraction:
        """The part of the reference's top-1 (0 to 1) that top1 asks for, above 0 and up to 1."""
        if self.share is not None:
            return self.share
        assert self.difference is not None
        wanted = reference - self.difference
        return min(Fraction(1), wanted / reference) if reference and wanted > 0 else Fraction(1, 10**9)


@dataclass(frozen=True)
class Limits:
    """All that must hold. top1 is always among it: without one from the user it is what accuracy asks for.
    price: euros per hour of the machine, where the objective is cost."""

    constraints: tuple[Constraint, ...]
    top1: Constraint
    price: float | None = None

    @property
    def timed(self) -> tuple[Constraint, ...]:
        """Those that a measurement of speed tells about."""
        return tuple(one for one in self.constraints if one.figure != TOP1)

    @property
    def percentile(self) -> int:
        """The highest percentile that it limits, which decides how many samples are needed."""
        return max((PERCENTILES[one.figure] for one in self.constraints if one.figure in PERCENTILES), default=50)

    @property
    def texts(self) -> tuple[str, ...]:
        return tuple(one.text for one in self.constraints)


def parse(text: str, objective: str = LATENCY, price: float | None = None) -> Limits:
    """The budget that a text says. InputError names the part that is none, and says what would be.

    price: euros per hour of the machine, which the objective cost needs and no other one takes.
    """
    _check_price(objective, price)
    found = [_constraint(part.strip()) for part in text.split(",") if part.strip()]
    for one in found:
        alike = [other.text for other in found if other.figure == one.figure]
        if len(alike) > 1:
            raise InputError(f"--budget {', '.join(alike)}: one limit for each figure")
        if one.figure in PERCENTILES and objective != LATENCY:
            raise InputError(
                f"--budget {one.text}: a latency is that of one request at a time, which --objective {LATENCY}"
                f" measures; {THROUGHPUT} keeps the machine full, where {RATE} can be limited"
            )
        if one.figure == RATE and objective == LATENCY:
            raise InputError(f"--budget {one.text}: --objective {THROUGHPUT} measures a rate")
        if one.figure == COST and objective != COST:
            raise InputError(f"--budget {one.text}: a cost needs --objective {COST} and --price")
    own = Constraint(TOP1, f"top1>={100 * float(KEEP):g}%", share=Fraction(KEEP))
    priced = tuple(replace(one, price=price) if one.figure == COST else one for one in found)
    return Limits(priced, next((one for one in found if one.figure == TOP1), own), price)


def _check_price(objective: str, price: float | None) -> None:
    if price is None and objective == COST:
        raise InputError(f"--objective {COST}: --price is needed, the euros per hour of this machine")
    if price is not None and objective != COST:
        raise InputError(f"--price {price:g}: only --objective {COST} takes one")
    if price is not None and not 0 < price < math.inf:
        raise InputError(f"--price {price:g}: euros per hour above zero are needed")


def _constraint(text: str) -> Constraint:
    match = _PART.fullmatch(text)
    if not match:
        raise InputError(f"--budget {text!r}: no limit; there are {_KNOWN}")
    figure, sign, number, unit = match[1].lower(), match[2], match[3], match[4].lower()
    if figure not in (*PERCENTILES, TOP1, MEMORY, RATE, COST):
        raise InputError(f"--budget {text!r}: nothing is called {match[1]}; there are {_KNOWN}")
    made = _of(figure, text, number, unit)
    if ("<" in sign) != made.most:
        wanted = "at most, with <" if made.most else "at least, with >="
        raise InputError(f"--budget {text!r}: {figure} is limited to so much {wanted}")
    return made


def _of(figure: str, text: str, number: str, unit: str) -> Constraint:
    value = Fraction(number)
    if figure == TOP1:
        if unit == "%" and 0 < value <= 100:
            return Constraint(figure, text, share=value / 100)
        if unit in ("", "points") and -100 < value <= 0:
            return Constraint(figure, text, difference=-value / 100)
        raise InputError(
            f"--budget {text!r}: points below Paddle's FP32 are needed, as in top1>=-0.5, or a part of it, as in"
            " top1>=99%"
        )
    units = _TIMES if figure in PERCENTILES else _SIZES if figure == MEMORY else {"": 1.0}
    if unit not in units:
        example = _EXAMPLES.get(figure, "p99<50ms")
        raise InputError(f"--budget {text!r}: {'no unit' if '' in units else 'a unit'} is needed, as in {example}")
    if value <= 0:
        raise InputError(f"--budget {text!r}: a number above zero is needed")
    return Constraint(figure, text, float(value) * units[unit])
