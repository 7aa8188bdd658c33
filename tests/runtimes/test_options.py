from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from runtimes import registry
from runtimes.base import Options
from runtimes.options import Selection, session_options


def given(*arguments: str) -> tuple[Result, Selection | None]:
    seen: list[Selection] = []

    @click.command()
    @session_options
    def command(selection: Selection, out: Path | None) -> None:
        seen.append(selection)

    result = CliRunner().invoke(command, arguments)
    return result, seen[0] if seen else None


def test_each_option_reaches_the_session_and_the_command_that_repeats_it() -> None:
    result, selection = given(
        *("--runtime", "openvino,paddle", "--device", "cpu", "--threads", "2", "--streams", "3", "--cache", "kept"),
        *("--option", "paddle.kernels=plain"),
    )
    assert result.exit_code == 0, result.output
    assert selection is not None
    openvino, paddle = selection.runtimes
    assert selection.options(openvino, "fp32", [1, 4]) == Options("fp32", "CPU", 2, 3, (1, 4), "kept", {})
    assert selection.options(paddle, "fp32").extra == {"kernels": "plain"}
    assert selection.arguments([paddle]) == {
        "runtime": "paddle",
        "device": "CPU",
        "threads": 2,
        "streams": 3,
        "cache": Path("kept"),
        "option": ["paddle.kernels=plain"],
    }
    assert selection.arguments([openvino])["option"] == []


@pytest.mark.parametrize("threads", ["4", "99999999999"])
def test_more_threads_than_cores_are_refused(threads: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runtimes.options.usable_cores", lambda: 3)
    result, _ = given("--runtime", "openvino", "--threads", threads)
    assert result.exit_code == 2
    assert result.output == (
        f"error: --threads {threads}: this machine has 3 cores usable; give 3 at most, or leave --threads out\n"
    )
    assert given("--runtime", "openvino", "--threads", "3")[1] is not None


def test_without_options_each_runtime_has_its_own_device() -> None:
    gpu = registry.get("ort-cuda")
    selection = Selection([gpu, registry.get("paddle")], named=False)
    assert [selection.options(runtime, "fp32").device for runtime in selection.runtimes] == ["GPU", "CPU"]


def test_a_runtime_that_nobody_named_is_left_out_where_it_lacks_the_precision() -> None:
    runtimes = [registry.get("paddle"), registry.get("ort-cuda")]
    assert [r.name for r in Selection(runtimes, named=False).having("tf32")] == ["ort-cuda"]
    assert Selection(runtimes, named=True).having("tf32") == runtimes


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--device", "TPU"], "--device 'TPU': CPU, GPU, NPU, or with a number as in GPU.1"),
        (["--device", "NPU.7"], "no runtime is available here on NPU.7"),
        (["--option", "plain"], "--option 'plain': RUNTIME.KEY=VALUE is needed, as in paddle.kernels=plain"),
        (["--option", "padle.kernels=plain"], "unknown runtime padle; there are paddle, ort-cpu"),
        (["--option", "paddle.speed=high"], "paddle knows no option speed: it knows kernels"),
        (["--option", "paddle.kernels=fast"], "paddle.kernels=fast: default|plain is needed"),
        (["--runtime", "ort-cpu", "--option", "paddle.kernels=plain"], "paddle is not among the runtimes of this run"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(arguments: list[str], reason: str) -> None:
    result, selection = given(*arguments)
    assert (result.exit_code, selection) == (2, None)
    assert reason in result.output
    assert result.output.count("\n") == 1


def test_the_command_keeps_its_own_options(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, Any] = {}

    @click.command()
    @session_options
    @click.option("--batch")
    def command(selection: Selection, out: Path | None, batch: str) -> None:
        """What it does."""
        seen.update(out=out, batch=batch)

    assert CliRunner().invoke(command, ["--batch", "4", "--out", "here", "--runtime", "paddle"]).exit_code == 0
    assert seen == {"out": Path("here"), "batch": "4"}
    assert "What it does." in CliRunner().invoke(command, ["--help"]).output
