"""The report as LaTeX: nothing in it escapes, and every row has as many cells as the table has columns."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports import latex, results, tables

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


def test_every_row_of_the_example_has_all_its_cells(example: Path) -> None:
    text = latex.render(tables.build(results.load(example)))
    blocks = re.findall(r"\\begin\{longtable\}\{@\{\}([lr]+)@\{\}\}(.*?)\\end\{longtable\}", text, re.DOTALL)
    assert blocks
    for columns, body in blocks:
        rows = [line for line in body.splitlines() if line.endswith(r" \\")]
        assert len(rows) >= 2
        assert {len(re.findall(r"(?<!\\)&", row)) + 1 for row in rows} == {len(columns)}
