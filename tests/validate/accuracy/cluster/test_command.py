"""The command over nodes that are made up, by runtimes whose every answer is known."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from convert.common.worker import JobError
from tests.validate.accuracy.cluster.conftest import MadeUpPlace, answers_file, lost

Best = Callable[[int], np.ndarray]
ARGUMENTS = ["--images", "set", "--batch", "2", "--out", "run", "--json"]


def record(result: Any, place: int = 0) -> dict[str, Any]:
    """A record, without what is of its own moment."""
    found: dict[str, Any] = json.loads(result.stdout)["records"][place]
    return found | {"time_utc": None, "command": None}


@pytest.fixture
def three() -> list[MadeUpPlace]:
    return [MadeUpPlace("a"), MadeUpPlace("b"), MadeUpPlace("c")]


@pytest.fixture(autouse=True)
def _few(few: None) -> None:
    pass


@pytest.fixture
def runtimes(make_runtime: Any, best: Best, identity: Best) -> list[Any]:
    wrong = make_runtime("ort-cpu", lambda shown: best((shown + 1) % 10 if shown in (3, 4) else shown))
    return [make_runtime("paddle", identity), wrong]


@pytest.fixture
def alone(run: Any, make_set: Any, runtimes: list[Any]) -> Any:
    """What one machine gives."""
    make_set([*range(10), *range(10), 7], [*range(10), *range(10), 3])
    return run(*[one if one != "run" else "alone" for one in ARGUMENTS], runtimes=runtimes)


def test_three_nodes_give_the_record_of_one(alone: Any, on_nodes: Any, runtimes: Any, three: Any) -> None:
    result = on_nodes(three, *ARGUMENTS, runtimes=runtimes)
    assert (alone.exit_code, result.exit_code) == (0, 0), result.stderr
    for place in (0, 1):
        assert record(result, place) == record(alone, place)
    assert record(result, 1)["mcnemar_p"] == 2 / 2**4
    assert "node 99 is left out: it is in use" in result.stderr
    assert "--cluster auto" in json.loads(result.stdout)["records"][0]["command"]


@pytest.mark.parametrize("blind", [True, False])
def test_images_travel_to_a_node_that_does_not_see_them(alone: Any, on_nodes: Any, runtimes: Any, blind: bool) -> None:
    node = MadeUpPlace("a", blind=blind)
    result = on_nodes([node], *ARGUMENTS, runtimes=runtimes)
    assert record(result) == record(alone)
    assert sorted(node.sent) == (list(range(21)) if blind else [])


def test_a_node_that_sees_another_image_gets_ours(
    alone: Any, on_nodes: Any, runtimes: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def altered(images: Any, position: int) -> bytes:
        data: bytes = read(images, position)
        return data + b"changed" if position == 9 and position not in images.sent else data

    from validate.accuracy.cluster import node_side

    read = node_side.ShardImages.seen
    monkeypatch.setattr(node_side.ShardImages, "seen", altered)
    node = MadeUpPlace("a")
    result = on_nodes([node], *ARGUMENTS, runtimes=runtimes)
    assert record(result) == record(alone)
    assert 9 in node.sent
    assert "image 9.png is another image there" in result.stderr


def test_a_node_whose_images_are_all_others_gets_ours(
    alone: Any, on_nodes: Any, runtimes: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two shards are on their way when the first is found to differ."""

    def altered(images: Any, position: int) -> bytes:
        data: bytes = read(images, position)
        return data if position in images.sent else data + b"changed"

    from validate.accuracy.cluster import node_side

    read = node_side.ShardImages.seen
    monkeypatch.setattr(node_side.ShardImages, "seen", altered)
    node = MadeUpPlace("a")
    result = on_nodes([node], *ARGUMENTS, runtimes=runtimes)
    assert record(result) == record(alone)
    assert sorted(node.sent) == list(range(21)), "each image travels once"
    assert result.stderr.count("is another image there") == 1


@pytest.mark.parametrize("after", [0, 1, 3, 4, 5, 6])
def test_a_node_that_dies_costs_nothing(alone: Any, on_nodes: Any, runtimes: Any, three: Any, after: int) -> None:
    three[0].ends = {after: lost()}
    result = on_nodes(three[:2], *ARGUMENTS, runtimes=runtimes)
    for place in (0, 1):
        assert record(result, place) == record(alone, place)
    assert three[0].answered <= after


