"""What an adapter of one's own imports, in a checkout and where vitbench is installed (docs/adapters.md)."""

from runtimes.base import (
    Effective,
    Footprint,
    Options,
    Runtime,
    Session,
    Setting,
    TensorInfo,
    UnavailableError,
    lowest_precision,
)

__all__ = [
    "Effective",
    "Footprint",
    "Options",
    "Runtime",
    "Session",
    "Setting",
    "TensorInfo",
    "UnavailableError",
    "lowest_precision",
]
