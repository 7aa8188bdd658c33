"""A plan over two nodes of a Ray cluster on this machine: the whole way, and going on after the driver was killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from convert.artifact import Artifact
from reports.load import results
from runtimes.bench.__main__ import main
from runtimes.records import store
from runtimes.records.kinds import Latency, Parity, TimedRecord
from runtimes.system import environment

_EFFORT = (
    *("--min-count", "6", "--min-seconds", "0.05", "--max-seconds", "0.2"),
    *("--target", "50%", "--patience", "0", "--processes", "1", "--repeats", "0"),
)


def command(toml: Path, root: Path, address: str, *more: str) -> list[str]:
    words = ["--model", str(toml), "--weights", "seeded:1", "--artifacts", str(root), "--runtime", "ort-cpu"]
    return [sys.executable, "-m", "runtimes.bench", *words, *_EFFORT, "--cluster", address, *more]


@pytest.mark.usefixtures("variables_as_started")
def test_a_plan_over_two_nodes(
    ray_nodes: Any, toy_toml: Path, toy_artifact: Artifact, toy_root: Path, tmp_path: Path
) -> None:
    words = command(toy_toml, toy_root, ray_nodes.address, "--batch", "1,2", "--out", str(tmp_path))
    machine = environment.setting_key(environment.describe())
    killed = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
    assert killed.stderr
    while not (tmp_path / store.RESULTS).exists() and killed.poll() is None:
        time.sleep(0.1)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    plan = json.loads((tmp_path / "plan.json").read_text(encoding="utf-8"))
    assert len({cell["node"] for cell in plan["cells"]}) == 2, "equal machines share the cells"
    assert set(plan["machines"]) == {machine}
    done = subprocess.run([*words, "--resume", "--json"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    made = json.loads(done.stdout)["records"]
    assert sorted(record["batch"] for record in made) == [1, 2]

    records = store.read(tmp_path)
    timed = [record for record in records if isinstance(record, TimedRecord)]
    assert {record.batch for record in timed} == {1, 2}
    # What was disturbed may have been measured again; no record is there twice.
    assert set(Counter((record.batch, record.time_utc) for record in timed).values()) == {1}
    assert {record.machine for record in records} == {machine}
    assert any(isinstance(record, Parity) for record in records)
    assert (tmp_path / "environments" / f"{machine}.json").exists()
    found = results.load(tmp_path)
    assert len(found.environments) == 1
    assert all(found.proven(record) for record in found.of(Latency))
    assert not os.environ.get("RAY_ADDRESS")


def test_without_a_cluster_a_line_says_how_to_start_one(toy_toml: Path, tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="no Ray here: the extra cluster is not installed")
    words = command(toy_toml, tmp_path, "127.0.0.1:1", "--out", str(tmp_path / "r"))
    result = subprocess.run(words, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    (line,) = result.stderr.strip().splitlines()
    assert line.startswith("error: --cluster 127.0.0.1:1: no Ray cluster answers")
    assert "`ray start --head`" in line
    assert not (tmp_path / "r").exists() or not list((tmp_path / "r").glob("*.jsonl"))


def test_machines_of_a_cluster_need_a_cluster(tmp_path: Path) -> None:
    (tmp_path / "plan.toml").write_text('[[matrix]]\nruntime = "ort-cpu"\nwhere = "gpu"\n', encoding="utf-8")
    said = CliRunner().invoke(main, ["--plan", str(tmp_path / "plan.toml")]).output
    assert "where is about machines of a cluster: give --cluster too" in said
    assert (
        "--where names machines of a cluster: give --cluster too" in CliRunner().invoke(main, ["--where", "gpu"]).output
    )
