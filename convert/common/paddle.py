"""Whether Paddle is installed: only converting, the float64 reference and Paddle's own column need it."""

from __future__ import annotations

import importlib.util

from convert.common.errors import InputError

INSTALL = "pip install 'vitbench[convert]'"


def installed() -> bool:
    """Whether paddlepaddle is there, without importing it, which takes seconds."""
    try:
        return importlib.util.find_spec("paddle") is not None
    except (ImportError, ValueError):
        return False


def need(what: str) -> None:
    """InputError, beginning with `what`, where paddlepaddle is not installed."""
    if not installed():
        raise InputError(f"{what} needs paddlepaddle, which is not installed here: {INSTALL}")
