"""Who took part in a choice of what to ship."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from convert.common.typed import about


@dataclass(frozen=True, kw_only=True)
class Contender:
    """Who might have been chosen, and how far that one came."""

    runtime: str
    precision: str
    smooth: Annotated[float | None, about("int8: strength of the smoothing, 0: none; null in older records")] = None
    threads: int | None = None
    batch: int | None = None
    streams: int | None = None
    step: Annotated[str, about("the last that it came to: made, look, part of the images, accuracy, final")] = ""
    outcome: Annotated[str, about("chosen, or why it fell, by whom it was beaten, or that it may be as fast")] = ""
    median_ms: Annotated[float | None, about("by its best measurement")] = None
    images_per_s: Annotated[float | None, about("likewise")] = None
    peak_memory_bytes: Annotated[int | None, about("likewise")] = None
    top1: Annotated[str, about("what is known of its accuracy")] = ""


def euros_per_million(images_per_s: float, price_per_hour: float) -> float:
    """What a million images cost on a machine that is kept full. price_per_hour: euros."""
    return 1e6 * price_per_hour / (3600 * images_per_s)
