"""Who measures what, over nodes that are made up."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from convert.build import Request
from runtimes.bench.cluster import plan
from runtimes.bench.cluster.merged import MergedFolder
from runtimes.bench.cluster.plan import ClusterPlan, Wanted
from runtimes.bench.cluster.share import CellOffer, Offer
from runtimes.bench.plan.settings import Matrix, Policy
from runtimes.cluster.node import ClusterNode
from runtimes.cluster.places import Place, Reserved

KEY = "1" * 16


def node(name: str, **changes: Any) -> ClusterNode:
    return ClusterNode(
        name, name, **{"key": KEY, "environment": {"machine": {}, "gpus": []}, "runtimes": {}, **changes}
    )


def offer(version: str, batches: tuple[int, ...] = (1, 2, 4, 8), runtime: str = "ort-cpu") -> Offer:
    row = {"runtime": runtime, "model": "toy", "precision": "fp32", "device": "CPU", "threads": 1, "mode": "latency"}
    return Offer(
        tuple(
            CellOffer(
                str(batch), f"{version}-{batch}", f"toy, batch {batch}", str(batch), "a", row | {"batch": batch}, 1.0, 0
            )
            for batch in batches
        )
    )


def of_version(version: str, **changes: Any) -> Offer:
    found = offer(version, **changes)
    return replace(found, cells=tuple(replace(cell, version=version) for cell in found.cells))


def made(monkeypatch: pytest.MonkeyPatch, folder: Path, offers: dict[ClusterNode, Offer]) -> ClusterPlan:
    monkeypatch.setattr(plan, "_offer", lambda place, wanted, run: offers[place.node])
    reserved = Reserved([Place(None, SimpleNamespace(), node) for node in offers])
    return plan.make(Wanted([], Policy(), 0, {}), reserved, MergedFolder(folder), "run.0", True)


def test_equal_nodes_share_one_version_of_a_runtime(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Their records are one machine's: half of a row in another version would be nobody's row."""
    offers = {node("a"): of_version("1.18"), node("b"): of_version("1.20"), node("c"): of_version("1.20")}
    found = made(monkeypatch, tmp_path, offers)
    assert {cell.version for _, cell in found.cells()} == {"1.20"}
    assert {one.node for one, _ in found.cells()} == {"b", "c"}
    assert len(found.cells()) == 4
    (line,) = found.left_out
    assert line.endswith("[a] is left out of ort-cpu: it has 1.18 of it, and its equals have 1.20")


def test_another_version_on_another_machine_measures(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    offers = {node("a"): of_version("1.18"), node("b", key="2" * 16): of_version("1.20")}
    found = made(monkeypatch, tmp_path, offers)
    assert len(found.cells()) == 8
    assert found.left_out == ()


def test_a_node_is_left_out_of_one_runtime_and_has_the_others(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    both = [
        Offer(of_version(ort).cells + tuple(replace(one, place="ov" + one.place) for one in openvino.cells))
        for ort, openvino in (
            ("1.18", of_version("2024", runtime="openvino")),
            ("1.20", of_version("2024", runtime="openvino")),
            ("1.20", of_version("2024", runtime="openvino")),
        )
    ]
    found = made(monkeypatch, tmp_path, dict(zip(map(node, "abc"), both, strict=True)))
    assert {cell.row["runtime"] for one, cell in found.cells() if one.node == "a"} == {"openvino"}
    assert len(found.cells()) == 8


def test_what_is_not_converted_yet_is_not_impossible(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A first `--dry-run`: no cell is known, and a machine has the runtime."""
    has = node("a", runtimes={"ort-cpu": {"available": True}, "openvino": {"available": False, "reason": "not there"}})
    monkeypatch.setattr(plan, "_offer", lambda place, wanted, run: Offer((), (": `python -m runtimes` shows",)))
    wanted = Wanted([Matrix(runtime=("ort-cpu", "openvino"))], Policy(), 0, {})
    reserved, missing = Reserved([Place(None, SimpleNamespace(), has)]), [Request("toy", None)]
    found = plan.make(wanted, reserved, MergedFolder(tmp_path), "run.0", False, missing)
    (line,) = found.impossible
    assert line.startswith("no machine can measure openvino: ")
    assert line.endswith("not there")


def test_low_priority_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    offers = {node("a", nice=15): of_version("1.20"), node("b"): of_version("1.20")}
    (line,) = [one for one in plan.lines(made(monkeypatch, tmp_path, offers)) if "priority" in one]
    assert "[a] runs what it measures with low priority (nice 15): start it with RAY_worker_niceness=0" in line
