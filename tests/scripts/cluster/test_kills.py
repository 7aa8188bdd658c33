"""What the script that kills nodes takes for a broken promise. The kills themselves take half an hour."""

from __future__ import annotations

import signal
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from convert.artifact import Artifact
from runtimes.base import Options
from runtimes.records import store
from runtimes.records.blank import start
from runtimes.records.kinds import Latency, Parity
from scripts import kills as scripts_kills
from scripts.cluster import kills
from scripts.kills import Toy
from tests.runtimes.bench.made_up import FAKES


def test_the_same_record_twice_is_seen_whatever_its_command(toy_artifact: Artifact) -> None:
    parity = start(Parity, toy_artifact, FAKES["fake-a"], Options(), batches=(1,), time_utc="2026-11-24T08:00:00Z")
    timed = start(Latency, toy_artifact, FAKES["fake-a"], Options(), batch=1, time_utc="2026-11-24T08:00:00Z")
    assert kills.repeated([parity, timed, replace(parity, batches=(2,)), replace(timed, batch=2)]) == []
    assert kills.repeated([parity, replace(parity, command="another")]) == ["2 times the same record (parity)"]
    assert kills.repeated([timed, timed]) == ["2 times the same record (latency)"]


@pytest.mark.parametrize(("status", "told"), [(-signal.SIGKILL, False), (3, True), (-signal.SIGSEGV, True)])
def test_what_a_kill_lost_is_seen_whatever_the_exit(
    status: int, told: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line that is stored, and after the kill is not."""
    visits = tmp_path / "run-0/results/visits.jsonl"

    def prepare(toy: Toy, command: str, place: Path) -> None:
        visits.parent.mkdir(parents=True)
        visits.write_bytes(b'{"a": 1}\n')
        (place / "said").touch()

    def wait() -> int:
        visits.write_bytes(b"")
        return status

    process = SimpleNamespace(kill=lambda: None, wait=wait)
    for name, value in {"prepare": prepare, "start": lambda *_: process, "run": lambda *_: 0}.items():
        monkeypatch.setattr(scripts_kills, name, value)
    monkeypatch.setattr(kills, "workers", lambda here: [])
    monkeypatch.setattr(store, "known", lambda folder: [])
    toy: Any = SimpleNamespace(words=lambda *_: [])
    nodes: Any = SimpleNamespace(cluster=SimpleNamespace(address="a"))
    broken = kills.attempt(0, "driver", 0.0, 0.0, toy, nodes, tmp_path)
    assert "visits.jsonl: lines are lost" in broken
    assert (f"exit status {status}" in broken) is told
