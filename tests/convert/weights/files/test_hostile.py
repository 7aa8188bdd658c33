"""Hostile files end in one line or in tensors: no crash, no flood of memory, nothing that runs."""

from __future__ import annotations

import pickle
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from convert.common import worker
from convert.common.errors import InputError
from convert.weights import checkpoints
from convert.weights.files import scan
from scripts.fuzz.mutations import mutated
from scripts.fuzz.targets.weights import HOSTILE, good, load


def outcome(path: Path) -> str:
    """`tensors` or `refused`, in a line; whatever else a file leads to is raised."""
    try:
        load(checkpoints.read(path))
    except InputError as error:
        return "refused" if error.message.isprintable() else error.message
    return "tensors"


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files(isolated: None, tmp_path: Path, name: str) -> None:
    path = tmp_path / "a.pdparams"
    path.write_bytes(HOSTILE[name]())
    assert outcome(path) in ("tensors", "refused")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("a list copied 20,000 times", "copies more"),
        ("a dictionary made 20,000 times", "copies more"),
        ("a shape of a million digits", "an integer of 1000000 bytes"),
        ("a number of a million digits", "a line without an end"),
        ("millions of instructions", "more instructions"),
        ("too many tensors", "more than 50000 tensors"),
        ("a length that is a lie", "ends within"),
        ("an npz header of 4 GiB", "a header of 4294967295 bytes"),
        ("a deep tuple as a shape", "a shape that is no list"),
    ],
)
def test_budgets_have_their_words(tmp_path: Path, name: str, words: str) -> None:
    path = tmp_path / "a.pdparams"
    path.write_bytes(HOSTILE[name]())
    with pytest.raises(InputError, match=words):
        checkpoints.read(path)


@pytest.mark.parametrize("name", good())
def test_mutated_files(tmp_path: Path, name: str) -> None:
    chance, path = random.Random(name), tmp_path / "a.pdparams"
    found = set()
    for _ in range(120):
        path.write_bytes(mutated(good()[name], chance))
        found.add(outcome(path))
    assert found <= {"tensors", "refused"}
    assert "refused" in found


@pytest.mark.parametrize("name", ["a.npz", "torch_zip.pth"])
def test_a_changed_value_in_an_archive_is_found(tmp_path: Path, name: str) -> None:
    """Both have a checksum of each member."""
    data, path = bytearray(good()[name]), tmp_path / "a.pth"
    path.write_bytes(data)
    table = checkpoints.read(path).tables[0]
    (span,) = scan.index(path).dicts[0].tensors[next(iter(table.tensors))].spans
    data[span.start + span.length - 1] ^= 1
    path.write_bytes(data)
    with pytest.raises(Exception, match="checksum"):
        next(iter(checkpoints.read(path).tables[0].tensors.values())).load()


@pytest.mark.parametrize("name", ["bloc\u00a0k", "a\x1b[2J", "a\nok: converted"])
def test_names_out_of_a_file_stay_on_the_line(tmp_path: Path, name: str) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, **{name: np.ones(1)})  # type: ignore[arg-type]
    path.write_bytes(path.read_bytes().replace(b"NUMPY", b"NUMPI"))
    for content in (path.read_bytes(), pickle.dumps({name: 1}), b"\x80\x04c" + name.encode()[:3] + b"\n\x1beval\n."):
        path.write_bytes(content)
        with pytest.raises(InputError) as caught:
            checkpoints.read(path)
        assert caught.value.message.isprintable()


def greedy(payload: dict[str, Any]) -> int:
    scan._limit()
    return len(bytearray(payload["bytes"]))


def test_the_process_has_little_memory(isolated: None) -> None:
    pytest.importorskip("resource")
    assert worker.call(f"{__name__}:greedy", {"bytes": scan.MEMORY // 2}, 60) == scan.MEMORY // 2
    with pytest.raises(worker.JobError, match="MemoryError"):
        worker.call(f"{__name__}:greedy", {"bytes": 2 * scan.MEMORY}, 60)


@pytest.mark.parametrize(
    "error", [worker.CrashError(-11, "", None), worker.JobError("took longer than 1 s"), worker.JobError("MemoryError")]
)
def test_whatever_ends_the_process_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: worker.JobError
) -> None:
    def call(*_: Any) -> None:
        raise error

    monkeypatch.setattr(worker, "call", call)
    with pytest.raises(InputError, match=r"a\.bin: damaged or hostile: looking into it was given up \(.+\)") as caught:
        checkpoints.read(tmp_path / "a.bin")
    assert caught.value.exit_code == 2
