from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from runtimes import registry
from runtimes.cluster.node import ClusterNode, refusal, usual_version

OURS = {"vitbench": {"version": "1.0", "commit": "abc", "changed": False}}


def node(**vitbench: Any) -> ClusterNode:
    states: dict[str, dict[str, Any]] = {
        "ort-cpu": {"available": True, "reason": None, "devices": ["CPU"]},
        "ort-cuda": {"available": False, "reason": "no GPU", "devices": []},
    }
    machine = {"cpu": "AMD EPYC", "cores_usable": 2}
    theirs = {"machine": machine, "vitbench": OURS["vitbench"] | vitbench}
    return ClusterNode("0123456789", "h", "1" * 16, theirs, states)


def test_the_same_vitbench_may_measure() -> None:
    assert refusal(node(), OURS) is None


def test_another_version_or_commit_is_refused() -> None:
    assert refusal(node(version="0.9"), OURS) == "its vitbench is 0.9, and here is 1.0"
    assert refusal(node(commit="def"), OURS) == "its vitbench is def, and here it is abc: bring both to one commit"
    assert "of no checkout" in str(refusal(node(commit=None), OURS))


@pytest.mark.parametrize("key", ["", "../../../x", "0" * 15, "0" * 16 + "/x"])
def test_a_machine_that_no_file_can_be_named_by_is_refused(key: str) -> None:
    assert "16 hexadecimal digits are needed" in str(refusal(replace(node(), key=key), OURS))


def test_versions() -> None:
    own = registry.get("ort-cpu").version()
    assert usual_version("ort-cpu", ["0.1", own, "0.1"]) == "0.1"
    assert usual_version("ort-cpu", ["9999", own]) == own, "ours, of as many"
    assert usual_version("ort-cpu", ["0.1", "0.2", None]) == "0.2"


def test_what_it_has() -> None:
    found = node()
    assert found.name == "AMD EPYC, 2 cores [01234567]"
    assert (found.available, found.devices) == (["ort-cpu"], ["CPU"])
    assert found.why_not("ort-cpu") is None
    assert found.why_not("ort-cuda") == "no GPU"
    assert found.why_not("other") == "its vitbench has no such runtime"
