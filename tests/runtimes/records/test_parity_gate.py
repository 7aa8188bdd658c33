"""What parity records say of a speed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from runtimes.records.kinds import Latency, Parity
from runtimes.records.parity_gate import Gate, gate
from runtimes.records.parts import InputsInfo
from tests.runtimes.records.made import record

CELL = record(Latency, median_ms=5.0, batch=4, runtime_version="1", settings={"a": "1"})
PASSED = record(
    Parity, passed=True, batches=(1, 4), runtime_version="1", settings={"a": "1"}, inputs=InputsInfo(source="seeded")
)
FAILED = replace(PASSED, passed=False, reason="logits differ")
PHOTOS = InputsInfo(source="photos")
NONE = Gate(None, "there is no parity check of this model, runtime, precision and artifact")


def test_a_check_that_passed_proves_the_speed() -> None:
    assert gate(CELL, [PASSED]) == Gate(True)
    assert gate(CELL, [FAILED, PASSED]) == Gate(True), "the newest counts"
    assert gate(CELL, [PASSED, replace(PASSED, inputs=PHOTOS)]) == Gate(True)
    assert gate(replace(CELL, settings={}), [replace(PASSED, settings={})]) == Gate(True)
    assert gate(replace(CELL, device=None), [replace(PASSED, device="")]) == Gate(True)


@pytest.mark.parametrize(
    "other",
    [
        {"model": "another"},
        {"artifact": "b"},
        {"runtime": "mnn"},
        {"runtime_version": "2"},
        {"precision": "bf16"},
        {"device": "GPU"},
        {"settings": {}},
    ],
)
def test_a_check_of_something_else_says_nothing(other: dict[str, Any]) -> None:
    assert gate(CELL, [replace(PASSED, **other)]) == NONE
    assert gate(CELL, [replace(FAILED, **other), PASSED]) == Gate(True)


def test_without_a_check_or_without_an_artifact_nothing_is_known() -> None:
    assert gate(CELL, []) == NONE
    assert gate(replace(CELL, artifact=None), [replace(PASSED, artifact=None)]) == NONE


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"passed": False, "reason": "logits differ"}, "parity failed: logits differ"),
        ({"passed": False, "status": "refused"}, "parity refused: no reason recorded"),
        ({"passed": None, "status": "unavailable", "reason": "not there"}, "parity unavailable: not there"),
    ],
)
def test_one_that_did_not_pass_bars_it(fields: dict[str, Any], reason: str) -> None:
    bad = replace(PASSED, **fields)
    assert gate(CELL, [PASSED, bad]) == Gate(False, reason)
    assert gate(CELL, [replace(bad, inputs=PHOTOS), PASSED]) == Gate(False, reason)
    assert gate(CELL, [replace(bad, batches=(1,)), PASSED]) == Gate(False, reason), "of other batches too"


def test_the_batch_has_to_be_among_those_that_were_checked() -> None:
    one = replace(PASSED, batches=(1,))
    assert gate(CELL, [one]) == Gate(None, "parity was not checked at batch 4")
    assert gate(CELL, [one, replace(PASSED, batches=(4, 8))]) == Gate(True)
    assert gate(CELL, [replace(PASSED, batches=None)]) == Gate(True), "not told: all"
