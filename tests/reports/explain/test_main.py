"""The command: what it prints where, and its exit status."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from convert.common import language
from reports.explain.__main__ import main

STORED = Path(__file__).parents[1] / "data" / "explain"
README = STORED / "readme"


def run(*arguments: Any) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_a_row_for_each_cause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    result = run(README, "--runtime", "openvino")
    assert result.exit_code == 0, result.output
    assert "TensorRT fp32, batch 1: 5.29 ms; 11.3 times as long" in result.stdout
    assert "times as long; by all else" in result.stdout
    (threads,) = [line for line in result.stdout.splitlines() if line.startswith("│ threads ")]
    assert [cell.strip() for cell in threads.split("│")[1:3]] == ["threads", "no"]
    assert "the published page does not say" in " ".join(result.stdout.split())
    assert not result.stderr


def test_json_stands_alone_on_standard_output() -> None:
    result = run(STORED / "one_thread", STORED / "two_threads", "--json")
    found = json.loads(result.stdout)
    assert (result.exit_code, result.stderr) == (0, "")
    assert found["times"] == pytest.approx(251 / 134)
    assert found["left"] == pytest.approx(251 / 134 / 2)
    assert found["run"]["median_ms"] == 251
    causes = {one["name"]: one for one in found["causes"]}
    assert causes["threads"] == {
        "name": "threads",
        "known": True,
        "run": "1 on 2 cores",
        "published": "2 on 2 cores",
        "times": 2.0,
        "note": "at the most: were the speed to grow with them",
    }
    page = json.loads(run(README, "--runtime", "openvino", "--json").stdout)
    assert page["published"]["page"] is True
    assert {one["name"]: one["published"] for one in page["causes"]}["clocks"] is None


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((README,), "latencies fit alike"),
        ((README, "--runtime", "mnn"), "no latency of runtime mnn is there"),
        ((README, "A100", "--runtime", "openvino"), "nor a published column"),
        ((README / "nowhere",), "nowhere"),
    ],
)
def test_bad_input_is_one_line(arguments: tuple[Any, ...], said: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert result.stderr.startswith("error: ")
    assert said in result.stderr
    assert result.stderr.count("\n") == 1
    assert not result.stdout


def test_it_speaks_chinese(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    with language.speaking("en"):  # what --lang chooses holds for the rest of the process
        text = run(README, "--runtime", "openvino", "--lang", "zh").stdout
    for said in ("公布数据的页面没有说明", "线程数", "机器的上限", "按可计算的部分，用时为 1 倍"):
        assert said in text