def test_a_process_that_dies_begins_again(alone: Any, on_nodes: Any, runtimes: Any) -> None:
    node = MadeUpPlace("a", ends={4: JobError("the process was ended by SIGSEGV")})
    result = on_nodes([node], *ARGUMENTS, runtimes=runtimes)
    assert record(result) == record(alone)
    assert "the process was ended by SIGSEGV; it begins again" in result.stderr


def test_where_no_node_is_left_one_goes_on_later(
    alone: Any, on_nodes: Any, run: Any, runtimes: Any, three: Any
) -> None:
    three[0].ends = {5: lost()}
    result = on_nodes(three[:1], *ARGUMENTS, runtimes=runtimes)
    assert result.exit_code == 2
    assert "no node is left for it (the actor died); --resume goes on from here" in result.stderr
    kept = [line.split(",")[0] for file in Path("run").glob("accuracy/*paddle*.top5") for line in file.open()][1:]
    assert 0 < len(kept) < 21
    for where in (run, lambda *arguments, **given: on_nodes(three[1:], *arguments, **given)):
        again = where(*ARGUMENTS, "--resume", runtimes=runtimes)
        assert record(again) == record(alone)


def test_a_local_run_goes_on_over_nodes(alone: Any, on_nodes: Any, runtimes: Any, three: Any) -> None:
    Path("alone").rename("run")
    Path("run/results.jsonl").unlink()
    Path("run/.accuracy-unfinished").touch()
    for file in Path("run").glob("accuracy/*.top5"):
        lines = file.read_text().splitlines(keepends=True)
        file.write_text("".join(lines[:9]))  # the machine, and seven images
    Path("run/results.jsonl").touch()
    result = on_nodes(three, *ARGUMENTS, "--resume", runtimes=runtimes)
    assert "7 of 21 images are already in run" in result.stderr
    assert record(result) == record(alone)


def test_other_processors_are_said(alone: Any, on_nodes: Any, runtimes: Any) -> None:
    nodes = [MadeUpPlace("a", "AMD EPYC"), MadeUpPlace("b", "Intel Xeon", cores=4, blind=True)]
    result = on_nodes(nodes, *ARGUMENTS, runtimes=runtimes)
    found = record(result)
    assert found["outcomes"] == record(alone)["outcomes"]
    assert found["threads"] is None
    kinds = {name.split(" [")[0]: name.rpartition(", ")[2] for name in found["machines"]}
    assert kinds == {"AMD EPYC, 2 cores": "2 threads", "Intel Xeon, 4 cores": "4 threads"}
    assert sum(found["machines"].values()) == 21


def test_another_version_of_a_runtime_is_kept_out(alone: Any, on_nodes: Any, runtimes: Any, three: Any) -> None:
    three[1].runtimes = {"ort-cpu": {"version": "0.1"}}
    result = on_nodes(three, *ARGUMENTS, runtimes=runtimes)
    assert " fp32 on ort-cpu: not on" in result.stderr
    assert "its ort-cpu is 0.1, and the others' is" in result.stderr
    assert record(result, 1) == record(alone, 1)


def test_the_version_is_that_of_most_nodes(on_nodes: Any, runtimes: Any, make_set: Any, three: Any) -> None:
    make_set(range(10), range(10))
    for node in three[:2]:
        node.runtimes = {"paddle": {"version": "9.9"}}
    result = on_nodes(three, *ARGUMENTS, runtimes=runtimes[:1])
    assert record(result)["runtime_version"] == "9.9"
    assert (three[2].shards, result.exit_code) == (0, 0)


def test_a_runtime_that_is_no_distribution_has_no_version(
    on_nodes: Any, runtimes: Any, make_set: Any, three: Any
) -> None:
    """As a server that is asked has none."""
    make_set(range(10), range(10))
    for node in three:
        node.runtimes = {"paddle": {"version": None}}
    result = on_nodes(three, *ARGUMENTS, runtimes=[dataclasses.replace(runtimes[0], distributions=())])
    assert (result.exit_code, record(result)["top1"]) == (0, 1), result.stderr


def test_paddle_runs_where_it_is(alone: Any, on_nodes: Any, runtimes: Any, three: Any) -> None:
    for node in three[1:]:
        node.runtimes = {"paddle": {"available": False, "reason": "paddlepaddle cannot be imported"}}
    result = on_nodes(three, *ARGUMENTS, runtimes=runtimes)
    assert " fp32 on paddle: not on" in result.stderr
    for place in (0, 1):
        assert record(result, place) == record(alone, place)


