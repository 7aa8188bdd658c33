from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from convert import artifact as artifacts
from convert.artifact import Artifact
from convert.common.errors import InputError
from convert.common.worker import JobError
from runtimes.cluster import places
from runtimes.cluster.places import NodeLostError
from runtimes.system import environment

ERRANDS = "tests.runtimes.cluster.far_errands"


def gone(pid: int, within_s: float = 10.0) -> bool:
    end = time.monotonic() + within_s
    while time.monotonic() < end:
        with suppress(psutil.NoSuchProcess):
            if psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                time.sleep(0.05)
                continue
        return True
    return False


@pytest.mark.usefixtures("variables_as_started")
def test_nodes_say_what_they_are_and_work(ray_nodes: Any, toy_artifact: Artifact, tmp_path: Path) -> None:
    """One test, because reserving takes seconds."""
    with places.reserved(ray_nodes.address) as found:
        assert found.left_out == []
        one, two = found.places
        assert one.node.host != two.node.host, "labels make two machines of one"
        assert one.lock is not two.lock
        assert one.node.key == two.node.key == environment.setting_key(environment.describe())
        assert "ort-cpu" in one.node.available
        assert one.node.environment["vitbench"] == environment.describe()["vitbench"]

        assert list(one.run(f"{ERRANDS}:count", {"to": 5})) == [0, 1, 2, 3, 4]
        around = two.call(f"{ERRANDS}:surroundings", None)
        assert around["threads"] is None
        assert around["nice"] == os.nice(0) or os.geteuid() != 0
        assert not [folder for folder in around["path"] if "/ray/" in folder]

        with pytest.raises(InputError, match="this is no input"):
            one.call(f"{ERRANDS}:fail", "input")
        with pytest.raises(JobError, match="ValueError: another fault"):
            one.call(f"{ERRANDS}:fail", "value")
        with pytest.raises(JobError, match="SIGABRT"):
            one.call(f"{ERRANDS}:fail", "die")

        assert artifacts.load(Path(one.give(toy_artifact))).sha256 == toy_artifact.sha256

        running = two.run(f"{ERRANDS}:count", {"to": 1000, "pause_s": 0.1, "file": str(tmp_path / "pid")})
        assert next(running) == 0
        pid = int((tmp_path / "pid").read_text())
        two.close()
        with pytest.raises(NodeLostError):
            list(running)
        assert gone(pid), "what ran there has ended with its actor"
    with places.reserved(ray_nodes.address) as again:
        assert len(again.places) == 2, "a node that was given back can be had again"
