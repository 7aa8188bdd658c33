"""Where the time of a check went, for a line at its end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Took:
    """Seconds by the names of the parts, in the order in which they came first. now: seconds, from any start."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now, self._began = now, now()
        self._parts: dict[str, float] = {}

    @contextmanager
    def by(self, part: str) -> Iterator[None]:
        """What the block takes is that part's, though it is left by an exception."""
        began = self._now()
        try:
            yield
        finally:
            self._parts[part] = self._parts.get(part, 0.0) + self._now() - began

    def __str__(self) -> str:
        parts = ", ".join(f"{name} {seconds:.1f}" for name, seconds in self._parts.items())
        return f"{self._now() - self._began:.1f} s ({parts})"
