"""How the commands and modules of vitbench are called where this runs: from a checkout, or installed.

A checkout has the four packages at its top, and `python -m validate.parity`. What is installed has them below
`vitbench.floors`, because others have a `convert` too, and the command `vitbench parity`. The wheel's build (setup.py)
changes imports and texts accordingly; names that are made while a program runs come from here.
"""

from __future__ import annotations

# Module -> its command: what follows `vitbench`.
NAMES = {
    "convert": "convert",
    "validate.search": "search",
    "validate.parity": "parity",
    "validate.bisect": "bisect",
    "validate.profile": "profile",
    "validate.accuracy": "accuracy",
    "runtimes.bench": "bench",
    "runtimes.bench.ceiling": "ceiling",
    "reports": "report",
    "reports.compare": "compare",
    "reports.explain": "explain",
    "reports.export": "share",
    "validate.choice": "ship",
    "validate.ship": "export",
    "validate.check": "check",
    "runtimes.served": "serve",
    "runtimes": "doctor",
}
FLOORS = ("convert", "runtimes", "validate", "reports")
_ABOVE = __name__.removesuffix("convert.common.commands")  # nothing in a checkout


def module(name: str) -> str:
    """The name under which a module of vitbench, as `runtimes.bench`, is imported here; any other as it is."""
    return _ABOVE + name if name.partition(".")[0] in FLOORS else name


def spellings(name: str) -> tuple[list[str], list[str]]:
    """The words of the command of a module: as a checkout calls it, and what is installed."""
    return ["python", "-m", name], ["vitbench", NAMES[name]]


def words(name: str) -> list[str]:
    """The words with which a user calls the command of a module here: `python -m runtimes.bench`, or
    `vitbench bench`."""
    return spellings(name)[bool(_ABOVE)]
