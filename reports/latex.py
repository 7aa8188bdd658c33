r"""A report's tables as LaTeX: one file to \input, with booktabs' rules. It needs \usepackage{booktabs,longtable}."""

from __future__ import annotations

import sys
from collections.abc import Iterable

import pandas as pd

from reports.frames import Cell, Table
from reports.language import current, say
from reports.paging import agreed, pages
from reports.results import is_number
from reports.tables import Report

_SPECIAL = {
    **{char: f"\\{char}" for char in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    # Two of them in a row would become a dash, and a straight quote a curly one.
    "-": "{-}",
    '"': r"\textquotedbl{}",
    "`": r"\textasciigrave{}",
    # A bracket behind \\ would be taken for the argument of the line break.
    "[": "{[}",
    "]": "{]}",
    "–": "--",
    "×": r"\ensuremath{\times}",
    "≥": r"\ensuremath{\geq}",
    "≤": r"\ensuremath{\leq}",
    "†": r"\dag{}",
}


def render(report: Report) -> str:
    """All tables, in the report's order, each with its notes and its footnotes."""
    # Chinese needs its fonts, and XeLaTeX or LuaLaTeX.
    letters = "[T1]{fontenc}" if current() == "en" else "[UTF8]{ctex}"
    head = f"% Needs \\usepackage{letters} and \\usepackage{{booktabs,longtable}}."
    return "\n\n".join([head, *(_table(table) for table in report.tables)]) + "\n"


def escape(text: object) -> str:
    """Text that stays text: one line, and nothing in it is a command of LaTeX."""
    line = " ".join("".join(char if char.isprintable() else " " for char in str(text)).split())
    return "".join(_SPECIAL.get(char, char) for char in line)


def _table(table: Table) -> str:
    parts = [f"\\subsection*{{{escape(table.title)}}}"]
    parts += [_block(heading, frame) for heading, frame in pages(table, longest=sys.maxsize) if len(frame)]
    same = "; ".join(f"{name}: {cell.text}" for name, cell in agreed(table).items())
    notes = [*([say("The same in every row: {columns}.", columns=same)] if same else []), *table.notes]
    parts += [f"\\noindent {escape(note)}\\par" for note in notes]
    if table.footnotes:
        items = (f"\\item {escape(note)}" for note in table.footnotes)
        parts.append("\n".join(["\\begin{enumerate}", *items, "\\end{enumerate}"]))
    return "\n".join(parts)


def _block(heading: str, frame: pd.DataFrame) -> str:
    """A longtable, which may be longer than a page and repeats its head there."""
    columns = "".join("r" if _numeric(frame[name]) else "l" for name in frame.columns)
    head = _row(escape(name) for name in frame.columns)
    rows = [_row(map(_cell, row)) for row in frame.itertuples(index=False, name=None)]
    title = [f"\\noindent\\textbf{{{escape(heading)}}}\\par"] if heading else []
    return "\n".join(
        [
            *title,
            f"\\begin{{longtable}}{{@{{}}{columns}@{{}}}}",
            *("\\toprule", head, "\\midrule", "\\endhead"),
            *rows,
            *("\\bottomrule", "\\end{longtable}"),
        ]
    )


def _row(cells: Iterable[str]) -> str:
    return " & ".join(cells) + r" \\"


def _cell(cell: Cell) -> str:
    text = f"\\textbf{{{escape(cell.text)}}}" if cell.best else escape(cell.text)
    return f"{text}\\textsuperscript{{{', '.join(map(str, cell.notes))}}}" if cell.notes else text


def _numeric(cells: pd.Series) -> bool:
    numbers = sum(is_number(cell.value) for cell in cells)
    return 0 < sum(cell.value is not None for cell in cells) <= 2 * numbers
