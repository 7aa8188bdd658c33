"""Markdown reports to the letter, of a stored example and of small results made in `cases.py`.

`golden.py` says how they are written anew.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from reports.load import results
from reports.render import markdown
from reports.tables import report as tables
from runtimes.records.kinds import Latency
from tests.reports import cases
from tests.reports.golden import DATA, UPDATE, check

HEAD = 120  # lines kept of a report that is too long to be kept whole


def report(paths: list[Path]) -> str:
    return markdown.render(tables.build(results.load(paths)))


def short(text: str) -> str:
    """The beginning of a long text, every heading of the rest with its number of lines, and the hash of all of it."""
    lines = text.splitlines()
    places = [place for place, line in enumerate(lines) if line.startswith("#") and place >= HEAD]
    ends = [*places[1:], len(lines)]
    headings = [f"{lines[place]} ({end - place} lines)" for place, end in zip(places, ends, strict=False)]
    return "\n".join([*lines[:HEAD], "...", *headings, f"sha256 {hashlib.sha256(text.encode()).hexdigest()}", ""])


def test_the_stored_example(example: Path) -> None:
    check(report([example]), DATA / "example.md")


@pytest.mark.parametrize("name", [name for name in cases.CASES if name != "wide"])
def test_a_small_report(name: str, tmp_path: Path) -> None:
    check(report(cases.folders(name, tmp_path)), DATA / f"{name}.md")


def test_the_735_cells(tmp_path: Path) -> None:
    folders = cases.folders("wide", tmp_path)
    assert len(results.load(folders).of(Latency)) == 7 * 7 * 5 * 3
    check(short(report(folders)), DATA / "wide.md")


def test_a_difference_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(UPDATE, raising=False)
    golden = tmp_path / "golden.md"
    golden.write_text("one\ntwo\nthree\n")
    check("one\ntwo\nthree\n", golden)
    with pytest.raises(pytest.fail.Exception, match=r"golden\.md \(UPDATE_GOLDEN=1 writes it anew\)[^$]*-two\n\+2\n"):
        check("one\n2\nthree\n", golden)
    with pytest.raises(pytest.fail.Exception, match=r"\+one"):
        check("one\n", tmp_path / "none.md")


def test_the_last_line_of_a_long_report_counts() -> None:
    long = "".join(f"line {number}\n" for number in range(500))
    assert short(long) != short(long + "\n")
    assert len(short(long).splitlines()) == HEAD + 2
    assert "## Last (2 lines)\nsha256 " in short(f"{long}## Last\nline\n")
