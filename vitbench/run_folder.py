"""A results folder as functions of vitbench hand it back: as tables, as a report, and as a notebook shows it."""

from __future__ import annotations

import html
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from convert.common.disk.files import write_text
from convert.common.errors import InputError, listing, told
from reports import language, written
from reports.load import results
from reports.render import plain
from reports.tables import report as tables
from reports.tables.report import Report
from reports.tables.table import Table
from runtimes.records.kinds import Choice
from vitbench.outcome import Outcome

if TYPE_CHECKING:
    import pandas as pd

PARITY, SPEEDS, ACCURACY = "parity", ("latency-detail", "throughput", "server"), "accuracy"
CHOICE = ("choice", "ladder")
_SUFFIXES = {".html": "html", ".md": "md", ".json": "json", ".tex": "latex"}


@dataclass(frozen=True, repr=False)
class RunFolder(Outcome):
    """A results folder. shown: names of the tables that it stands for, as far as there is something in them. `passed`
    is None of a bench, which judges nothing."""

    folder: Path = field(kw_only=True)
    shown: tuple[str, ...] = field(kw_only=True)

    @property
    def tables(self) -> tuple[str, ...]:
        """The names of the report's tables, any of which `table` gives."""
        return tuple(table.name for table in self.report_of().tables)

    def table(self, name: str | None = None) -> pd.DataFrame:
        """A table of the report with its values as they are, not rounded; without a name the one that was made.

        InputError for one that there is not.
        """
        report = self.report_of()
        table = _named(report, name) if name else self._shown(report)[0]
        return plain.frame(report, table, plain.number_or_none).infer_objects()

    def report(self, file: str | Path, lang: str = "en") -> Path:
        """Write the report: HTML, Markdown, JSON or LaTeX, as the file's suffix says. lang: en or zh.

        InputError for another suffix or language.
        """
        path = Path(file)
        if path.suffix not in _SUFFIXES:
            raise InputError(f"{path}: the suffix says the format, and there are {', '.join(_SUFFIXES)}")
        if lang not in language.LANGUAGES:
            raise InputError(f"lang {lang!r}: there are {', '.join(language.LANGUAGES)}")
        with language.speaking(lang):
            found = results.load((self.folder,))
            (text,) = written.files(tables.build(found), found, _SUFFIXES[path.suffix]).values()
        write_text(path, text)
        return path

    def report_of(self) -> Report:
        """The report that the folder's records give. InputError for a folder that is damaged or has none."""
        found = results.load((self.folder,))
        if found.damaged:
            raise InputError(listing(found.damaged.values()))
        return tables.build(found)

    def _shown(self, report: Report) -> list[Table]:
        """The tables that are shown, as far as they are there; the first one of the report where none of them is."""
        there = {table.name: table for table in report.tables}
        return [there[name] for name in self.shown if name in there] or [report.tables[0]]

    @property
    def lines(self) -> tuple[str, ...]:
        """With the folder, and how many records of which kinds it has, or what is wrong with it."""
        try:
            counts = Counter(record.kind for record in results.load((self.folder,)).records)
            found = ", ".join(f"{count} {kind}" for kind, count in counts.items())
        except InputError as error:
            found = error.message
        return (*super().lines, f"{self.folder}: {found}")

    def _repr_html_(self) -> str:
        report = self.report_of()
        parts = [f"<p>{html.escape(told(line))}</p>" for line in (*super().lines, report.unvouched) if line]
        for table in self._shown(report):
            parts.append(f"<p><b>{html.escape(table.title)}</b></p>")
            parts.append(plain.frame(report, table, lambda entry: entry.text).to_html(index=False, border=0))
        return "\n".join([*parts, f"<p>{html.escape(str(self.folder))}</p>"])


@dataclass(frozen=True, repr=False)
class ShipOutcome(RunFolder):
    """What to ship within a budget. choice: its record, of the nearest where `passed` is False. shipped: the folder to
    ship; None where there is none."""

    choice: Choice = field(kw_only=True)
    shipped: Path | None = field(kw_only=True)

    @property
    def lines(self) -> tuple[str, ...]:
        """With the verdict, what the time limit cost, and what to ship."""
        verdict = (self.choice.verdict or "",) if self.passed else ()
        shipped = (f"to ship: {self.shipped}",) if self.shipped else ()
        return (*super().lines, *verdict, *self.choice.limited, *shipped)


def _named(report: Report, name: str) -> Table:
    found = next((table for table in report.tables if table.name == name), None)
    if found is None:
        raise InputError(f"no table {name}; there are {', '.join(table.name for table in report.tables)}")
    return found
