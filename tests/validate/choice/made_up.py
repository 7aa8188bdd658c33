"""Candidates whose every figure is made up, and steps of a race that take no time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from runtimes.records.kinds import Latency, Throughput
from runtimes.records.parts import Turn
from tests.runtimes.records.made import record
from validate.choice.runner import ACCURACY, Runner

MB = 1_000_000
WAVE = (1.0, 1.01, 0.99, 1.02, 0.98, 1.0, 1.01, 0.99)  # what turns differ by


def latency(ms: float, memory_mb: float = 100, count: int = 700, tail: float = 1.05, **fields: Any) -> Latency:
    """A latency of quiet samples around a median, a hundredth of them `tail` times as long."""
    samples = [ms * WAVE[at % 8] for at in range(count)]
    samples[:: max(2, count // 10)] = [ms * tail] * len(samples[:: max(2, count // 10)])
    turns = tuple(Turn(name=f"{table}.{at}", ms=ms * part) for table in "tuv" for at, part in enumerate(WAVE))
    whole = {
        "samples_ms": tuple(samples),
        "turns": turns,
        "median_ms": ms,
        "ci95_ms": (ms * 0.97, ms * 1.03),
        "run_ci95_ms": (ms * 0.99, ms * 1.01),
        "peak_memory_bytes": int(memory_mb * MB),
    }
    return record(Latency, **{**whole, **fields})


def throughput(rate: float, **fields: Any) -> Throughput:
    ends = (rate * 0.97, rate * 1.03)
    return record(Throughput, images_per_s=rate, ci95_images_per_s=ends, run_ci95_images_per_s=ends, **fields)


def runner(name: str, ms: float, memory_mb: float = 100, threads: int = 4, **looks: Any) -> Runner:
    """`ort-cpu fp32`, as its look found it."""
    runtime, precision = name.split()
    place = ["paddle", "ort-cpu", "openvino", "mnn"].index(runtime)
    made = Runner(runtime, precision, threads, place)
    made.look = latency(ms, memory_mb, count=60, **looks)
    return made


@dataclass
class Made:
    """Steps whose finds are made up, and what was asked of them. top1: whether a name's accuracy holds, by default it
    does. final: of a name, where it is another than its look. patience, finals: accuracies and finals that there is
    time for."""

    top1: dict[str, bool] = field(default_factory=dict)
    final: dict[str, Any] = field(default_factory=dict)
    patience: int = 1000
    finals: int = 1000
    judged: list[str] = field(default_factory=list)
    measured: list[list[str]] = field(default_factory=list)
    limited: list[str] = field(default_factory=list)

    def look(self, runners: Sequence[Runner]) -> None:
        assert all(one.look for one in runners)

    def judge(self, runner: Runner) -> None:
        self.judged.append(runner.name)
        runner.holds = self.top1.get(runner.name, True)
        runner.top1 = "judged"
        if not runner.holds:
            runner.fall(ACCURACY, "misses top1>=99%: made up")

    def measure(self, finalists: Sequence[Runner], group: int) -> None:
        self.measured.append([one.name for one in finalists])
        for one in finalists:
            assert one.look
            again = (
                latency(one.look.median_ms or 0.0, (one.look.peak_memory_bytes or 0) / MB)
                if isinstance(one.look, Latency)
                else one.look
            )
            one.final = self.final.get(one.name, again)

    def out_of_time(self) -> bool:
        return len(self.judged) >= self.patience

    def over(self) -> bool:
        return len(self.measured) >= self.finals
