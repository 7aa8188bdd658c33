"""How long an inference takes by itself, on a machine where other programs run too.

Each sample knows how long its threads waited for a core (`runtimes/system/contention.py`). Samples that hardly waited
are those of a quiet machine, and on a machine that is used there are some. Where there are none, the samples that
waited least are corrected, which is uncertain by as much as is corrected; and where even those waited long, nothing can
be said.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from runtimes.system.contention import Contention

# Counted up by hand when a number below changes: the samples of an older record give its median by the older rule.
RULE = 1
# Of a sample's wall time: less is what an idle machine shows too (the threads of a runtime wait for each other).
CLEAN_WAITED = 0.06
# Of all cores, by ticks of 10 ms (a trial with another program at 40 and at 80 % of a core, docs/measuring.md).
CLEAN_FOREIGN = 0.12
# Of the waiting of all threads together so much is missing at the end of the inference: threads that meet at a barrier
# wait for the one that was held up. Slopes of wall time over waiting were 0.55 to 0.78 (docs/measuring.md).
_DELAY, _DELAY_UNSURE = 0.66, 0.25
# What is left of a sample at least: one that waited so long tells nothing, and nothing takes no time.
_LEFT = 0.25
# Samples that waited longer than this on average tell nothing: their correction would be as large as what is left.
_MOST = 0.2
_FEWEST = 3
_LEAST_SHARE = 0.25


@dataclass(frozen=True)
class Undisturbed:
    """An estimate of what a quiet machine would show.

    ms: the median. used: indices of the samples that it is of. unsure: by how much the correction may be wrong, as a
    share of ms; 0 where none was needed.
    """

    ms: float
    used: tuple[int, ...]
    unsure: float = 0.0


def clean(met: Contention) -> bool:
    """Whether a sample met no more than one on an idle machine does."""
    return met.waited <= CLEAN_WAITED and met.foreign <= CLEAN_FOREIGN


def corrected(sample_ms: float, met: Contention) -> float:
    """What is left of a sample without what its waiting cost."""
    return sample_ms * max(_LEFT, 1 - _DELAY * max(0.0, met.waited - CLEAN_WAITED / 2)) if not clean(met) else sample_ms


def undisturbed(samples_ms: Sequence[float], met: Sequence[Contention]) -> Undisturbed | None:
    """What samples in milliseconds say of a quiet machine; None where nothing.

    met: of each sample; empty where the system tells nothing, and then all samples count as they are. Clean samples
    are taken where they are at least three and a quarter of all; otherwise the quarter that was disturbed least,
    corrected for what it waited.
    """
    if not samples_ms:
        return None
    if not met:
        return Undisturbed(float(np.median(samples_ms)), tuple(range(len(samples_ms))))
    found = [at for at, one in enumerate(met) if clean(one)]
    quarter = max(min(_FEWEST, len(samples_ms)), round(_LEAST_SHARE * len(samples_ms)))
    if len(found) >= quarter:
        return Undisturbed(float(np.median([samples_ms[at] for at in found])), tuple(found))
    found = sorted(range(len(met)), key=lambda at: met[at].share)[:quarter]
    waited = float(np.mean([met[at].share for at in found]))
    if waited > _MOST:
        return None
    ms = float(np.median([corrected(samples_ms[at], met[at]) for at in found]))
    return Undisturbed(ms, tuple(sorted(found)), _DELAY_UNSURE * waited)
