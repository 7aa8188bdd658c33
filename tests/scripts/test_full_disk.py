"""What the script takes for a broken promise; the disks themselves need a file system of their own."""

from __future__ import annotations

from pathlib import Path
from subprocess import CompletedProcess

import pytest

from scripts.full_disk import _WORDS, commands, faults

FULL = ("no space left",)
RECORD = b'{"kind": "latency"}'


def ended(status: int, said: str = "") -> CompletedProcess[str]:
    return CompletedProcess([], status, "", said)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "results.jsonl").write_bytes(RECORD + b"\n")
    return tmp_path


@pytest.mark.parametrize(
    ("status", "said", "words"),
    [
        (0, "", "exit 0 without report.md"),
        (1, "no space left", "exit 1"),
        (2, "error: damaged JSON", "exit 2: error: damaged JSON"),
        (2, "Traceback\nNo space left", "a traceback"),
        (2, "error: No space left", None),
    ],
)
def test_a_command_says_what_it_lacks(place: Path, status: int, said: str, words: str | None) -> None:
    assert faults(place, [RECORD], ended(status, said), {"report.md"}, FULL) == ([words] if words else [])


@pytest.mark.parametrize(
    ("file", "content", "words"),
    [
        ("plan.json", b'{"a": ', "plan.json is damaged"),
        ("visits.jsonl", b'{"a": 1}\n{"b"', "visits.jsonl has a damaged line"),
        ("results.jsonl", b"", "records are lost"),
        (".report.md.12-34~x", b"", ".report.md.12-34~x is left"),
    ],
)
def test_what_is_damaged_or_left_is_named(place: Path, file: str, content: bytes, words: str) -> None:
    (place / "results" / file).write_bytes(content)
    assert faults(place, [RECORD], ended(2, "no space left"), set(), FULL) == [words]


def test_every_command_that_writes_is_tried(tmp_path: Path) -> None:
    tried = {words[0] for words in commands(*[tmp_path] * 5).values()}
    assert tried == {
        *("convert", "validate.parity", "validate.bisect", "validate.accuracy", "validate.search", "runtimes.bench"),
        *("reports", "reports.compare", "reports.export"),
    }
    assert all(one == one.lower() for words in _WORDS.values() for one in words)
