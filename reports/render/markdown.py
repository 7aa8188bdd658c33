"""A report as Markdown, for GitHub and for a terminal's pager."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import jinja2

from reports.language import say
from reports.render.paging import pages
from reports.tables.report import Report
from reports.tables.table import Entry, Heading, Table
from reports.text import one_line

TEMPLATE = "report.md.jinja"


def render(report: Report) -> str:
    """The whole report as one Markdown text."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=False,  # noqa: S701 - Markdown is written, and `escape` below is what guards it
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"md": escape, "entry": _entry, "fence": fence}
    environment.globals |= {"pages": pages, "say": say, "agreed": _agreed, "again": _commands_once(report.tables)}
    text = environment.get_template(TEMPLATE).render(report=report)
    return re.sub(r"\n{3,}", "\n\n", text).rstrip("\n") + "\n"


def escape(text: object) -> str:
    """Text that stays text in a table cell or a sentence: one line, and nothing in it is Markdown or HTML."""
    line = one_line(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    line = re.sub(r"([\\`*\[\]|~$])", r"\\\1", line)
    # Inside a word an underscore is just that: model names stay legible in the source.
    return re.sub(r"(?<![^\W_])_|_(?![^\W_])", r"\\_", line)


def fence(lines: tuple[str, ...]) -> str:
    """A code block around lines; its fence is longer than any row of backticks in them."""
    longest = max((len(run) for line in lines for run in re.findall("`+", line)), default=0)
    ticks = "`" * max(3, longest + 1)
    return "\n".join([f"{ticks}sh", *map(one_line, lines), ticks])


def _commands_once(tables: Sequence[Table]) -> dict[str, tuple[tuple[str, ...], tuple[str, ...]]]:
    """By the name of a table the commands that no earlier one has, and the titles of the tables that have the rest."""
    where: dict[str, str] = {}
    found = {}
    for table in tables:
        new = tuple(command for command in table.commands if command not in where)
        found[table.name] = new, tuple(dict.fromkeys(where[one] for one in table.commands if one in where))
        where |= dict.fromkeys(new, table.title)
    return found


def _entry(entry: Entry) -> str:
    text = escape(entry.text)
    notes = f"<sup>{', '.join(map(str, entry.notes))}</sup>" if entry.notes else ""
    return f"**{text}**{notes}" if entry.best else f"{text}{notes}"


def _agreed(once: Mapping[Heading, Entry]) -> list[str]:
    """Name and text of the columns that need saying only once."""
    return [f"{column.name}: {_entry(entry)}" for column, entry in once.items()]
