"""What tests have done on a node."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from convert.common.errors import InputError


def count(payload: dict[str, Any], messages: Iterator[Any]) -> Iterator[int]:
    """The numbers below `to`, `pause_s` between them. file: gets the number of the process."""
    if file := payload.get("file"):
        Path(file).write_text(str(os.getpid()), encoding="ascii")
    for number in range(payload["to"]):
        time.sleep(payload.get("pause_s", 0))
        yield number


def fail(payload: str) -> None:
    if payload == "input":
        raise InputError("this is no input")
    if payload == "die":
        os.abort()
    raise ValueError("another fault")


def surroundings(payload: None) -> dict[str, Any]:
    import sys

    return {"nice": os.nice(0), "threads": os.environ.get("OMP_NUM_THREADS"), "path": sys.path}


def echo(payload: None, messages: Iterator[Any]) -> Iterator[Any]:
    """Each message, until one that says the end."""
    for message in messages:
        if message == "end":
            return
        yield message
