"""A plan: which cells are measured, which are not and why, and what that is estimated to take."""

from __future__ import annotations

from dataclasses import dataclass

from convert.build import Request
from runtimes.bench.plan.matrix import Cell
from runtimes.bench.plan.settings import Policy


@dataclass(frozen=True)
class CellCost:
    """What a cell is estimated to take. fixed_s: of each visit, beside measuring: start, loading, warm-up.
    measured_s: over all visits. memory_bytes: peak of its process. disk_bytes: that its runtime will write.

    source: `record` when the times are those of an earlier measurement of the same cell, or of the same model there one
    image at a time; `stored` when it is not going to be measured again, else `rate`. visits: processes that measure it.
    """

    fixed_s: float
    measured_s: float
    memory_bytes: int
    disk_bytes: int
    source: str
    visits: int = 1

    @property
    def visit_s(self) -> float:
        return self.fixed_s + self.measured_s / self.visits

    @property
    def seconds(self) -> float:
        """Of all visits."""
        return self.fixed_s * self.visits + self.measured_s


@dataclass(frozen=True)
class PlanEstimate:
    """What a plan is estimated to take. costs: in the order of its cells. parity_s: of checks still to be made, at
    most. memory_bytes: of the largest cell. disk_bytes: of all. free_*: what there is, None where unknown."""

    costs: tuple[CellCost, ...]
    parity_s: float
    seconds: float
    memory_bytes: int
    disk_bytes: int
    free_memory_bytes: int | None
    free_disk_bytes: int | None


@dataclass(frozen=True)
class Plan:
    """What to measure, what not and why, and how hard to try. seed: of the order within rounds.

    unconverted: artifacts that have to be made first; their cells are in none of the sums. left_out: what was asked for
    and cannot exist, in clauses. unmade: why the artifacts of some cells could not be made.
    """

    cells: tuple[Cell, ...]
    refused: tuple[tuple[Cell, str], ...]
    effort: Policy
    estimate: PlanEstimate
    seed: int = 0
    unconverted: tuple[Request, ...] = ()
    left_out: tuple[str, ...] = ()
    unmade: tuple[str, ...] = ()
