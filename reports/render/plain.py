"""A report for programs: one JSON document, or a CSV file per table. Values, not their rounded texts."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pandas as pd

from convert.common.console import cell
from convert.common.disk import files
from reports.language import say
from reports.tables.report import Report
from reports.tables.table import Entry, Facet, Table


def document(report: Report) -> dict[str, Any]:
    """The report as JSON types.

    Per table: `rows` has the values, `text` the same cells as people see them, with the numbers of their footnotes in
    brackets.
    """
    return {
        "name": report.name,
        "summary": report.summary,
        "weights": report.weights,
        "seeded": report.seeded,
        "tables": {table.name: _table(table) for table in report.tables},
    }


def _table(table: Table) -> dict[str, Any]:
    names = [column.full for column in table.columns]
    return {
        "title": table.title,
        "columns": names,
        "rows": [dict(zip(names, (entry.value for entry in row.entries), strict=True)) for row in table.rows],
        "text": [dict(zip(names, map(_text, row.entries), strict=True)) for row in table.rows],
        "notes": list(table.notes),
        "footnotes": list(table.footnotes),
        "commands": list(table.commands),
    }


def _text(entry: Entry) -> str:
    return f"{entry.text} [{', '.join(map(str, entry.notes))}]" if entry.notes else entry.text


def json_text(report: Report) -> str:
    """The report as JSON, indented for people."""
    return files.json_text(document(report)) + "\n"


def csv(report: Report, table: Table) -> str:
    """One table as CSV. A list or a table in an entry is JSON; beside each model stands the kind of its weights, beside
    each column of a runtime's numbers the statuses of their records."""
    found = frame(report, table, lambda entry: _scalar(number_or_none(entry)))
    return str(found.to_csv(index=False, lineterminator="\n"))


def frame(report: Report, table: Table, of: Callable[[Entry], Any]) -> pd.DataFrame:
    """One table as objects, what `of` gives of each entry; with the columns that `csv` tells of."""
    columns: dict[str, list[Any]] = {}
    for place, column in enumerate(table.columns):
        entries = [row.entries[place] for row in table.rows]
        columns[column.full] = [of(one) for one in entries]
        if column.facet is Facet.MODEL:
            columns[say("Weights")] = [report.weights[model] for row in table.rows for model in row.subject.models]
        if any(entry.status for entry in entries):
            columns[f"{column.full}, {say('status')}"] = [say(one.status) for one in entries]
    # pandas would make None a NaN and whole numbers floats, were the columns not told to be objects.
    return pd.DataFrame(columns, dtype=object)


def number_or_none(entry: Entry) -> Any:
    """A number; None where nothing but the status of a record stands in its place."""
    return None if entry.status and isinstance(entry.value, str) else entry.value


def _scalar(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, (list, dict, tuple)) else cell(value)
