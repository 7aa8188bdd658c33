"""Which node measures what."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtimes.bench.cluster.assign import assign, errands, fits
from runtimes.bench.cluster.share import CellOffer, Offer
from runtimes.cluster.node import ClusterNode


def cell(
    place: str, seconds: float = 1.0, rivals: str = "", refused: str | None = None, held: bool = False
) -> CellOffer:
    return CellOffer(place, f"key {place}", place, rivals or place, "a", {}, seconds, 0, refused, held)


def names(given_: dict[str, Any]) -> dict[str, list[str]]:
    return {node: [one.place for errand in those for one in errand.offers[node]] for node, those in given_.items()}


def test_equal_nodes_share_the_work_evenly() -> None:
    cells = Offer((cell("a", 4), cell("b", 3), cell("c", 2), cell("d", 1)))
    found, undone = assign(errands({"one": cells, "two": cells}), ["one", "two"])
    assert names(found) == {"one": ["a", "d"], "two": ["b", "c"]}
    assert undone == []


def test_rivals_stay_together() -> None:
    """They take turns, so that what a machine does at a moment falls out of who is faster."""
    cells = Offer(tuple(cell(name, rivals=name[0]) for name in ("x1", "y1", "x2", "y2", "x3")))
    found, _ = assign(errands({"one": cells, "two": cells}), ["one", "two"])
    assert names(found) == {"one": ["x1", "x2", "x3"], "two": ["y1", "y2"]}


def test_a_cell_goes_to_who_has_its_runtime_and_room() -> None:
    found, _ = assign(
        errands({"one": Offer((cell("a"), cell("b", refused="too large"))), "two": Offer((cell("b"), cell("c")))}),
        ["one", "two"],
    )
    assert names(found) == {"one": ["a"], "two": ["b", "c"]}


def test_what_fits_nowhere_is_refused_by_one() -> None:
    no = Offer((cell("a", refused="too large"),))
    found, undone = assign(errands({"one": no, "two": no}), ["one", "two"])
    assert sorted(itertools.chain(*names(found).values())) == ["a"]
    assert undone == []


def test_what_only_a_lost_node_could_do_is_left() -> None:
    both = errands({"one": Offer((cell("a"), cell("b"))), "two": Offer((cell("b"),))})
    found, undone = assign(both, ["two"])
    assert names(found) == {"two": ["b"]}
    assert [one.offers["one"][0].place for one in undone] == ["a"]


def test_a_node_that_has_measured_a_cell_gets_it_again() -> None:
    """The driver was killed before it knew, and estimates are others by now."""
    one, two = Offer((cell("a", 9), cell("b", 1, held=True))), Offer((cell("a", 9), cell("b", 9)))
    found, _ = assign(errands({"two": two, "one": one}), ["two", "one"])
    assert names(found) == {"two": ["a"], "one": ["b"]}
    assert assign(errands({"two": two, "one": one}), ["two"])[1] == [], "where it is lost another one does"


@given(st.lists(st.floats(0.1, 100), min_size=1, max_size=30), st.integers(1, 8))
def test_no_node_has_more_than_its_share_and_one_errand(times: list[float], count: int) -> None:
    cells = Offer(tuple(cell(str(number), seconds) for number, seconds in enumerate(times)))
    nodes = [f"n{number}" for number in range(count)]
    found, _ = assign(errands(dict.fromkeys(nodes, cells)), nodes)
    loads = [sum(errand.seconds for errand in those) for those in found.values()]
    assert max(loads) <= sum(times) / count + max(times) + 1e-6
    assert sorted(itertools.chain(*names(found).values())) == sorted(map(str, range(len(times))))


def node(**changes: Any) -> ClusterNode:
    runtimes = {
        "ort-cpu": {"available": True, "devices": ["CPU"]},
        "ort-cuda": {"available": False, "devices": ["GPU"]},
    }
    described = {"machine": {"cpu": "AMD EPYC 7B13"}, "gpus": [], "vitbench": {}}
    return ClusterNode("n", "h", "k", **{"environment": described, "runtimes": runtimes, **changes})


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        (None, True),
        ("cpu", True),
        ("gpu", False),
        ("epyc", True),
        ("EPYC 7B13", True),
        ("xeon", False),
        ("rack=7", True),
        ("7", True),
        ("rack", False),
        ("", False),
    ],
)
def test_where(where: str | None, expected: bool) -> None:
    assert fits(where, node(labels={"rack": "7"})) is expected


def test_where_there_is_a_gpu() -> None:
    runtimes = {"ort-cuda": {"available": True, "devices": ["GPU", "GPU.1"]}}
    described = {"machine": {"cpu": None}, "gpus": [{"name": "NVIDIA H200"}]}
    there = node(runtimes=runtimes, environment=described)
    assert fits("gpu", there)
    assert fits("h200", there)
    assert not fits("cpu", there)
