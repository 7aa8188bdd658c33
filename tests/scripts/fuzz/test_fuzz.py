"""`make fuzz`: some inputs of each quick target, and that a fault is found and kept."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from convert.common.errors import InputError
from scripts.fuzz import __main__ as command
from scripts.fuzz import mutations, worker
from scripts.fuzz.target import Target

QUICK = ("growing", "specs", "inference.yml", "sets", "jpegs")


def written(folder: Path) -> None:
    (folder / "one").mkdir()
    (folder / "one" / "a.json").write_text(json.dumps({"a": 1, "checksum": "0"}))


def look(folder: Path) -> str:
    """Takes what is as it was, and has a fault of each kind for what is not."""
    text = (folder / "a.json").read_text(errors="replace")
    if text == json.dumps({"a": 1, "checksum": "0"}):
        return text
    if "checksum" not in text:
        raise InputError("no checksum")
    if len(text) > 500:
        raise MemoryError
    if len(text) % 2:
        raise KeyError(text)
    return text


@pytest.fixture
def target(monkeypatch: pytest.MonkeyPatch) -> Target:
    found = Target("toy", written, look, told=lambda folder: True)
    monkeypatch.setattr(worker, "known", lambda: {"toy": found})
    monkeypatch.setattr(worker, "_limit_memory", lambda gigabytes: None)
    return found


def answers(tmp_path: Path, names: Iterator[str], target: str = "toy") -> list[dict[str, str]]:
    payload = {"target": target, "good": str(tmp_path / "good"), "work": str(tmp_path / "work")}
    found = worker.serve(payload, names)
    next(found)
    return list(found)


def test_each_kind_of_fault_is_told(target: Target, tmp_path: Path) -> None:
    said = {one["said"] for one in answers(tmp_path, (f"toy-{number}" for number in range(200)))}
    assert said == {"refused", "memory", "traceback", "believed"}


def test_the_same_name_is_the_same_input(target: Target, tmp_path: Path) -> None:
    first, second = (answers(tmp_path / one, iter(["toy-7"])) for one in "ab")
    assert first[0]["said"] == second[0]["said"]
    same = [(tmp_path / one / "work" / "one" / "a.json").read_bytes() for one in "ab"]
    assert same[0] == same[1]


@pytest.mark.parametrize("name", QUICK)
def test_some_inputs_of_the_quick_targets(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "_limit_memory", lambda gigabytes: None)  # it would be this process's
    for one in answers(tmp_path, (f"{name}-test-{number}" for number in range(25)), name):
        assert one["said"] in (worker.OK, worker.REFUSED), one["found"]


@pytest.mark.parametrize("suffix", [".json", ".jsonl", ".toml", ".bin"])
def test_files_of_every_kind_are_changed(tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"a{suffix}"
    text = 'a = 1\n[b]\nc = "d"\n' if suffix == ".toml" else '{"a": [1, {"b": null}], "crc": "0"}\n{"c": 2}\n'
    found = set()
    for number in range(60):
        file.write_text(text)
        mutations.mutate(file, random.Random(number))
        found.add(file.read_bytes())
    assert len(found) > 40


def test_the_command(tmp_path: Path) -> None:
    words = ["--target", "specs", "--seconds", "0", "--out", str(tmp_path / "faults")]
    result = CliRunner().invoke(command.main, words)
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[-1].split()[:2] == ["specs", "0"]
    assert CliRunner().invoke(command.main, ["--target", "nothing"]).exit_code == 2


def test_a_fault_is_kept_and_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fault(self: command.Fuzzer, name: str) -> tuple[str, str]:
        self.work.mkdir(exist_ok=True)
        (self.work / "input").write_text(name)
        return "traceback", 'Traceback\n  File "x.py", line 3, in f\nKeyError: 1'

    monkeypatch.setattr(command.Fuzzer, "start", lambda self: None)
    monkeypatch.setattr(command.Fuzzer, "look", fault)
    words = ["--target", "specs", "--most", "3", "--out", str(tmp_path / "faults")]
    result = CliRunner().invoke(command.main, words)
    assert result.exit_code == 1
    assert 'specs: traceback: KeyError: 1 File "x.py", line 3, in f' in result.stderr
    assert result.stdout.splitlines()[-1].split()[1] == "3"
    (kept,) = (tmp_path / "faults").iterdir()  # the same fault three times
    assert {file.name for file in kept.iterdir()} == {"input", "fault.txt"}


def test_a_process_that_dies_is_a_crash_and_the_next_one_goes_on(tmp_path: Path) -> None:
    fuzzer = command.Fuzzer("specs", tmp_path)
    assert fuzzer._worker
    fuzzer._worker.process.kill()
    assert fuzzer.look("specs-0")[0] == "crash"
    assert fuzzer.look("specs-1")[0] in ("ok", "refused")
    fuzzer.close()
