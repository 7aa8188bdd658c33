"""A run with a server in it, from parity to the report; and a server that dies in the middle."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from convert.artifact import Artifact
from tests.runtimes.bench.test_end_to_end import command
from tests.runtimes.served.fake_server import Answer, FakeServer, serving

STATS = "/v2/models/toy/stats"


@pytest.fixture
def server(toy_artifact: Artifact) -> Iterator[FakeServer]:
    with serving(FakeServer(toy_artifact)) as found:
        yield found


def measured(server: FakeServer, toml: Path, root: Path, folder: Path) -> dict[str, dict[str, object]]:
    """The record of each runtime, at batch 2."""
    words = ["--runtime", "served,ort-cpu", "--threads", "1", "--option", f"served.url={server.url}", "--json"]
    result = subprocess.run(command(toml, root, folder, *words, batch="2"), capture_output=True, text=True, check=False)
    assert result.returncode in (0, 1), result.stderr
    return {one["runtime"]: one for one in json.loads(result.stdout)["records"]}


def test_from_parity_to_the_report(server: FakeServer, toy_toml: Path, toy_root: Path, tmp_path: Path) -> None:
    record = measured(server, toy_toml, toy_root, tmp_path)["served"]
    assert record["status"] in ("ok", "unstable"), record["reason"]
    times, disturbance = record["server_times"], record["disturbance"]
    assert isinstance(times, dict)
    assert isinstance(disturbance, dict)
    assert times["total_ms"] == 2.0
    assert disturbance["foreign_requests"] == 0
    assert record["memory"] == dict.fromkeys(("process_bytes", "model_bytes", "loaded_bytes", "device_bytes"))
    assert (record["load_ms"], record["threads_readback"]) == (None, 1)
    subprocess.run([sys.executable, "-m", "reports", str(tmp_path)], capture_output=True, text=True, check=True)
    assert "## What serving costs" in (tmp_path / "report.md").read_text(encoding="utf-8")


def test_a_server_that_dies_leaves_a_record_and_the_rest_goes_on(
    server: FakeServer, toy_toml: Path, toy_root: Path, tmp_path: Path
) -> None:
    def dies(_: Answer) -> None:
        if server.paths[STATS]:  # which is asked when the warm-up is over
            server.end()
            raise ConnectionError

    server.change = dies
    made = measured(server, toy_toml, toy_root, tmp_path)
    assert made["served"]["status"] == "failed"
    assert f"the server at {server.url} gives no answer (" in str(made["served"]["reason"])
    assert made["ort-cpu"]["status"] in ("ok", "unstable")
