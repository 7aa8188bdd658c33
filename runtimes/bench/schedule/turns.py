"""Sessions of several cells, open at once, that have their turns: what is measured side by side can be compared."""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

from convert.common import typed
from convert.common.errors import InputError
from convert.common.worker import JobError, Worker
from runtimes.bench.schedule.outcome import VisitOutcome, failed
from runtimes.bench.worker import numbers
from runtimes.bench.worker.job import Job
from runtimes.bench.worker.latency import LONG_S
from runtimes.system.programs import Programs

_TURNS = "runtimes.bench.worker.visit:take_turns"
TURN_S = 0.3  # of measuring; less where a process may not measure so long
# Turns that a session has at least, so that it meets several moments; fewer where a single inference takes long.
_FEWEST, _FEWEST_OF_LONG = 4, 2


@dataclass
class _Seat:
    """A job with its process. enough: whether it needs no other turn. seconds: that it was busy, loading included.
    kept_s: of the samples that count so far. uncounted_s: of its turns, what is in no sample that counts."""

    job: Job
    process: Worker
    outcome: VisitOutcome | None = None
    turns: int = 0
    seconds: float = 0.0
    kept_s: float = 0.0
    uncounted_s: float = 0.0
    enough: bool = False


def play(jobs: Sequence[Job], order: random.Random | None = None) -> list[VisitOutcome]:
    """The outcome of each job of mode latency.

    Each session has a process of its own, which is frozen while another has its turn: threads that spin while they
    wait would compute beside it. A server that computes for one is not: it is idle while nobody asks it. Turns are
    short and in random order, so that whatever the machine does falls on all alike. A session has turns until both
    minima of its job are reached, or the maximum time is over.

    What is not timed goes on in all processes at once, since most of it takes one core: interpreters start and import
    packages, and at the end all read back what was effective.
    """
    order = order or random.Random()  # noqa: S311 - only shuffles
    table, programs, seats = uuid.uuid4().hex[:8], Programs(), list[_Seat]()
    with ExitStack() as stack:
        programs.look()
        for job in jobs:
            process = stack.enter_context(Worker(_TURNS, typed.table(job), environment=job.environment))
            seats.append(_Seat(job, process))
        for seat in seats:
            if _answer(seat) is not None:
                seat.process.freeze()
        for seat in seats:
            if not seat.outcome:
                programs.ours.update(_listen(seat, {}))
            programs.look()
        number = 0
        while left := [seat for seat in seats if not seat.outcome and not seat.enough]:
            number += 1
            for seat in order.sample(left, len(left)):
                seat.turns += 1
                _listen(seat, {"name": f"{table}.{number}", "seconds": min(TURN_S, seat.job.effort.max_s)})
            programs.look()
        heard = [seat for seat in seats if not seat.outcome]
        for seat in heard:
            _tell(seat, None)
        for seat in heard:
            if answer := _answer(seat):
                seat.outcome = VisitOutcome(numbers.read(answer))
    shares = programs.shares()
    return [
        replace(seat.outcome, seconds=seat.seconds, uncounted_s=seat.uncounted_s, programs=shares)
        for seat in seats
        if seat.outcome
    ]


def _listen(seat: _Seat, message: dict[str, Any]) -> list[int]:
    """Have a session load and warm up, or take its turn, and freeze it. Returns the processes that it said compute for
    it."""
    before = seat.seconds
    _tell(seat, message)
    answer = _answer(seat)
    if answer is None:
        return []
    seat.process.freeze()
    effort = seat.job.effort
    count, seconds = answer["count"], answer["seconds"]
    if seat.turns:
        seat.uncounted_s += max(0.0, seat.seconds - before - (seconds - seat.kept_s))
    seat.kept_s = seconds
    minima = seconds >= effort.min_s and count >= effort.min_count
    fewest = _FEWEST_OF_LONG if seconds >= LONG_S * count else _FEWEST
    seat.enough = seat.turns >= fewest and (minima or seconds >= effort.max_s)
    others: list[int] = answer.get("others", [])
    return others


def _tell(seat: _Seat, message: dict[str, Any] | None) -> None:
    seat.process.thaw()
    seat.process.send(message)


def _answer(seat: _Seat) -> dict[str, Any] | None:
    """What a session answers; None where it failed, which is its outcome then."""
    began = time.perf_counter()
    try:
        answer: dict[str, Any] = seat.process.receive(seat.job.timeout_s)
    except (JobError, InputError) as error:
        seat.outcome = failed(seat.job, error)
        return None
    finally:
        seat.seconds += time.perf_counter() - began
    return answer
