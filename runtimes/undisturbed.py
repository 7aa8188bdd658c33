"""How long an inference takes by itself, on a machine where other programs run too.

Each sample knows how long its threads waited for a core (`runtimes/system/contention.py`). Samples that hardly waited
are those of a quiet machine, and on a machine that is used there are some. Where there are too few, nothing can be
said: medians that were corrected for waiting came out 7 to 11 % too high beside a compiler at nice 10, with intervals
that did not cover the quiet ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from runtimes.system.contention import Contention

# Counted up by hand when a number below changes: the samples of an older record give its median by the older rule.
RULE = 2
# Of a sample's wall time: less is what an idle machine shows too (the threads of a runtime wait for each other).
CLEAN_WAITED = 0.06
# Of all cores, by ticks of 10 ms (a trial with another program at 40 and at 80 % of a core, docs/measuring.md).
CLEAN_FOREIGN = 0.12
# Of the waiting of all threads together so much is missing at the end of the inference: threads that meet at a barrier
# wait for the one that was held up. Slopes of wall time over waiting were 0.55 to 0.78 (docs/measuring.md).
_DELAY = 0.66
# What is left of a sample at least: one that waited so long tells nothing, and nothing takes no time.
_LEFT = 0.25
_FEWEST = 3
_LEAST_SHARE = 0.1


@dataclass(frozen=True)
class Undisturbed:
    """An estimate of what a quiet machine would show.

    ms: the median. used: indices of the samples that it is of.
    """

    ms: float
    used: tuple[int, ...]


def clean(met: Contention) -> bool:
    """Whether a sample met no more than one on an idle machine does."""
    return met.waited <= CLEAN_WAITED and met.foreign <= CLEAN_FOREIGN


def corrected(sample_ms: float, met: Contention) -> float:
    """What is left of a sample without what its waiting cost: for ratios of cells side by side alone, in which most of
    what is wrong with it falls out."""
    return sample_ms * max(_LEFT, 1 - _DELAY * max(0.0, met.waited - CLEAN_WAITED / 2)) if not clean(met) else sample_ms


def undisturbed(samples_ms: Sequence[float], met: Sequence[Contention]) -> Undisturbed | None:
    """What samples in milliseconds say of a quiet machine; None where nothing.

    met: of each sample; empty where the system tells nothing, and then all samples count as they are. Otherwise the
    clean ones do, where they are at least three and a tenth of all.
    """
    if not samples_ms:
        return None
    if not met:
        return Undisturbed(float(np.median(samples_ms)), tuple(range(len(samples_ms))))
    found = [at for at, one in enumerate(met) if clean(one)]
    if len(found) < max(min(_FEWEST, len(samples_ms)), round(_LEAST_SHARE * len(samples_ms))):
        return None
    return Undisturbed(float(np.median([samples_ms[at] for at in found])), tuple(found))
