"""One runtime held against the reference: it holds on every one, and whatever is planted to break it is named."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from convert.artifact import Artifact
from convert.common import worker
from runtimes import registry
from runtimes.base import Effective, Options
from runtimes.infer import Pass
from runtimes.records.kinds import Parity
from runtimes.records.reading import to_table
from validate.parity import check as checks
from validate.parity import reference, table
from validate.parity.check import Case, check, passes

FP32_ON_CPU = Effective("fp32", "CPU")


Change = Callable[[np.ndarray, Pass], np.ndarray]


@pytest.fixture
def faked(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Parity]:
    """`check` of a runtime that answers with the reference's logits after `change(logits, pass)`."""

    def run(case: Case, change: Change, effective: Effective = FP32_ON_CPU) -> Parity:
        def infer(artifact: Artifact, runtime: str, options: Options, images: np.ndarray, ways: Any) -> Any:
            logits = case.reference.logits.astype(np.float32)
            return [change(logits[list(way.order)].copy(), way) for way in ways], effective

        monkeypatch.setattr(checks, "infer", infer)
        return check(case).record

    return run


@pytest.mark.parametrize("name", ["paddle", "ort-cpu", "openvino"])
def test_it_holds_on_every_runtime(case: Case, name: str) -> None:
    record: Any = check(replace(case, runtime=registry.get(name))).record
    assert record.passed is True, record.reason
    assert record.batch_invariant is True
    assert record.reference == "paddle float64, plain kernels, batch 1"
    bounds = record.tolerance
    assert 0 < record.max_abs <= bounds.max_abs / 2
    assert 0 < bounds.needed < bounds.factor / 2
    assert 0 < bounds.paddle_max_abs < 1e-6 * bounds.largest_logit
    assert record.worst_image in case.inputs.names
    assert (record.nonfinite, record.top1_agreement, record.top1_flips) == (0, 1, 0)
    assert record.snr_db > 110
    assert 0 <= record.kl < 1e-9
    assert record.p50_abs <= record.p99_abs <= record.p999_abs <= record.max_abs
    assert record.effective.precision == "fp32"
    json.dumps(to_table(record), allow_nan=False)


def test_images_go_alone_in_each_batch_in_another_order_and_as_identical_rows() -> None:
    assert [(way.batch, list(way.order)) for way in passes(3, (1, 2))] == [
        (1, [0, 1, 2]),
        (2, [0, 1, 2]),
        (2, [2, 1, 0]),
        (2, [0, 0]),
    ]
    assert [way.batch for way in passes(3, (4,))] == [1, 4, 4, 4], "alone, asked for or not"
    assert [(way.batch, list(way.order)) for way in passes(2, (1,))] == [(1, [0, 1]), (1, [1, 0])]


def test_a_model_of_one_batch_size_sees_that_alone() -> None:
    assert [(way.batch, list(way.order)) for way in passes(4, (3,), 3)] == [
        (3, [0, 1, 2, 3]),
        (3, [3, 2, 1, 0]),
        (3, [0, 0, 0]),
    ]
    assert [way.batch for way in passes(4, (1,), 1)] == [1, 1]


@pytest.mark.parametrize("head", ["features", "multi-label"])
def test_outputs_that_are_no_choice_of_a_class_have_no_first_class(
    case: Case, faked: Callable[..., Parity], head: str
) -> None:
    other = Artifact(case.artifact.path, replace(case.artifact.manifest, head=head))
    record = faked(replace(case, artifact=other), lambda logits, way: logits)
    assert record.passed
    assert record.max_abs is not None
    assert (record.top1_agreement, record.top5_agreement, record.top1_flips, record.kl, record.flips) == (
        *(None, None, None, None),
        (),
    )


def nan(logits: np.ndarray, way: Pass) -> np.ndarray:
    logits[1, 0] = np.nan
    logits[1, 1] = -np.inf
    return logits


def shifted(logits: np.ndarray, way: Pass) -> np.ndarray:
    """By 5e-5 of the largest logit: no FP32 runtime is there, and a bound of 1e-4 would let it pass."""
    return logits + np.float32(2.5e-4)


def swapped(logits: np.ndarray, way: Pass) -> np.ndarray:
    """Images 0 and 1 change places in a batch that has them."""
    order = list(way.order)
    if way.batch == 4 and 1 in order:
        rows = [order.index(0), order.index(1)]
        logits[rows] = logits[rows[::-1]]
    return logits


def first_rows_swapped(logits: np.ndarray, way: Pass) -> np.ndarray:
    """What a runtime does that mixes up the first two rows of every batch."""
    for start in range(0, len(logits) - 1, 4):
        if way.batch == 4:
            logits[[start, start + 1]] = logits[[start + 1, start]]
    return logits


def mixed(logits: np.ndarray, way: Pass) -> np.ndarray:
    """Within the bound one way alone and the other way in a batch: only the rows' comparison can tell."""
    moved: np.ndarray = logits + np.float32(-1.2e-6 if way.batch == 4 else 1.2e-6) * np.abs(logits).max()
    return moved


def unlike(logits: np.ndarray, way: Pass) -> np.ndarray:
    """Identical rows of a batch come out differently; other batches are right."""
    if len(set(way.order)) == 1:
        logits[2] += np.float32(1e-4) * np.abs(logits).max()
    return logits


