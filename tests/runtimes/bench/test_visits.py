"""What a broken-off run left."""

from __future__ import annotations

from pathlib import Path

from runtimes.bench.schedule.executor import Outcome
from runtimes.bench.schedule.visits import VISITS, Visits


def test_what_was_added_is_stored(tmp_path: Path) -> None:
    visits = Visits(tmp_path)
    made = [
        Outcome({"samples_ms": [1.0]}, speed_ms=(4.0, 5.0), slowdown=0.25, seconds=2.0, waited_s=1.0, time_utc="now"),
        Outcome(None, "ended by SIGKILL", "log"),
    ]
    for outcome in made:
        visits.add("a", outcome)
    stored = Visits.stored(tmp_path)
    assert stored.of["a"] == made
    assert stored.sound("a") == made[:1]
    assert stored.sound("b") == []


def test_damaged_lines_are_visits_to_make_again(tmp_path: Path) -> None:
    Visits(tmp_path).add("a", Outcome({"samples_ms": [1.0]}))
    with (tmp_path / VISITS).open("a") as stream:
        stream.write('{"key": "a"}\n{"key": "a", "outcome": {"surprise": 1}}\nnothing\n{"key": "a", "out')
    assert len(Visits.stored(tmp_path).of["a"]) == 1
    assert Visits.stored(tmp_path / "nowhere").of == {}