def test_a_runtime_that_no_node_has(on_nodes: Any, runtimes: Any, make_set: Any, three: Any) -> None:
    make_set(range(4), range(4))
    for node in three:
        node.runtimes = {"paddle": {"available": False, "reason": "paddlepaddle cannot be imported"}}
    result = on_nodes(three, *ARGUMENTS, "--runtime", "paddle", runtimes=runtimes)
    assert result.exit_code == 2
    assert "runtime paddle is available on no node" in result.stderr
    assert "paddlepaddle cannot be imported" in result.stderr


def test_a_node_that_computes_in_another_precision_is_kept_out(
    alone: Any, on_nodes: Any, runtimes: Any, three: Any
) -> None:
    def lower(answer: dict[str, Any]) -> dict[str, Any]:
        if answer["kind"] == "opened":
            answer["effective"]["precision"] = "bf16"
        return answer

    three[0].change = lower
    result = on_nodes(three[:2], *ARGUMENTS, runtimes=runtimes)
    assert "paddle computed in bf16 instead of fp32" in result.stderr
    assert record(result) == record(alone)
    assert three[0].shards == 0


def test_other_decoders_are_kept_out(alone: Any, on_nodes: Any, runtimes: Any, three: Any) -> None:
    def older(answer: dict[str, Any]) -> dict[str, Any]:
        if answer["kind"] == "about":
            answer["decoders"]["OpenCV"] = "3.0"
        return answer

    three[0].change = older
    result = on_nodes(three[:2], *ARGUMENTS, runtimes=runtimes)
    assert "its OpenCV is 3.0, and here it is" in result.stderr
    assert record(result) == record(alone)
    assert three[0].shards == 0


def test_a_runtime_that_breaks_everywhere_has_failed(
    on_nodes: Any, make_runtime: Any, identity: Best, make_set: Any, three: Any
) -> None:
    make_set(range(10), range(10))

    def breaks(shown: int) -> np.ndarray:
        if shown == 6:
            raise ValueError("no 6")
        return identity(shown)

    broken, good = make_runtime("ort-cpu", breaks), make_runtime("paddle", identity)
    result = on_nodes(three, *ARGUMENTS, runtimes=[good, broken])
    assert result.exit_code == 1
    failed = record(result, 1)
    assert (failed["status"], failed["reason"], failed["outcomes"]) == ("failed", "ValueError: no 6", None)
    assert record(result, 0)["top1"] == 1


class TestUnreadable:
    @pytest.mark.parametrize("blind", [True, False])
    def test_as_many_as_allowed_are_left_out(
        self, run: Any, on_nodes: Any, runtimes: Any, make_set: Any, blind: bool
    ) -> None:
        folder = make_set([0, None, *range(2, 10)], range(10))
        (folder / "image 5.png").write_bytes(b"")
        allowed = [*ARGUMENTS, "--max-unreadable", "2"]
        alone = run(*[one if one != "run" else "alone" for one in allowed], runtimes=runtimes)
        result = on_nodes([MadeUpPlace("a", blind=blind)], *allowed, runtimes=runtimes)
        assert record(result) == record(alone)
        said = [sorted(line for line in one.stderr.splitlines() if "left out: " in line) for one in (alone, result)]
        assert [line for line in said[1] if "node 99" not in line] == said[0]
        assert len(said[0]) == 2

    def test_one_too_many_ends_it(self, on_nodes: Any, runtimes: Any, make_set: Any, three: Any) -> None:
        make_set([0, None, *range(2, 10)], range(10))
        result = on_nodes(three, *ARGUMENTS, runtimes=runtimes)
        assert result.exit_code == 2
        assert "`--max-unreadable N` goes on without up to N images" in result.stderr


def test_folders_of_this_machine_are_refused(on_nodes: Any, runtimes: Any, make_set: Any, three: Any) -> None:
    make_set(range(4), range(4))
    result = on_nodes(three, *ARGUMENTS, "--cache-images", "kept", runtimes=runtimes)
    assert (result.exit_code, "--cache-images beside --cluster" in result.stderr) == (2, True)


def test_answers_of_a_cluster_are_those_of_one_machine(alone: Any, on_nodes: Any, runtimes: Any, three: Any) -> None:
    on_nodes(three, *ARGUMENTS, "--runtime", "paddle", runtimes=runtimes)
    answers = answers_file(Path("run"))
    assert len(answers) == 21
    (file,) = Path("alone").glob("accuracy/*paddle*.top5")
    assert answers == file.read_text().splitlines()[2:]
