"""`places.ask` against a Ray that is made up: no Ray is needed."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Event
from types import SimpleNamespace
from typing import Any

import pytest

from convert.common.errors import InputError
from runtimes.cluster.places import NodeLostError, ask


class MadeUpError(Exception):
    cause = ValueError("disk full")


class UnavailableForNowError(MadeUpError):
    pass


class TimeoutOfRayError(MadeUpError):
    pass


class OfTheTaskError(MadeUpError):
    pass


def ray(*outcomes: Any) -> Any:
    """A Ray whose calls end in these, one after the other."""
    left = list(outcomes)

    def get(reference: Any, timeout: float) -> Any:
        outcome = left.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    errors = {
        "ActorUnavailableError": UnavailableForNowError,
        "GetTimeoutError": TimeoutOfRayError,
        "RayTaskError": OfTheTaskError,
        "RayError": MadeUpError,
    }
    return SimpleNamespace(get=get, exceptions=SimpleNamespace(**errors))


ACTOR: Any = SimpleNamespace(**{name: SimpleNamespace(remote=lambda *arguments: None) for name in ("method", "nudge")})


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[], float]:
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(time, "sleep", lambda seconds: now.__setitem__(0, now[0] + 30))
    return lambda: now[0]


def test_a_cut_network_is_waited_for(clock: Callable[[], float]) -> None:
    cut = (UnavailableForNowError(), TimeoutOfRayError(), UnavailableForNowError())
    assert ask(ray(*cut, "answer"), ACTOR, Event(), "method") == "answer"
    assert clock() >= 60


def test_a_call_that_is_slow_is_not_made_a_second_time(clock: Callable[[], float]) -> None:
    """Two of them would hash, or write, one file at a time."""
    calls: list[Any] = []

    def remote(*arguments: Any) -> int:
        calls.append(arguments)
        return len(calls)

    actor = SimpleNamespace(method=SimpleNamespace(remote=remote), nudge=ACTOR.nudge)
    slow = ray(TimeoutOfRayError(), TimeoutOfRayError(), "answer")
    assert ask(slow, actor, Event(), "method", 7) == "answer"
    assert calls == [(7,)]
    assert ask(ray(UnavailableForNowError(), "answer"), actor, Event(), "method", 8) == "answer"
    assert calls == [(7,), (8,), (8,)]


def test_a_connection_that_the_node_has_closed_is_noticed(clock: Callable[[], float]) -> None:
    """The network was cut while it answered: Ray would wait for five minutes, unless it has something to send."""
    nudges: list[int] = []
    outcomes = [TimeoutOfRayError(), UnavailableForNowError(), "answer"]

    def get(reference: Any, timeout: float) -> Any:
        if len(outcomes) == 2 and not nudges:
            raise TimeoutOfRayError
        return ray(outcomes.pop(0)).get(reference, timeout)

    actor = SimpleNamespace(method=ACTOR.method, nudge=SimpleNamespace(remote=lambda: nudges.append(1)))
    half_open = SimpleNamespace(get=get, exceptions=ray().exceptions)
    assert ask(half_open, actor, Event(), "method") == "answer"
    assert nudges == [1]


def test_a_node_that_never_answers_is_lost(clock: Callable[[], float]) -> None:
    with pytest.raises(NodeLostError, match="has not answered for 180 s"):
        ask(ray(*[TimeoutOfRayError()] * 99), ACTOR, Event(), "method")


def test_a_dead_node_is_lost_at_once(clock: Callable[[], float]) -> None:
    with pytest.raises(NodeLostError, match="the actor died"):
        ask(ray(MadeUpError("the actor died\nmore of it")), ACTOR, Event(), "method")
    assert clock() == 0


def test_what_the_far_side_cannot_do_is_told(clock: Callable[[], float]) -> None:
    with pytest.raises(InputError, match="on the node: disk full"):
        ask(ray(OfTheTaskError()), ACTOR, Event(), "method")
