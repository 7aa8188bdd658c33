"""The visits of a run that is under way: `visits.jsonl` beside the records, so that a kill loses the one in flight."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from convert.common import json_lines as lines
from runtimes.bench.schedule.executor import Outcome

VISITS = "visits.jsonl"


@dataclass(frozen=True)
class Visits:
    """What is known of each cell, by its key."""

    folder: Path
    of: dict[str, list[Outcome]] = field(default_factory=lambda: defaultdict(list))

    @classmethod
    def stored(cls, folder: Path) -> Visits:
        """The visits that a run left in its folder. A line that is damaged is a visit that has to be made again."""
        visits = cls(folder)
        for table in lines.read(folder / VISITS):
            try:
                visits.of[str(table["key"])].append(Outcome.from_dict(table["outcome"]))
            except (KeyError, TypeError):
                continue
        return visits

    def add(self, key: str, outcome: Outcome) -> None:
        """Keep an outcome, on the disk too."""
        lines.append(self.folder / VISITS, {"key": key, "outcome": outcome.as_dict()})
        self.of[key].append(outcome)

    def sound(self, key: str) -> list[Outcome]:
        """The visits with numbers."""
        return [outcome for outcome in self.of[key] if outcome.numbers is not None]
