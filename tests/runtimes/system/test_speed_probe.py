"""The machine's speed: what is slow, what is waited for, and what earlier runs tell."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest

from runtimes.statistics import Noise
from runtimes.system import contention
from runtimes.system import speed_probe as probe
from runtimes.system.contention import Moment
from runtimes.system.speed_probe import Probe


def reading(*values: float | None) -> Probe:
    told = iter(values)
    return Probe(read=lambda: next(told))


def test_a_reading_is_positive_and_kept() -> None:
    speed = Probe()
    found = speed.take()
    assert speed.readings == ([] if found is None else [found]), "None where other programs leave none"
    assert found is None or found > 0


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[float]]:
    """A clock that moves by what the work is said to take, while each repetition waits for a share of its time; the
    times that it took."""

    def made(times_ms: Iterable[float], waited: Iterable[float | None]) -> list[float]:
        now, waited_s, taken = [0.0], [0.0], list[float]()
        known = [True]
        ms, shares = itertools.cycle(times_ms), itertools.cycle(waited)

        def repetition() -> None:
            taken.append(next(ms))
            share = next(shares)
            known[0] = share is not None
            now[0] += taken[-1] / 1e3
            waited_s[0] += (share or 0.0) * taken[-1] / 1e3

        monkeypatch.setattr(probe, "_work", lambda: repetition)
        monkeypatch.setattr(time, "perf_counter", lambda: now[0])
        monkeypatch.setattr(contention, "now", lambda: Moment(now[0], 0.0, {"1": waited_s[0]} if known[0] else None))
        return taken

    return made


def test_only_repetitions_that_were_left_alone_tell_of_the_machine(work: Callable[..., list[float]]) -> None:
    taken = work([20.0, 4.0], [0.5, 0.0])
    assert probe.work_ms(0.1, 0.6) == pytest.approx(4.0)
    assert sum(taken) < 150


def test_it_goes_on_until_there_are_enough_of_them(work: Callable[..., list[float]]) -> None:
    taken = work([10.0] * 36 + [4.0] * 20, [0.5] * 36 + [0.0] * 20)
    assert probe.work_ms(0.1, 0.6) == pytest.approx(4.0)
    assert sum(taken) == pytest.approx(360 + 16), "a tenth"


def test_where_all_waited_a_little_there_is_no_reading(work: Callable[..., list[float]]) -> None:
    taken = work([10.0], [0.15])
    assert probe.work_ms(0.1, 0.6) is None
    assert sum(taken) == pytest.approx(600, abs=11)


def test_where_none_is_left_alone_there_is_no_reading(work: Callable[..., list[float]]) -> None:
    taken = work([20.0], [0.5])
    speed = Probe(read=probe.work_ms)
    assert speed.take() is None
    assert speed.readings == []
    assert sum(taken) == pytest.approx(600, abs=21)


def test_where_the_system_tells_nothing_all_of_them_count_and_none_is_waited_for(
    work: Callable[..., list[float]],
) -> None:
    taken = work([20.0, 4.0, 6.0], [None])
    assert probe.work_ms(0.1, 0.6) == pytest.approx(6.0)
    assert sum(taken) < 130


def test_the_slowdown_is_that_of_the_worst_reading_over_the_fastest() -> None:
    speed = reading(*[4.0] * 20, 5.0)
    for _ in range(21):
        speed.take()
    assert speed.slowdown(4.0, 5.0) == pytest.approx(0.25)
    assert speed.slowdown(3.9) == 0.0
    assert probe.disturbed(speed.slowdown(4.2)) is None
    assert "25%" in str(probe.disturbed(speed.slowdown(5.0)))


def test_one_reading_that_is_too_good_does_not_make_all_others_slow() -> None:
    speed = reading(1.0, *[4.0] * 40)
    for _ in range(41):
        speed.take()
    assert speed.slowdown(4.0) < 0.01


def test_waiting_ends_when_the_machine_is_fast_again_or_patience_is_over() -> None:
    slept: list[float] = []
    speed = reading(4.0, 5.0, 5.0, 4.1)
    speed.take()
    assert probe.wait(speed, 60, slept.append) == (4.1, sum(slept))
    assert len(slept) == 2
    slept.clear()
    speed = reading(4.0, *[5.0] * 50)
    speed.take()
    last, waited = probe.wait(speed, 7, slept.append)
    assert (last, waited) == (5.0, 7)
    assert sum(slept) == pytest.approx(7)


def test_a_machine_that_is_too_busy_to_tell_is_waited_for() -> None:
    slept: list[float] = []
    speed = reading(4.0, None, None, 4.1)
    speed.take()
    assert probe.wait(speed, 60, slept.append) == (4.1, sum(slept))
    assert len(slept) == 2
    speed = reading(4.0, *[None] * 50)
    speed.take()
    assert probe.wait(speed, 7, slept.append) == (None, 7)
    assert speed.readings == [4.0]


def test_what_earlier_runs_saw_shows_that_a_whole_run_was_slow(tmp_path: Path) -> None:
    file = tmp_path / "kept" / "machine.json"
    first = Probe(file, read=lambda: 4.0)
    for _ in range(10):
        first.take()
    first.keep()
    later = Probe(file, read=lambda: 5.0)
    later.take()
    assert later.slowdown(5.0) == pytest.approx(0.25)


@pytest.mark.parametrize(
    "text", ["", "{", '{"a": 1}', '["x", -1, null]', "[]", "[[], [null, -1, true, NaN]]", "[4, 4]"]
)
def test_a_damaged_file_is_no_history(tmp_path: Path, text: str) -> None:
    file = tmp_path / "machine.json"
    file.write_text(text)
    speed = Probe(file, read=lambda: 4.0)
    speed.take()
    speed.keep()
    speed.keep()
    assert json.loads(file.read_text()) == [[4.0]]


def test_earlier_runs_tell_how_far_runs_lie_apart(tmp_path: Path) -> None:
    file = tmp_path / "machine.json"
    # The third run was in the slow state most of the time, the last is too short to count.
    runs = [[4.0] * 8, [4.08] * 9, [5.0] * 9 + [4.16] * 8, [4.3] * 7]
    file.write_text(json.dumps(runs))
    speed = Probe(file, read=lambda: 4.0)
    speed.take()
    found = speed.between_runs()
    assert found.dof == 2
    assert found.between_cv == pytest.approx(np.std(np.log([4.0, 4.08, 4.16]), ddof=1))
    assert Probe(read=lambda: 4.0).take() == 4.0


def test_one_run_alone_says_nothing_of_others() -> None:
    speed = Probe(read=lambda: 4.0)
    for _ in range(20):
        speed.take()
    assert speed.between_runs() == Noise()
