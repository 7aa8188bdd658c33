r"""A report's tables as LaTeX: one file to \input, with booktabs' rules.

A table that is wider than the page has columns of a share of \linewidth each, in which texts wrap. So it fits on any
page; on a landscape one it reads better.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable

from reports.language import current, say
from reports.render.paging import pages
from reports.tables.report import Report
from reports.tables.table import Entry, Table, TablePart
from reports.text import one_line

PACKAGES = "array,booktabs,longtable"
LINE = 96  # characters of the scriptsize font on a line of LaTeX's article, with some room: 345 pt at 3.4 pt each
GAP = 2  # characters between two columns

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
    head = f"% Needs \\usepackage{letters} and \\usepackage{{{PACKAGES}}}; wide tables read better on a landscape page."
    return "\n\n".join([head, *(_table(table) for table in report.tables)]) + "\n"


def escape(text: object) -> str:
    """Text that stays text: one line, and nothing in it is a command of LaTeX."""
    return "".join(_SPECIAL.get(char, char) for char in one_line(text))


def _table(table: Table) -> str:
    parts = [f"\\subsection*{{{escape(table.title)}}}"]
    parts += map(_block, pages(table, longest=sys.maxsize))
    same = "; ".join(f"{column.name}: {entry.text}" for column, entry in table.agreed().items())
    notes = [*([say("The same in every row: {columns}.", columns=same)] if same else []), *table.notes]
    parts += [f"\\noindent {escape(note)}\\par" for note in notes]
    if table.footnotes:
        items = (f"\\item {escape(note)}" for note in table.footnotes)
        parts.append("\n".join(["\\begin{enumerate}", *items, "\\end{enumerate}"]))
    return "\n".join(parts)


def _block(block: TablePart) -> str:
    """A longtable, which may be longer than a page and repeats its head there."""
    head = _row(_breakable(column.name) for column in block.columns)
    rows = [_row(map(_entry, row.entries)) for row in block.rows]
    title = [f"\\noindent\\textbf{{{escape(block.heading)}}}\\par"] if block.heading else []
    return "\n".join(
        [
            *title,
            "{\\scriptsize\\setlength{\\tabcolsep}{3pt}",
            f"\\begin{{longtable}}{{@{{}}{_columns(block)}@{{}}}}",
            *("\\toprule", head, "\\midrule", "\\endhead"),
            *rows,
            *("\\bottomrule", "\\end{longtable}}"),
        ]
    )


def _columns(block: TablePart) -> str:
    """What stands for the columns: `l` and `r` where a line has room for all, else a share of the line for each.

    A column gets at least its longest word, and of what is left by how much its texts would take on top.
    """
    right = [block.numeric(place) for place in range(len(block.columns))]
    texts = [[column.name, *map(_plain, block.entries(place))] for place, column in enumerate(block.columns)]
    whole = [max(map(len, column)) for column in texts]
    if sum(whole) + GAP * (len(whole) - 1) <= LINE:
        return "".join("r" if numeric else "l" for numeric in right)
    words = [max(len(word) for text in column for word in _words(text)) + GAP for column in texts]
    wanted = [min(text, LINE) + GAP - word for text, word in zip(whole, words, strict=True)]
    spare = max(LINE - sum(words), 0) / max(sum(wanted), 1)
    widths = [word + spare * more for word, more in zip(words, wanted, strict=True)]
    return "".join(
        f">{{\\ragged{'left' if numeric else 'right'}\\arraybackslash}}"
        f"p{{\\dimexpr {width / sum(widths):.4f}\\linewidth-2\\tabcolsep\\relax}}"
        for numeric, width in zip(right, widths, strict=True)
    )


def _row(cells: Iterable[str]) -> str:
    return " & ".join(cells) + r" \\"


def _entry(entry: Entry) -> str:
    text = f"\\textbf{{{_breakable(entry.text)}}}" if entry.best else _breakable(entry.text)
    return f"{text}\\textsuperscript{{{', '.join(map(str, entry.notes))}}}" if entry.notes else text


def _plain(entry: Entry) -> str:
    return entry.text + ",".join(map(str, entry.notes))


def _words(text: str) -> list[str]:
    """The parts of a text that stay on one line."""
    return re.split(r"\s|(?<=[_/–])|(?<=[^\W\d]-)(?=[^\W\d])", text)


def _breakable(text: object) -> str:
    """Escaped text that may be broken inside names and paths too: `ViT_base_|patch16_|224`."""
    escaped = re.sub(r"(\\_|/|--)", r"\1\\allowbreak{}", escape(text))
    return re.sub(r"(?<=[^\W\d])\{-\}(?=[^\W\d])", r"{-}\\allowbreak{}", escaped)
