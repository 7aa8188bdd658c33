"""What measuring everything chooses, from records alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from runtimes.records.kinds import Accuracy, Latency
from scripts.shipping.__main__ import exhaustive_choice
from tests.runtimes.records.made import record
from tests.validate.choice.made_up import latency
from validate.choice.budget import parse


def cell(runtime: str, precision: str, ms: float, threads: int = 2, **fields: Any) -> Latency:
    return replace(latency(ms, **fields), runtime=runtime, precision=precision, threads=threads)


def answers(runtime: str, precision: str, right: int) -> Accuracy:
    shown = {"outcomes": "1" * right + "0" * (100 - right), "images": 100, "top1": right / 100}
    return record(Accuracy, runtime=runtime, precision=precision, **shown)


RECORDS = [
    cell("paddle", "fp32", 30.0),
    cell("ort-cpu", "fp32", 10.0),
    cell("ort-cpu", "int8", 5.0, memory_mb=60),
    cell("ort-cpu", "int8", 5.02, threads=1, memory_mb=60),
    answers("paddle", "fp32", 80),
    answers("ort-cpu", "int8", 78),
]


def chosen(budget: str) -> list[tuple[str, str, int]]:
    return [(one.runtime, one.precision, one.threads) for one in exhaustive_choice(RECORDS, parse(budget))]


def test_the_fastest_that_keeps_it_and_those_that_tie_with_it() -> None:
    assert chosen("top1>=-2") == [("ort-cpu", "int8", 2), ("ort-cpu", "int8", 1)]
    assert chosen("top1>=-1") == [("ort-cpu", "fp32", 2)], "two points are too many"
    assert chosen("top1>=-2, memory<70MB, p99<6ms") == [("ort-cpu", "int8", 2), ("ort-cpu", "int8", 1)]
    assert chosen("top1>=-2, p99<3ms") == []


def test_int8_without_an_accuracy_is_not_taken() -> None:
    without = [one for one in RECORDS if not isinstance(one, Accuracy)] + [answers("paddle", "fp32", 80)]
    assert [one.precision for one in exhaustive_choice(without, parse("top1>=-2"))] == ["fp32"]
