"""A visit's description: which model on which runtime, how, and for how long. JSON on its way to the process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from runtimes.base import Options

MODES = ("latency", "throughput", "server")
PERCENTILES = (99, 90)  # that the latency of a server may be bound at; the first where nobody says


@dataclass(frozen=True)
class Effort:
    """How long one visit measures: until both minima are reached, or the maximum time is over. Times in seconds.

    warmup_max_s: after which samples are kept although the times are not steady yet; the outcome says so.
    """

    min_s: float = 2.5
    min_count: int = 3
    max_s: float = 60.0
    warmup_max_s: float = 15.0


@dataclass(frozen=True)
class Job:
    """One visit to a cell, complete in itself: whoever runs it needs nothing but this and the artifact.

    artifact: its folder. environment: variables that the process starts with. timeout_s: after which it is stopped.
    memory_limit_bytes: of private memory; more of it is refused by the system, so that the cell ends and not its
    neighbours. mode_options: what one mode alone knows.
    """

    artifact: str
    runtime: str
    batch: int
    options: Options = field(default_factory=Options)
    mode: str = "latency"
    effort: Effort = field(default_factory=Effort)
    environment: Mapping[str, str] = field(default_factory=dict)
    timeout_s: float = 900.0
    memory_limit_bytes: int | None = None
    mode_options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def session_options(self) -> Options:
        """What its session is opened with: its own batch is the first of those that the model is made for."""
        return replace(self.options, batches=tuple(dict.fromkeys((self.batch, *self.options.batches))))
