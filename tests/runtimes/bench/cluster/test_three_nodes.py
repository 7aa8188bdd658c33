"""A plan over three nodes, two of them equal, against a local run of it: the same cells, in the same form."""

from __future__ import annotations

import dataclasses
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from convert.artifact import Artifact
from runtimes.cluster.node import MACHINE_LABEL
from runtimes.records import store
from runtimes.records.samples import LatencySummary
from runtimes.system import environment
from tests.runtimes.bench.cluster.test_measure import command

# What two runs of one cell on one machine need not share: what was measured, and what happened meanwhile.
_FOUND = {field.name for field in dataclasses.fields(LatencySummary)} | {
    *("status", "reason", "time_utc", "crc", "load_ms", "first_ms", "peak_memory_bytes", "memory", "energy"),
    *("disturbance", "disturbed", "foreign_load", "processes", "crashes"),
}
_WHOSE = {"machine"}
_FREE = {"programs", "unmeasured", "details"}  # tables whose names are no fields


@pytest.fixture
def other_kind(ray_nodes: Any) -> Iterator[Any]:
    """One more node, which is a machine of another kind by its variables."""
    node = ray_nodes.add_node(num_cpus=2, labels={MACHINE_LABEL: "c"}, env_vars={"OMP_NUM_THREADS": "1"})
    ray_nodes.wait_for_nodes()
    yield node
    ray_nodes.remove_node(node)  # it says so, and no later test takes it for alive


def run(words: list[str], out: Path) -> list[dict[str, Any]]:
    """The lines of the results file that a command makes."""
    done = subprocess.run([*words, "--out", str(out)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in (out / store.RESULTS).read_text(encoding="utf-8").splitlines()]


def fields(value: Any) -> Any:
    """The names of all fields, whatever they hold; of a sequence, those of its first."""
    if isinstance(value, dict):
        return {name: fields(inner) for name, inner in value.items() if name not in _FREE}
    return [fields(value[0])] if isinstance(value, list) and value and isinstance(value[0], dict) else None


def of(lines: list[dict[str, Any]], kind: str, machine: str | None) -> list[dict[str, Any]]:
    found = [line for line in lines if line["kind"] == kind and line.get("machine") == machine]
    return sorted(found, key=lambda line: line.get("batch") or 0)


@pytest.mark.usefixtures("variables_as_started", "other_kind")
def test_records_of_three_nodes_are_those_of_a_local_run(
    ray_nodes: Any, toy_toml: Path, toy_artifact: Artifact, toy_root: Path, tmp_path: Path
) -> None:
    words = command(toy_toml, toy_root, ray_nodes.address, "--batch", "1,2")
    at = words.index("--cluster")
    spread, local = run(words, tmp_path / "spread"), run(words[:at] + words[at + 2 :], tmp_path / "local")
    here = environment.setting_key(environment.describe())
    (other,) = {line["machine"] for line in spread} - {here}

    plan = json.loads((tmp_path / "spread/plan.json").read_text(encoding="utf-8"))
    assert {machine: len(nodes) for machine, nodes in plan["machines"].items()} == {here: 2, other: 1}
    assert len({cell["node"] for cell in plan["cells"]}) == 3, "equal machines share the cells, another has them all"
    environments = {file.stem: json.loads(file.read_text()) for file in (tmp_path / "spread/environments").iterdir()}
    assert {name: one["variables"].get("OMP_NUM_THREADS") for name, one in environments.items()} == {
        here: environment.describe()["variables"].get("OMP_NUM_THREADS"),
        other: "1",
    }

    for machine in (here, other):
        cells = of(spread, "latency", machine)
        assert [line["batch"] for line in cells] == [1, 2]
        # Each node proves its own, unless another has been there: the artifacts are in one place.
        proven = of(spread, "parity", machine)
        assert proven
        pairs = list(zip(cells, of(local, "latency", None), strict=True))
        pairs += [(line, own) for line in proven for own in of(local, "parity", None)]
        for line, own in pairs:
            assert set(line) - _WHOSE == set(own)
            for name in set(own) - _FOUND - {"key"}:
                assert line[name] == own[name], name
            for name in set(own) & _FOUND:
                if own[name] is not None and line[name] is not None:
                    assert fields(line[name]) == fields(own[name]), name
        assert [line["key"] == own["key"] for line, own in pairs if "key" in line] == [machine == here] * 2
