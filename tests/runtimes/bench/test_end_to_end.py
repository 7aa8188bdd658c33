"""The command as users run it, on the toy: from parity to the report, and killed at any moment."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from convert.artifact import Artifact
from runtimes import registry
from runtimes.records import reading, store
from runtimes.records.kinds import Latency, Parity

LITTLE = ("--min-seconds", "0.1", "--min-count", "4", "--max-seconds", "0.2", "--patience", "0", "--repeats", "0")


def command(toml: Path, root: Path, folder: Path, *words: str, batch: str = "1,2") -> list[str]:
    common = ["--model", str(toml), "--artifacts", str(root), "--batch", batch, "--out", str(folder)]
    return [sys.executable, "-m", "runtimes.bench", *common, *LITTLE, *words]


def test_every_runtime_from_parity_to_the_report(
    toy_toml: Path, toy_artifact: Artifact, toy_root: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    words = command(toy_toml, toy_root, folder, "--json", batch="2")
    result = subprocess.run(words, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    made = json.loads(result.stdout)["records"]
    runtimes = [runtime.name for runtime in registry.available(None)]
    assert {"paddle", "ort-cpu", "openvino", "mnn"} <= set(runtimes)
    assert sorted(r["runtime"] for r in made) == sorted(runtimes)
    assert {r["batch"] for r in made} == {2}
    assert {r["status"] for r in made} <= {"ok", "unstable"}, "unstable: little was measured, or the machine was busy"
    assert all(len(r["processes"]) >= 2 for r in made)
    assert all(sum(p["count"] for p in r["processes"]) == r["count"] == len(r["samples_ms"]) for r in made)
    stored = store.read(folder)
    assert [one.kind for one in stored] == ["parity"] * len(runtimes) + ["latency"] * len(made)
    assert stored[len(runtimes) :] == [reading.from_table(one) for one in made]
    assert len({r["key"] for r in made}) == len(made)
    assert json.loads((folder / "environment.json").read_text())["machine"]["cores_usable"]
    assert "seeded:1 weights are drawn, not trained" in result.stderr
    assert "python -m validate.parity --model" in result.stderr, "what it starts is said"
    subprocess.run([sys.executable, "-m", "reports", str(folder)], capture_output=True, text=True, check=True)
    report = (folder / "report.md").read_text()
    assert "Seeded weights" in report
    assert "unproven" not in report.split("## Latency")[1].split("|\n\n")[0]
    again = [*words, "--runtime", "ort-cpu,mnn", "--resume"]
    done = subprocess.run(again, capture_output=True, text=True, check=True)
    those = [r for r in made if r["runtime"] in ("ort-cpu", "mnn")]
    assert {r["key"] for r in json.loads(done.stdout)["records"]} == {r["key"] for r in those}
    more = [one for one in store.read(folder)[len(stored) :] if isinstance(one, Latency)]
    assert {one.key for one in more} == {r["key"] for r in those if r["disturbed"]}, "nothing was missing"


def test_throughput_and_server(toy_toml: Path, toy_artifact: Artifact, toy_root: Path, tmp_path: Path) -> None:
    pytest.importorskip("mlperf_loadgen", reason="no mlcommons-loadgen here: it has wheels for Linux on x86-64 only")
    words = command(toy_toml, toy_root, tmp_path, "--runtime", "ort-cpu", "--mode", "throughput,server", "--json")
    result = subprocess.run(words, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    made = {record["kind"]: record for record in json.loads(result.stdout)["records"]}
    throughput, server = made["throughput"], made["server"]
    assert throughput["images_per_s"] > 0
    assert throughput["batch"] in (1, 2)
    assert (throughput["batch"], throughput["streams"]) in [(p["batch"], p["streams"]) for p in throughput["searched"]]
    assert len(throughput["processes"]) == 2
    low, high = throughput["ci95_images_per_s"]
    assert low <= throughput["images_per_s"] <= high
    assert server["points"]
    assert [p["qps_target"] for p in server["points"]] == sorted(p["qps_target"] for p in server["points"])
    assert server["latency_bound_ms"] > 0
    assert server["loadgen"]["version"]


def test_killed_at_any_moment_and_resumed(
    toy_toml: Path, toy_artifact: Artifact, toy_root: Path, tmp_path: Path
) -> None:
    """SIGKILL to the parent, VITBENCH_KILLS times (3), each time somewhere in its work; then it is left in peace."""
    words = command(toy_toml, toy_root, tmp_path, "--runtime", "ort-cpu,openvino", "--resume", "--json")
    rng = random.Random(0)
    for _ in range(int(os.environ.get("VITBENCH_KILLS", "3"))):
        process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(rng.uniform(0.5, 7.0))
        process.send_signal(signal.SIGKILL)
        process.wait()
    result = subprocess.run(words, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    records = store.read(tmp_path)
    latencies = [record for record in records if isinstance(record, Latency)]
    assert Counter((r.runtime, r.batch) for r in latencies) == Counter(
        {(name, batch): 1 for name in ("ort-cpu", "openvino") for batch in (1, 2)}
    )
    assert Counter(r.runtime for r in records if isinstance(r, Parity)) == {"ort-cpu": 1, "openvino": 1}
    assert {r.status for r in latencies} <= {"ok", "unstable"}
