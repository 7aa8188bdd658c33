"""What the script that kills commands takes for a broken promise. The kills themselves take half an hour."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from convert.common.disk import scratch
from scripts import kills


def test_every_command_is_killed_in_every_way_as_often() -> None:
    drawn = kills.tries(48, 7, kills.COMMANDS)
    counts = Counter((one.command, one.kind) for one in drawn)
    assert set(counts.values()) == {2}
    assert len(counts) == len(kills.COMMANDS) * len(kills.KINDS)
    assert drawn == kills.tries(48, 7, kills.COMMANDS)
    assert drawn != kills.tries(48, 8, kills.COMMANDS)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "tmp").mkdir()
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "visits.jsonl").write_bytes(b'{"a": 1}\n{"b": 2}\n{"cut')
    return tmp_path


@pytest.mark.parametrize(
    ("now", "broken"),
    [
        (b'{"a": 1}\n{"b": 2}\n', []),
        (b'{"a": 1}\n{"b": 2}\n{"c": 3}\n', []),
        (b'{"a": 1}\n', ["visits.jsonl: lines are lost"]),
        (b'{"a": 1}\n{"b": 4}\n', ["visits.jsonl: lines are lost"]),
    ],
)
def test_whole_lines_stay_and_a_cut_one_may_go(place: Path, now: bytes, broken: list[str]) -> None:
    before = kills.stored(place)
    (place / "results" / "visits.jsonl").write_bytes(now)
    assert kills.lost(before, place) == broken


def test_damaged_records_are_seen(place: Path) -> None:
    (place / "results" / "results.jsonl").write_bytes(b"{}\n{}\n")
    assert any("line 1" in one for one in kills.lost({}, place))


def test_a_run_that_ended_early_lacks_something(place: Path) -> None:
    whole: set[tuple[str, ...]] = {("latency", "toy", "fp32", "ort-cpu", "1", "True")}
    assert len(kills.lacking(place, whole)) == 2
    (place / "artifacts" / "toy" / "fp32").mkdir(parents=True)
    (place / "artifacts" / "toy" / "fp32" / "manifest.json").touch()
    assert len(kills.lacking(place, whole)) == 1
    assert kills.lacking(place, set()) == []


def test_what_is_temporary_is_seen_wherever_it_lies(place: Path) -> None:
    assert kills.left(place) == []
    (place / "results" / f".plan.json.{scratch.prefix('x')}").touch()
    (place / "results" / ".lock").touch()
    (place / "tmp" / "a-library-s").touch()
    assert len(kills.left(place)) == 3


def test_a_process_of_a_run_is_seen_while_it_lives(place: Path) -> None:
    environment = {**os.environ, "VITBENCH_KILLS": str(place)}
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, env=environment) as process:
        assert len(kills.living(place)) == 1
        process.kill()
    assert kills.living(place) == []
