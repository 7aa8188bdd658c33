"""Which programs take the processor: their names only, never their arguments, owners or paths."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import psutil

# Of one core: what takes less is what an idle machine does all the time.
_LEAST = 0.03
_MOST_NAMED = 4


@dataclass
class Programs:
    """Adds up what programs other than ours computed, look by look.

    A program that starts and ends between two looks is missed, so they should be short apart: a compiler's processes
    live for seconds. ours: processes that compute for us, beside those that we started. seconds: between the first look
    and the last.
    """

    ours: set[int] = field(default_factory=set)
    used_s: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    _last: dict[tuple[int, float], float] = field(default_factory=dict)
    _looked_s: float | None = None

    def look(self) -> None:
        """Read all processes."""
        at, ours = time.monotonic(), _ours() | self.ours
        found: dict[tuple[int, float], float] = {}
        for process in psutil.process_iter():
            try:
                with process.oneshot():
                    times, began = process.cpu_times(), process.create_time()
                    name = process.name()
            except psutil.Error:
                continue
            identity = (process.pid, began)
            found[identity] = times.user + times.system
            if self._looked_s is not None and process.pid not in ours:
                used_s = max(0.0, found[identity] - self._last.get(identity, 0.0))
                self.used_s[name] = self.used_s.get(name, 0.0) + used_s
        if self._looked_s is not None:
            self.seconds += at - self._looked_s
        self._last, self._looked_s = found, at

    def shares(self) -> dict[str, float]:
        """Cores that each program used on average, 0.38 for 38 % of one; the heaviest first, and only those that
        count."""
        if not self.seconds:
            return {}
        heaviest = sorted(self.used_s, key=lambda name: -self.used_s[name])[:_MOST_NAMED]
        found = {name: round(self.used_s[name] / self.seconds, 2) for name in heaviest}
        return {name: share for name, share in found.items() if share >= _LEAST}


def told(shares: Mapping[str, float]) -> str:
    """`firefox 38 %, cc1plus 12 %`: of one core."""
    return ", ".join(f"{name} {share:.0%}".replace("%", " %") for name, share in shares.items())


def _ours() -> set[int]:
    """This process and its descendants."""
    me = psutil.Process(os.getpid())
    return {me.pid, *(child.pid for child in me.children(recursive=True))}
