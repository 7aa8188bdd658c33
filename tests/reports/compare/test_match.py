"""Which cells of two sets of results are the same."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest

from reports.compare import match
from reports.compare.match import Pair
from reports.load.results import Results
from reports.tables import standing
from runtimes.records.kinds import Accuracy, Latency, Parity, Record, Throughput
from runtimes.records.parts import SearchPoint
from tests.reports import runs
from tests.runtimes.records.made import record

HERE, THERE = copy.deepcopy(runs.ENVIRONMENT), copy.deepcopy(runs.ENVIRONMENT)
THERE["machine"]["cores_usable"], HERE["variables"] = 4, {}
LATENCY = record(Latency, median_ms=5.0, batch=1, threads=2, machine="m", runtime_version="1")


def results(*records: Record, **environments: dict[str, Any]) -> Results:
    return Results("r", records, environments or {"m": HERE}, {})


def only(base: Results, new: Results) -> Pair[Record]:
    found = match.pair(base, new)
    assert (found.only_base, found.only_new) == ((), ())
    (pair,) = found.pairs
    return pair


@pytest.mark.parametrize(
    ("changes", "notes"),
    [
        ({}, ()),
        ({"artifact": "b"}, ("another artifact",)),
        ({"runtime_version": "2"}, ("another version of the runtime",)),
        ({"median_ms": 9.0}, ()),
    ],
)
def test_what_differs_and_is_compared_is_noted(changes: dict[str, Any], notes: tuple[str, ...]) -> None:
    pair = only(results(LATENCY), results(replace(LATENCY, **changes)))
    assert (pair.apart, pair.notes) == (None, notes)
    assert [name for name, _ in pair.sides] == ["BASE", "NEW"]
    assert [one for _, one in pair.sides] == [pair.base, pair.new]


@pytest.mark.parametrize(("field", "text"), [("batch", "batch 8, 2 streams"), ("streams", "batch 4, 3 streams")])
def test_what_a_search_chose_is_noted_where_it_changed(field: str, text: str) -> None:
    point = (SearchPoint(batch=4, streams=2),)
    base = record(Throughput, batch=4, streams=2, searched=point, machine="m")
    changes: dict[str, Any] = {"batch": {"batch": 8}, "streams": {"streams": 3}}
    new = replace(base, **changes[field])
    assert only(results(base), results(new)).notes == (f"best at batch 4, 2 streams, now at {text}",)
    assert only(results(base), results(base)).notes == ()


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"threads": 4}, "threads 2, now 4"),
        ({"threads": None}, "threads 2, now none"),
        ({"settings": {"b": "2", "a": "1"}}, "settings none, now a=1 b=2"),
        ({"threads": 4, "streams": 2}, "threads 2, now 4, streams none, now 2"),
    ],
)
def test_other_options_are_a_pair_that_is_not_compared(changes: dict[str, Any], why: str) -> None:
    pair = only(results(LATENCY), results(replace(LATENCY, **changes)))
    assert pair.apart == f"measured with other options ({why})"


def test_the_same_images_are_compared_whatever_their_set_is_called() -> None:
    mine = record(Accuracy, dataset="c20/val_list.txt, 60 images", selection_sha256="c", limit=60, machine="m")
    exported = replace(mine, dataset="data set 52568e0f", limit=None)
    assert (only(results(mine), results(exported)).apart, only(results(mine), results(exported)).notes) == (None, ())
    others = only(results(mine), results(replace(exported, selection_sha256="d", limit=60)))
    assert others.apart == ("measured with other options (dataset c20/val_list.txt, 60 images, now data set 52568e0f)")
    assert only(results(replace(mine, selection_sha256=None)), results(replace(exported, selection_sha256=None))).apart


@pytest.mark.parametrize("changes", [{"batch": 4}, {"model": "other"}, {"runtime": "mnn"}, {"precision": "bf16"}])
def test_another_cell_is_none(changes: dict[str, Any]) -> None:
    other = replace(LATENCY, **changes)
    found = match.pair(results(LATENCY), results(other))
    assert (found.pairs, found.only_base, found.only_new) == ((), (LATENCY,), (other,))


def test_each_record_is_in_one_pair_at_most() -> None:
    """The same cell first; what is left is held beside what differs in an option alone."""
    four, eight = replace(LATENCY, threads=4), replace(LATENCY, threads=8)
    found = match.pair(results(four, LATENCY), results(LATENCY, eight))
    assert [(one.base, one.new) for one in found.pairs] == [(LATENCY, LATENCY), (four, eight)]
    found = match.pair(results(LATENCY, four), results(eight))
    assert [(one.base, one.new) for one in found.pairs] == [(LATENCY, eight)]
    assert found.only_base == (four,)
    assert match.pair(results(LATENCY), results(LATENCY, four)).only_new == (four,)


def test_pairs_by_their_kind() -> None:
    parity = record(Parity, machine="m")
    found = match.pair(results(LATENCY, parity), results(parity, LATENCY))
    assert [one.base for one in found.of(Latency)] == [LATENCY]
    assert [one.base for one in found.of(Parity)] == [parity]
    assert found.of(Throughput) == []


def test_machines_are_the_same_by_what_they_are_and_not_by_their_labels() -> None:
    renamed = replace(LATENCY, machine="n", median_ms=6.0)
    assert only(results(LATENCY), results(renamed, n=HERE)).apart is None
    apart = only(results(LATENCY), results(replace(LATENCY, machine="n"), n=THERE)).apart
    assert apart == "measured on another machine (m; now n)"
    same_label = only(results(LATENCY), results(LATENCY, m=THERE))
    assert same_label.apart == "measured on another machine (m; now m)"


def test_of_several_machines_each_meets_itself() -> None:
    there = replace(LATENCY, machine="n")
    both = {"m": HERE, "n": THERE}
    found = match.pair(results(LATENCY, there, **both), results(there, LATENCY, **both))
    assert [(one.base, one.new, one.apart) for one in found.pairs] == [(LATENCY, LATENCY, None), (there, there, None)]
    found = match.pair(results(LATENCY, there, **both), results(there, n=THERE))
    assert [(one.base, one.new) for one in found.pairs] == [(there, there)]
    assert found.only_base == (LATENCY,), "the other one's counterpart is not taken for it"


def test_of_an_unknown_machine_nothing_is_compared_but_what_needs_no_clock() -> None:
    unknown = replace(LATENCY, machine=None)
    pair = only(results(LATENCY), results(unknown, n=THERE))
    assert (pair.apart, pair.notes) == ("the machine of one of the two is not known", ())
    parity = record(Parity, machine="m", artifact="b")
    pair = only(results(parity), results(replace(parity, machine="n", artifact="c"), n=THERE))
    assert pair.apart is None
    assert pair.notes == ("another artifact", "measured on another machine (m; now n)")


@pytest.mark.parametrize(
    ("one", "text"),
    [
        (replace(LATENCY, batch=4), "m on ort-cpu fp32, batch 4"),
        (record(Throughput, batch=4), "m on ort-cpu fp32, throughput"),
        (record(Parity), "m on ort-cpu fp32, parity"),
    ],
)
def test_the_name_of_a_cell(one: Record, text: str) -> None:
    assert standing.cell_name(one) == text


def test_environments() -> None:
    now = copy.deepcopy(HERE)
    assert match.environments(results(), results(n=now)) == []
    now["packages"] = dict.fromkeys(("zeta", "beta", "omega", "alpha", "gamma"), "1")
    now["variables"] = {"OMP_NUM_THREADS": "4"}
    now["os"] = {"system": "Other", "kernel": "6.2.0"}
    added = [f"{name} none, now 1" for name in ("alpha", "beta", "gamma", "omega", "zeta")]
    said = ", ".join([*added[:3], added[3], "onnxruntime 1.31.0, now none", added[4]])
    assert match.environments(results(), results(n=now)) == [
        f"Different on m: {said}, OMP_NUM_THREADS none, now 4, kernel 6.1.0, now 6.2.0."
    ]
    assert match.environments(results(), results(n=THERE | {"packages": {}})) == [], "of another machine"
    assert match.environments(results(m={}), results(n={"packages": {"a": "1"}})) == [], "of machines not known"
