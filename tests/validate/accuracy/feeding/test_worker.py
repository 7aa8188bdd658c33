"""Real processes: what a runtime does to its own stays there, and what a kill cuts off goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import psutil
import pytest

from convert.artifact import Artifact
from convert.cli import Asked
from convert.common.disk.json_lines import parse
from convert.datasets import load
from convert.datasets.options import SetOptions
from convert.model_options import ModelOptions
from runtimes import registry
from runtimes.options import Selection
from runtimes.records import store
from validate.accuracy.evaluation import Settings, make
from validate.accuracy.feeding import passes, worker
from validate.accuracy.feeding.passes import Listener, Measurement

RUNTIMES = ("good", "crashing", "chatty", "hanging", "slow", "needy")


@pytest.fixture
def third_party(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """`third_party.py` as a package that somebody has installed, in this process and in those that it starts."""
    site = tmp_path / "site"
    about = site / "fakes-1.0.dist-info"
    about.mkdir(parents=True)
    (site / "third_party.py").write_text(Path(__file__).with_name("third_party.py").read_text())
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: fakes\nVersion: 1.0\n")
    lines = [f"{name} = third_party:{name.upper()}" for name in RUNTIMES]
    (about / "entry_points.txt").write_text("\n".join([f"[{registry.ENTRY_POINTS}]", *lines, ""]))
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep))
    registry._found.cache_clear()
    yield
    registry._found.cache_clear()
    sys.modules.pop("third_party", None)


@pytest.fixture
def numbered(tmp_path: Path, toy_artifact: Artifact) -> Callable[[int], Path]:
    """A list of so many images, the n-th of which shows n, with 9 of 10 labels right for a runtime that names it."""

    def made(count: int) -> Path:
        folder = tmp_path / "set"
        folder.mkdir()
        lines = []
        for n in range(count):
            shown = n % 200
            assert cv2.imwrite(str(folder / f"{n}.bmp"), np.full((32, 32, 3), (0, 0, shown), np.uint8))
            lines.append(f"{n}.bmp {(shown + (n % 10 == 0)) % toy_artifact.classes}\n")
        (folder / "val_list.txt").write_text("".join(lines))
        return folder

    return made


@pytest.fixture
def go(toy_artifact: Artifact, tmp_path: Path, third_party: None) -> Callable[..., tuple[list[Measurement], list[str]]]:
    """Cells of third-party runtimes on a set, in processes of their own; and what was logged of those that ended."""

    def made(folder: Path, *names: str) -> tuple[list[Measurement], list[str]]:
        runtimes = [registry.get(name) for name in names]
        settings = Settings(Selection(runtimes, True), SetOptions(folder), batch=4)
        logs: list[str] = []
        runs = []
        for runtime in runtimes:
            evaluation = make(Asked("toy", ModelOptions(), toy_artifact), runtime, "fp32", load(folder), settings)
            runs.append(Measurement(evaluation, tmp_path / f"{runtime.name}.top5", evaluation.key(settings)))
        passes.go(runs, 0, {}, Listener(ended=lambda run, log: logs.append(log)))
        return runs, logs

    return made


def outcomes(run: Measurement) -> str:
    assert run.ranked
    return run.ranked.outcomes(run.evaluation.dataset.labels)


class TestWorkers:
    def test_a_crash_is_a_reason_and_the_others_go_on(self, go: Any, numbered: Any) -> None:
        children = set(psutil.Process().children())
        (before, crashing, after), logs = go(numbered(30), "good", "crashing", "chatty")
        assert (crashing.status, crashing.reason) == ("failed", "the process was ended by SIGSEGV")
        assert crashing.known.sum() == 8  # its first run was on zeros, its fourth crashed
        assert len(logs) == 1
        for run in (before, after):
            assert run.status == "ok"
            assert outcomes(run).count("1") == 27
        assert set(psutil.Process().children()) <= children  # nodes of a cluster may be among them

    def test_what_is_printed_stays_there(self, go: Any, numbered: Any, capfd: pytest.CaptureFixture[str]) -> None:
        (run,), _ = go(numbered(5), "chatty")
        assert run.status == "ok"
        assert capfd.readouterr() == ("", "")

    def test_one_that_hangs_is_stopped(self, go: Any, numbered: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(worker, "BATCH_TIMEOUT_S", 1.0)
        children = set(psutil.Process().children())
        (hanging, good), _ = go(numbered(20), "hanging", "good")
        assert (hanging.status, hanging.reason) == ("failed", "took longer than 1 s and was stopped")
        assert hanging.known.sum() == 4
        assert outcomes(good).count("1") == 18
        assert set(psutil.Process().children()) <= children  # nodes of a cluster may be among them

    def test_variables_are_there_before_the_process_is(self, go: Any, numbered: Any) -> None:
        (run,), _ = go(numbered(2), "needy")
        assert run.effective.details == {"variable": f"{run.evaluation.options.thread_count()} threads"}
        assert "THIRD_PARTY" not in os.environ

    def test_a_real_runtime(self, go: Any, numbered: Any) -> None:
        (run,), _ = go(numbered(6), "ort-cpu")
        assert run.status == "ok"
        assert run.effective.precision == "fp32"
        assert run.known.all()


@pytest.fixture
def command(tmp_path: Path, toy_toml: Path, toy_root: Path, third_party: None) -> Callable[..., list[str]]:
    def made(folder: Path, out: str, *arguments: str) -> list[str]:
        words = [sys.executable, "-m", "validate.accuracy", "--images", str(folder), "--model", str(toy_toml)]
        words += ["--weights", "seeded:1", "--artifacts", str(toy_root), "--runtime", "slow,good", "--batch", "4"]
        return [*words, "--out", str(tmp_path / out), "--json", *arguments]

    return made


def test_killed_again_and_again(
    tmp_path: Path, toy_artifact: Artifact, numbered: Callable[[int], Path], command: Callable[..., list[str]]
) -> None:
    folder = numbered(600)
    (folder / "77.bmp").write_bytes(b"no image")
    allowed = ("--max-unreadable", "1")
    undisturbed = subprocess.run(command(folder, "whole", *allowed), capture_output=True, text=True, timeout=120)
    assert undisturbed.returncode == 0, undisturbed.stderr
    for answers in (1, 150, 400):
        process = subprocess.Popen(command(folder, "cut", "--resume", *allowed), stdout=subprocess.PIPE)
        _kill_at(process, tmp_path / "cut", answers)
    assert not (tmp_path / "cut" / store.RESULTS).exists()
    resumed = subprocess.run(command(folder, "cut", "--resume", *allowed), capture_output=True, text=True, timeout=120)
    assert resumed.returncode == 0, resumed.stderr
    assert "images are already in" in resumed.stderr
    expected, found = (json.loads(result.stdout)["records"] for result in (undisturbed, resumed))
    assert [record["runtime"] for record in found] == ["slow", "good"]
    for one, other in zip(expected, found, strict=True):
        same = {"time_utc": "", "command": ""}
        assert one | same == other | same
        assert (one["images"], one["unreadable"], one["unreadable_images"]) == (599, 1, ["77.bmp"])
        answers_of = [(tmp_path / run / one["ranked"]).read_text().splitlines() for run in ("whole", "cut")]
        assert sorted(answers_of[0]) == sorted(answers_of[1])  # image for image


def _kill_at(process: subprocess.Popen[bytes], folder: Path, answers: int) -> None:
    """End a command with SIGKILL once the slow runtime has answered so many images; its workers end by themselves."""
    deadline = time.monotonic() + 100
    while sum(len(file.read_bytes().splitlines()) for file in folder.glob("accuracy/*slow*.top5")) <= answers:
        assert process.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.005)
    workers = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert process.stdout
    process.stdout.close()
    _, left = psutil.wait_procs(workers, timeout=60)
    assert not left


def test_a_crash_in_the_command(
    tmp_path: Path, toy_artifact: Artifact, numbered: Callable[[int], Path], command: Callable[..., list[str]]
) -> None:
    words = command(numbered(30), "run", "--runtime", "crashing,chatty")
    result = subprocess.run(words, capture_output=True, text=True, timeout=120)
    assert result.returncode == 1
    crashed, good = json.loads(result.stdout)["records"]
    assert (crashed["status"], crashed["reason"]) == ("failed", "the process was ended by SIGSEGV")
    assert (good["status"], good["top1"]) == ("ok", 0.9)
    assert "Traceback" not in result.stderr
    assert result.stderr.splitlines()[-1].startswith("failed: accuracy: toy fp32 on crashing failed: the process was")
    assert [parse(line) for line in (tmp_path / "run" / store.RESULTS).read_text().splitlines()] == [crashed, good]
