from __future__ import annotations

import threading

import pytest

from validate.accuracy.cluster.shards import BatchShard, ShardQueue


def queue(able: dict[str, list[int]], batches: int = 2, **begun: int) -> ShardQueue:
    """A queue in which evaluation 0 (and 1) lack so many batches from the first on."""
    made = ShardQueue(able, batches)
    for name, count in begun.items():
        made.begin(int(name[1:]), range(count))
    return made


def test_each_shard_goes_to_one_node() -> None:
    shards = queue({"a": [0], "b": [0]}, e0=5)
    taken = [shards.take(node, [0], idle=False) for node in ("a", "b", "a", "b")]
    assert taken == [BatchShard(0, (0, 1), (0,)), BatchShard(1, (2, 3), (0,)), BatchShard(2, (4,), (0,)), None]
    for shard in taken[:3]:
        assert not shards.finished(0)
        assert shard
        shards.done(shard)
    assert shards.finished(0)
    assert shards.wait(0)
    assert shards.take("a", [0], idle=True) is None


def test_only_what_is_lacking_is_done() -> None:
    shards = ShardQueue({"a": [0]}, 3)
    shards.begin(0, [1, 7, 8])
    assert shards.take("a", [0], idle=True) == BatchShard(0, (1,), (0,))
    assert shards.take("a", [0], idle=False) == BatchShard(2, (7, 8), (0,))


def test_evaluations_that_lack_the_same_go_together() -> None:
    shards = queue({"a": [0, 1]}, e0=2, e1=2)
    assert shards.take("a", [0, 1], idle=True) == BatchShard(0, (0, 1), (0, 1))
    other = ShardQueue({"a": [0, 1]}, 2)
    other.begin(0, [0, 1])
    other.begin(1, [1])
    assert other.take("a", [0, 1], idle=True) == BatchShard(0, (0, 1), (0,))
    assert other.take("a", [0, 1], idle=True) == BatchShard(0, (1,), (1,))


def test_what_few_can_do_goes_first() -> None:
    shards = queue({"a": [0, 1], "b": [1]}, e0=4, e1=4)
    assert shards.take("a", [0, 1], idle=True) == BatchShard(0, (0, 1), (0,))
    assert shards.take("b", [1], idle=True) == BatchShard(0, (0, 1), (1,))
    assert shards.take("a", [0, 1], idle=True) == BatchShard(1, (2, 3), (0,))
    assert shards.take("a", [0, 1], idle=True) == BatchShard(1, (2, 3), (1,))


def test_a_shard_of_a_dead_node_is_done_elsewhere() -> None:
    shards = queue({"a": [0], "b": [0]}, e0=2)
    first = shards.take("a", [0], idle=True)
    assert shards.take("b", [0], idle=False) is None
    shards.end("a")
    assert shards.take("b", [0], idle=False) == first
    assert shards.take("a", [0], idle=True) is None


def test_who_is_free_at_the_end_does_a_shard_again() -> None:
    shards = queue({"a": [0], "b": [0], "c": [0]}, e0=2)
    first = shards.take("a", [0], idle=True)
    assert shards.take("b", [0], idle=True) == first
    assert shards.take("c", [0], idle=False) is None, "two are enough"
    shards.end("a")
    assert not shards.wait(0), "the other one is still at it"
    assert first
    shards.done(first)
    assert shards.wait(0)


def test_nobody_waits_for_ever() -> None:
    shards = queue({"a": [0], "b": [0]})
    found: list[object] = []
    thread = threading.Thread(target=lambda: found.append(shards.take("b", [0], idle=True)))
    thread.start()
    shards.begin(0, [3])  # loaded by a
    thread.join(10)
    assert found == [BatchShard(1, (3,), (0,))]
    waiting = threading.Thread(target=lambda: found.append(shards.take("c", [0], idle=True)))
    waiting.start()
    waiting.join(10)
    assert found[1:] == [None], "a node that can do nothing gets nothing"


@pytest.mark.parametrize("how", ["ended", "closed"])
def test_an_evaluation_that_nobody_can_do_is_not_waited_for(how: str) -> None:
    shards = queue({"a": [0, 1], "b": [0]}, e1=1, e0=1)
    if how == "ended":
        shards.end("a", [1])
        shard = shards.take("b", [0], idle=True)
        assert shard
        shards.done(shard)
    else:
        shards.close()
    assert shards.wait(0)
    assert not shards.finished(1)


def test_a_late_answer_counts_once() -> None:
    shards = queue({"a": [0], "b": [0]}, e0=2)
    shard = shards.take("a", [0], idle=True)
    assert shard
    shards.give_back("a")
    shards.done(shard)
    assert shards.finished(0)
    assert shards.take("b", [0], idle=True) is None
