"""Appended lines survive a kill: whole or absent."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convert.common.disk import json_lines as lines

TABLES = st.dictionaries(
    st.text(), st.one_of(st.none(), st.integers(-(2**63), 2**64 - 1), st.text(), st.lists(st.floats(0, 1)))
)


@settings(deadline=None)  # each line is synced to the disk
@given(st.lists(TABLES, min_size=1, max_size=5), st.data())
def test_what_a_kill_cut_off_is_dropped_and_the_rest_stays(
    tmp_path_factory: pytest.TempPathFactory, tables: list[dict[str, Any]], data: st.DataObject
) -> None:
    file = tmp_path_factory.mktemp("lines") / "a" / "x.jsonl"
    for table in tables:
        lines.append(file, table)
    assert lines.read(file) == tables
    whole = file.read_bytes()
    last = whole.rstrip(b"\n").rfind(b"\n") + 1
    cut = data.draw(st.integers(last, len(whole) - 2))
    file.write_bytes(whole[:cut])
    lines.append(file, {"new": 1})
    assert lines.read(file) == [*tables[:-1], {"new": 1}]


def test_a_last_line_without_an_end_is_kept(tmp_path: Path) -> None:
    file = tmp_path / "x.jsonl"
    file.write_text('{"a": 1}')
    lines.append(file, {"b": 2})
    assert file.read_text().startswith('{"a": 1}\n{"b": 2, "crc": "')
    assert lines.read(file) == [{"a": 1}, {"b": 2}]


def test_damage_in_the_middle_is_passed_over(tmp_path: Path) -> None:
    file = tmp_path / "x.jsonl"
    assert lines.read(file) == []
    file.write_bytes(b'{"a": 1}\n\xff\xfe\n[1]\n' + b"[" * 100_000 + b'\n{"b": 2}\n')
    assert lines.read(file) == [{"a": 1}, {"b": 2}]


def test_no_nan_reaches_the_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        lines.append(tmp_path / "x.jsonl", {"a": float("nan")})
    assert lines.read(tmp_path / "x.jsonl") == []


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("7.25", "6.25"),
        lambda text: text.replace("vit", "vjt"),
        lambda text: text.replace(", ", ","),
        lambda text: text.replace('"crc": "', '"crc": "0'),
    ],
)
def test_a_line_that_somebody_altered_is_damaged(tmp_path: Path, change: Callable[[str], str]) -> None:
    file = tmp_path / "x.jsonl"
    for table in ({"median": 7.25, "model": "vit, é\ud800"}, {"b": 2}):
        lines.append(file, table)
    first, second, _ = file.read_text().split("\n")
    assert lines.parse(first) == {"median": 7.25, "model": "vit, é\ud800"}
    assert change(first) != first
    file.write_text(f"{change(first)}\n{second}\n")
    assert lines.read(file) == [{"b": 2}]


@pytest.mark.parametrize("number", ["1e999", "-1E+400", "9" * 400, "9" * 5000, "9" * 400 + ".5", str(2**64), "NaN"])
def test_numbers_that_nothing_holds_are_no_json(number: str) -> None:
    assert lines.parse(f'{{"a": [{number}]}}') is None


@pytest.mark.parametrize("number", [2**64 - 1, -(2**63), 1.7e308, 1e-320, 12345678901234567890, 0.1234567890123456789])
def test_large_numbers_that_there_are(number: float) -> None:
    assert lines.parse(f'{{"a": {number!r}}}') == {"a": number}
