"""How a process of vitbench ends when it is asked to: by Ctrl-C, SIGTERM, or a terminal that goes away.

Each of the four packages imports this first, so that it holds while `python -m ...` is still importing. Before the
first line of ours, while Python itself starts, Ctrl-C does what Python makes of it.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

_ASKED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# `timeout` and `make` send a signal to the command and to its group: the same one comes twice, and is meant once.
_ONCE_S = 1.0
_AGAIN_S = 0.02

_received: tuple[int, float] | None = None  # the signal's number, and when it came


def end_at_once() -> None:
    """From here on these signals end the process with a word and 128 + their number: there is nothing to tidy yet.

    In a library that is half imported an exception would become a traceback, or another exception.
    """
    for number in _ASKED:
        _handle(number, _end)


@contextmanager
def interruptible() -> Iterator[Callable[[], int]]:
    """While the block runs these signals raise KeyboardInterrupt, so that what is temporary is removed.

    Yields what tells the number of the signal that came, 0 where none did: a library may have made another exception of
    it.
    """
    global _received
    _received = None
    before = {number: _handle(number, _interrupt) for number in _ASKED}
    hook, sys.unraisablehook = sys.unraisablehook, _not_lost(sys.unraisablehook)
    try:
        yield lambda: _received[0] if _received else 0
    finally:
        sys.unraisablehook = hook
        for number, handler in before.items():
            if handler is not None:
                _handle(number, handler)


def _handle(number: int, handler: Any) -> Any:
    """Set a handler and return the one before; None where the signal is ignored, as behind `nohup`, and stays so."""
    with suppress(ValueError):  # in another thread than the first
        if signal.getsignal(number) not in (signal.SIG_IGN, None):
            return signal.signal(number, handler)
    return None


def _end(number: int, frame: FrameType | None) -> None:
    with suppress(OSError):
        os.write(2, f"{said(number)}\n".encode())
    os._exit(128 + number)


def _interrupt(number: int, frame: FrameType | None) -> None:
    global _received
    now = time.monotonic()
    if _received is None or now - _received[1] > _ONCE_S:
        _received = number, now
        raise KeyboardInterrupt(signal.Signals(number).name)


def _not_lost(otherwise: Callable[[Any], Any]) -> Callable[[Any], None]:
    """`sys.unraisablehook`: an interruption that came where no exception can go, as in `__del__`, comes again."""

    def hook(unraisable: Any) -> None:
        global _received
        if not issubclass(unraisable.exc_type, KeyboardInterrupt) or _received is None:
            otherwise(unraisable)
            return
        number, _ = _received
        _received = number, -_ONCE_S
        threading.Timer(_AGAIN_S, os.kill, (os.getpid(), number)).start()

    return hook


def said(number: int) -> str:
    """What ended the command, for a line."""
    return "interrupted" if number == signal.SIGINT else f"ended by {signal.Signals(number).name}"


if sys.argv[:1] == ["-m"]:  # as Python has it while it looks for the module that it was told to run
    end_at_once()
