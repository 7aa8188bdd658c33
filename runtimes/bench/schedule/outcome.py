"""What came of visits, and where the visits of a run that is under way are kept.

They are kept in `visits.jsonl` beside the records, so that a kill loses those in flight and no other.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from convert.common import typed
from convert.common.disk import json_lines as lines
from convert.common.errors import InputError, WriteError
from convert.common.worker import CrashError, JobError
from runtimes.bench.worker import numbers
from runtimes.bench.worker.job import Job
from runtimes.bench.worker.numbers import VisitNumbers

VISITS = "visits.jsonl"
_LOG = 4000  # characters kept of what a visit printed: the Python stack of a crash fits


@dataclass(frozen=True)
class VisitOutcome:
    """What came of a visit.

    numbers: what it measured; None where it failed, for the reason in `failure` (`log`: what it printed).
    crashed: whether its process was ended by a signal of its own making.
    speed_ms: the machine's speed before and after. slowdown: by how much it was slower than at its best so far.
    seconds: that we waited for its process. uncounted_s: of these, what turns took beside the samples that count, as
    their first inferences. waited_s: for a machine that is slowed down. programs: cores that other programs used
    meanwhile, by their names.
    """

    numbers: VisitNumbers | None
    failure: str | None = None
    log: str = ""
    speed_ms: tuple[float, ...] = ()
    slowdown: float = 0.0
    seconds: float = 0.0
    uncounted_s: float = 0.0
    waited_s: float = 0.0
    time_utc: str = ""
    crashed: bool = False
    programs: Mapping[str, float] = field(default_factory=dict)

    @property
    def measured(self) -> VisitNumbers:
        """The numbers of one that did not fail."""
        assert self.numbers is not None
        return self.numbers

    @classmethod
    def read(cls, table: Mapping[str, Any]) -> VisitOutcome:
        """The outcome that `typed.table` made a table of, also after a journey through JSON. ValueError, KeyError or
        TypeError where it is none."""
        found = table["numbers"]
        outcome = typed.read(cls, {**table, "numbers": None})
        return replace(outcome, numbers=None if found is None else numbers.read(found))


@dataclass(frozen=True)
class Visits:
    """The outcomes of a run that is under way, by a cell's key and what the visit was for."""

    folder: Path
    of: dict[str, list[VisitOutcome]] = field(default_factory=lambda: defaultdict(list))

    @classmethod
    def stored(cls, folder: Path) -> Visits:
        """The visits that a run left in its folder. A line that is damaged is a visit that has to be made again."""
        visits = cls(folder)
        for table in lines.read(folder / VISITS):
            try:
                visits.of[str(table["key"])].append(VisitOutcome.read(table["outcome"]))
            except (KeyError, TypeError, ValueError):
                continue
        return visits

    def add(self, key: str, outcome: VisitOutcome) -> None:
        """Keep an outcome, on the disk too."""
        lines.append(self.folder / VISITS, {"key": key, "outcome": typed.table(outcome)})
        self.of[key].append(outcome)


def failed(job: Job, error: JobError | InputError) -> VisitOutcome:
    """The outcome of a visit that ended in an error. WriteError is raised again: what is left to do would fail alike;
    any other input error is of this cell, and the others need not suffer from it."""
    if isinstance(error, WriteError):
        raise error
    if isinstance(error, InputError):
        return VisitOutcome(None, error.message)
    if error.kind == InputError.__name__:
        return VisitOutcome(None, error.said)
    log = error.log[-_LOG:].strip()
    # SIGKILL is somebody else's doing, most likely for want of memory.
    if isinstance(error, CrashError) and error.signal != "SIGKILL":
        return VisitOutcome(None, f"{error}{_memory(error.peak_bytes, job.memory_limit_bytes)}", log, crashed=True)
    return VisitOutcome(None, str(error), log)


def _memory(peak: int | None, limit: int | None) -> str:
    """How much memory a process had that crashed: some libraries crash where they get no more, and most do so for other
    reasons. The reader can tell."""
    if peak is None or limit is None:
        return ""
    return f" (it had {peak / 1e9:.1f} GB of memory, and may have {limit / 1e9:.1f} GB)"
