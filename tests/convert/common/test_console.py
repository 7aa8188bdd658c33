from __future__ import annotations

import json

import pytest
from rich.console import Console
from rich.table import Table

from convert.common.console import log_lines, plain, say, say_json, say_log

EVIL = "n\x1b[2J\nok: converted\r\x9b31m\u202e [red]x[/red] 中文"


def test_what_is_said_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    say(EVIL)
    say("")
    say("a" * 3_000_000)
    first, second = capsys.readouterr().err.splitlines()
    assert first == r"n\x1b[2J\nok: converted\r\x9b31m\u202e [red]x[/red] 中文"
    assert len(second) < 5000


def test_no_line_of_a_log_looks_like_one_of_ours(capsys: pytest.CaptureFixture[str]) -> None:
    say_log(f"begin\n{EVIL}\n{'b' * 100_000}\n")
    lines = capsys.readouterr().err.split("\n")[:-1]
    assert lines[0] == "| begin"
    assert lines[2] == r"| ok: converted"
    assert all(line.startswith("| ") and line.isprintable() and len(line) < 1100 for line in lines)
    assert log_lines("\n".join(map(str, range(1000))))[::60] == ["| ...", "| 999"]
    assert log_lines("") == []


def test_an_entry_of_a_table_is_text(capsys: pytest.CaptureFixture[str]) -> None:
    table = Table("name")
    table.add_row(plain(EVIL))
    table.add_row(plain("c" * 50_000))
    Console(width=1000).print(table)
    text = capsys.readouterr().out
    assert r"\x1b[2J\nok: converted" in text
    assert "[red]x[/red]" in text
    assert len(text) < 10_000
    assert all(line.isprintable() for line in text.splitlines())


def test_a_json_document_steers_no_terminal_and_holds_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    say_json({EVIL: ["\u2028\x7f\ufeff", "é"]})
    text = capsys.readouterr().out
    assert all(line.isprintable() for line in text.splitlines())
    assert '"é"' in text
    assert json.loads(text) == {EVIL: ["\u2028\x7f\ufeff", "é"]}
