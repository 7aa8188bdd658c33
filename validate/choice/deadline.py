"""Accuracy within a time limit: it ends where the time does, and what was answered until then is kept for later."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from validate.accuracy.console import Progressing, Reporter


class TimeOverError(Exception):
    """No time is left. It says after how many images: `640 of 50000 images`."""


class TimedReporter(Reporter):
    """A reporter that ends what it follows. over: whether time is; asked after each batch of images."""

    def __init__(self, over: Callable[[], bool]) -> None:
        super().__init__()
        self._over = over

    @contextmanager
    def progress(self, titles: list[str], total: int) -> Iterator[Progressing]:
        """See Reporter. TimeOverError where time is over before all images are done."""
        with super().progress(titles, total) as tell:

            def told(title: str, done: int) -> None:
                tell(title, done)
                if done < total and self._over():
                    raise TimeOverError(f"{done} of {total} images")

            yield told
