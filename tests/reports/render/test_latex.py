"""The report as LaTeX: nothing in it escapes, and every row has as many cells as the table has columns."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.load import results
from reports.render import latex
from reports.tables import report as tables

COMMANDS = (
    r"\\(textbackslash|textasciitilde|textasciicircum|textless|textgreater|textbar|textquotedbl|textasciigrave|dag)\{\}"
)


@given(st.text())
def test_nothing_is_left_that_latex_would_obey(text: str) -> None:
    rest = re.sub(COMMANDS + r"|\\ensuremath\{\\(times|geq|leq)\}|\\[&%$#_{}]|\{[-\[\]]\}", "", latex.escape(text))
    assert not set(rest) & set('\\&%$#_{}~^<>|"`[]\n')


@pytest.mark.parametrize(
    ("text", "escaped"), [("50 % & a_b", r"50 \% \& a\_b"), ("1–2", "1--2"), ("\\end", r"\textbackslash{}end")]
)
def test_what_stands_there(text: str, escaped: str) -> None:
    assert latex.escape(text) == escaped


def shapes(text: str) -> list[tuple[str, list[str]]]:
    """What stands for the columns, and the rows, of each table of a LaTeX text."""
    found = re.findall(r"\\begin\{longtable\}\{@\{\}(.*)@\{\}\}\n((?:.*\n)*?)\\end\{longtable\}", text)
    return [(columns, [row for row in body.splitlines() if row.endswith(r" \\")]) for columns, body in found]


def number(columns: str) -> int:
    return columns.count(r"\linewidth") or len(columns)


def test_every_row_of_the_example_has_all_its_cells(example: Path) -> None:
    found = shapes(latex.render(tables.build(results.load(example))))
    assert len(found) > 10
    for columns, rows in found:
        assert len(rows) >= 2
        assert {len(re.findall(r"(?<!\\)&", row)) + 1 for row in rows} == {number(columns)}


def test_a_wide_table_takes_the_line_and_no_more(example: Path) -> None:
    shares = [
        [float(share) for share in re.findall(r"([\d.]+)\\linewidth", columns)]
        for columns, _ in shapes(latex.render(tables.build(results.load(example))))
    ]
    assert any(shares)
    assert all(sum(found) == pytest.approx(1, abs=0.001) and min(found) > 0.02 for found in shares if found)


def test_a_long_name_may_be_broken_and_a_number_may_not(make: Any, folder: Any) -> None:
    found = results.load(folder(make.parity(), make.latency(), environment={"os": {"a_b": "usr/lib-dev 1e-5"}}))
    text = latex.render(tables.build(found))
    assert r"a\_\allowbreak{}b & usr/\allowbreak{}lib{-}\allowbreak{}dev 1e{-}5 \\" in text


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="there is no pdflatex on the PATH")
@pytest.mark.parametrize("page", ["", r"\usepackage[landscape,margin=15mm]{geometry}"])
def test_it_compiles(example: Path, tmp_path: Path, page: str) -> None:
    (tmp_path / "report.tex").write_text(latex.render(tables.build(results.load(example))), encoding="utf-8")
    packages = rf"\usepackage[T1]{{fontenc}}\usepackage{{{latex.PACKAGES}}}{page}"
    document = rf"\documentclass[a4paper]{{article}}{packages}\begin{{document}}\input{{report}}\end{{document}}"
    (tmp_path / "main.tex").write_text(document, encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "main.tex"]
    for _ in range(3):  # longtable finds its columns' widths in the second and third run
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False, timeout=100)
    log = (tmp_path / "main.log").read_text(encoding="utf-8", errors="replace")
    assert done.returncode == 0, log[-2000:]
    # A character or two may stick out of a narrow column; a table must not stick out of the page.
    assert max(map(float, re.findall(r"Overfull \\hbox \(([\d.]+)pt", log)), default=0) < 15