@pytest.mark.parametrize(
    ("change", "reason", "invariant"),
    [
        (nan, "8 logits are NaN or infinite (4 NaN, 4 infinite) (worst: ", None),
        (shifted, "logits differ by up to", True),
        (swapped, " at batch 4 differs from itself alone by", False),
        (swapped, "(it has the logits of seeded ", False),
        (first_rows_swapped, "an image's logits depend on what it shares a batch with", False),
        (mixed, "an image's logits depend on what it shares a batch with", False),
        (unlike, "seeded 0 at batch 4 differs from itself alone by", False),
    ],
)
def test_a_planted_fault_is_named(
    faked: Callable[..., Parity], case: Case, change: Change, reason: str, invariant: bool
) -> None:
    record: Any = faked(case, change)
    assert (record.passed, record.status, record.batch_invariant) == (False, "failed", invariant)
    assert reason in record.reason
    json.dumps(to_table(record), allow_nan=False)


def test_what_is_not_finite_is_counted_by_kind_and_the_image_named(faked: Callable[..., Parity], case: Case) -> None:
    def overflow(logits: np.ndarray, way: Pass) -> np.ndarray:
        if way.batch == 1:
            logits[list(way.order).index(5), 3] = np.inf
        return logits

    record: Any = faked(case, overflow)
    assert (record.nonfinite, record.nan, record.inf, record.max_abs) == (1, 0, 1, None)
    assert (record.worst_image, record.tolerance.needed) == ("all black", None)


class TestAlikeImages:
    """A seeded model tells images hardly apart: their logits correlate by 0.98 and more."""

    @pytest.fixture
    def alike(self, case: Case) -> Case:
        first = case.reference.logits[0]
        logits = first + np.random.default_rng(0).standard_normal((10, 7)) * 1e-4 * case.reference.largest
        noise = np.random.default_rng(1).standard_normal(logits.shape) * 3e-7 * case.reference.largest
        assert np.corrcoef(logits)[0, 1] > 0.999999
        return replace(case, reference=reference.Reference(logits, (logits + noise).astype(np.float32)))

    def test_a_swap_is_found(self, faked: Callable[..., Parity], alike: Case) -> None:
        record: Any = faked(alike, swapped)
        assert record.batch_invariant is False
        assert "(it has the logits of seeded" in record.reason
        assert faked(alike, lambda logits, way: logits).passed

    def test_also_in_a_precision_that_allows_more_than_they_differ(
        self, faked: Callable[..., Parity], alike: Case
    ) -> None:
        able = replace(alike.runtime, precisions=("fp32", "bf16"))
        coarse = replace(alike, runtime=able, options=Options("bf16"))
        effective = replace(FP32_ON_CPU, precision="bf16")
        record: Any = faked(coarse, swapped, effective)
        assert record.max_abs < record.tolerance.max_abs
        assert record.batch_invariant is False
        assert "(it has the logits of seeded" in record.reason

    def test_the_same_photo_twice_is_no_swap(self, faked: Callable[..., Parity], alike: Case) -> None:
        logits = alike.reference.logits.copy()
        logits[1] = logits[0]
        twice = replace(alike, reference=reference.Reference(logits, alike.reference.paddle))
        assert faked(twice, swapped).passed


def test_a_flip_within_the_bound_is_a_tie_and_no_fault(faked: Callable[..., Parity], case: Case) -> None:
    logits = case.reference.logits.copy()
    first, second = np.argsort(-logits[2])[:2]
    logits[2, second] = logits[2, first] - 1e-7
    tied = replace(case, reference=reference.Reference(logits, (logits + 1e-6).astype(np.float32)))

    def flip(found: np.ndarray, way: Pass) -> np.ndarray:
        if 2 in way.order:
            found[list(way.order).index(2), second] += np.float32(1e-6)
        return found

    record: Any = faked(tied, flip)
    assert (record.passed, record.top1_flips, record.top1_ties) == (True, 1, 1)
    assert record.top1_agreement == 0.9
    (one,) = record.flips
    assert (one.image, one.expected, one.found, one.tie) == ("seeded 2", first, second, True)
    assert one.margin == pytest.approx(1e-7)
    assert table._top1(record) == "90% (1 flipped, 1 of them a tie)"


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        ({"precision": "bf16"}, "ort-cpu computed in bf16 instead of fp32"),
        ({"device": "GPU.1"}, "ort-cpu ran on GPU.1 instead of CPU"),
    ],
)
def test_another_precision_or_device_than_asked_for_is_no_pass(
    faked: Callable[..., Parity], case: Case, found: dict[str, Any], reason: str
) -> None:
    record = faked(case, lambda logits, way: logits, replace(FP32_ON_CPU, **found))
    assert (record.passed, record.reason) == (False, reason)


def test_what_a_runtime_cannot_do_is_no_failure(case: Case) -> None:
    def refuse(*_: object) -> Any:
        raise worker.JobError("UnavailableError: it has no bf16", kind="UnavailableError", said="it has no bf16")

    record = check(case, refuse).record
    assert (record.status, record.passed, record.reason) == ("refused", None, "it has no bf16")


def test_a_runtime_that_crashes_is_recorded(monkeypatch: pytest.MonkeyPatch, case: Case) -> None:
    def crash(*_: object) -> None:
        raise worker.JobError("the process was ended by SIGSEGV")

    monkeypatch.setattr(checks, "infer", crash)
    checked = check(case)
    record = checked.record
    assert (record.status, record.passed, record.nonfinite) == ("failed", False, None)
    assert record.reason == "ort-cpu did not run it: the process was ended by SIGSEGV"
    assert checked.outputs == ()
