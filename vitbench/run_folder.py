"""What functions of vitbench hand back: a results folder, as tables, as a report, and as a notebook shows it."""

from __future__ import annotations

import html
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from convert.common.disk.files import write_text
from convert.common.errors import InputError, listing
from reports import language, written
from reports.load import results
from reports.render import plain
from reports.tables import report as tables
from reports.tables.report import Report
from reports.tables.table import Table

if TYPE_CHECKING:
    import pandas as pd

PARITY, SPEEDS, ACCURACY = "parity", ("latency-detail", "throughput", "server"), "accuracy"
_SUFFIXES = {".html": "html", ".md": "md", ".json": "json", ".tex": "latex"}


@dataclass(frozen=True)
class RunFolder:
    """A results folder. shown: names of the tables that it stands for, as far as there is something in them. problems:
    what has no numbers, and why."""

    folder: Path
    shown: tuple[str, ...]
    problems: tuple[str, ...] = ()

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

    def _repr_html_(self) -> str:
        report = self.report_of()
        parts = [f"<p>{html.escape(problem)}</p>" for problem in (*self.problems, report.unvouched) if problem]
        for table in self._shown(report):
            parts.append(f"<p><b>{html.escape(table.title)}</b></p>")
            parts.append(plain.frame(report, table, lambda entry: entry.text).to_html(index=False, border=0))
        return "\n".join([*parts, f"<p>{html.escape(str(self.folder))}</p>"])


def _named(report: Report, name: str) -> Table:
    found = next((table for table in report.tables if table.name == name), None)
    if found is None:
        raise InputError(f"no table {name}; there are {', '.join(table.name for table in report.tables)}")
    return found
