"""A conversation with a process on a node, without Ray: the actor's methods are called here."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from runtimes.cluster import far_side
from runtimes.cluster.far_side import NodeWorker

ERRANDS = "tests.runtimes.cluster.far_errands"


@pytest.fixture
def node(monkeypatch: pytest.MonkeyPatch) -> NodeWorker:
    for name in ("_as_a_user", "_end_with"):
        monkeypatch.setattr(far_side, name, lambda *_: None)  # it is for Ray's own process
    return NodeWorker({})


def answers(node: NodeWorker, number: str) -> Iterator[dict[str, Any]]:
    known = 0
    while True:
        for one in node.poll(number, known, 5.0):
            known += 1
            yield one
            if "end" in one or "died" in one:
                return


def test_messages_arrive_once_and_in_order(node: NodeWorker) -> None:
    node.start("1", f"{ERRANDS}:echo", None)
    for count, message in [(0, "a"), (0, "a"), (1, {"b": [1]}), (1, {"b": [1]}), (2, "end")]:  # answers were lost
        node.tell("1", count, message)
    assert list(answers(node, "1")) == [{"answer": "a"}, {"answer": {"b": [1]}}, {"end": True}]


def test_a_message_larger_than_any_buffer_holds_up_nobody(node: NodeWorker) -> None:
    node.start("1", f"{ERRANDS}:count", {"to": 3, "pause_s": 0.2})
    told = threading.Thread(target=node.tell, args=("1", 0, "x" * (4 << 20)), daemon=True)  # which it never reads
    told.start()
    told.join(10)
    assert not told.is_alive()
    assert list(answers(node, "1")) == [{"answer": 0}, {"answer": 1}, {"answer": 2}, {"end": True}]


def test_what_nobody_waits_for_is_ended(node: NodeWorker) -> None:
    node.start("1", f"{ERRANDS}:echo", None)
    node.tell("1", 0, "a")
    found = answers(node, "1")
    assert next(found) == {"answer": "a"}
    node.stop("1")
    node.stop("none")
    assert "SIGKILL" in next(found)["died"]
    assert list(found) == []
