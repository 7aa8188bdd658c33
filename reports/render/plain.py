"""A report for programs: one JSON document, or a CSV file per table. Values, not their rounded texts."""

from __future__ import annotations

import json
from typing import Any

from reports.language import say
from reports.tables.frames import Cell, Table, convert
from reports.tables.report import Report


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
    frame = table.flat()
    return {
        "title": table.title,
        "columns": list(frame.columns),
        "rows": convert(frame, lambda cell: cell.value).to_dict(orient="records"),
        "text": convert(frame, _text).to_dict(orient="records"),
        "notes": list(table.notes),
        "footnotes": list(table.footnotes),
        "commands": list(table.commands),
    }


def _text(cell: Cell) -> str:
    return f"{cell.text} [{', '.join(map(str, cell.notes))}]" if cell.notes else cell.text


def csv(report: Report, table: Table) -> str:
    """One table as CSV. A list or a table in a cell is JSON; beside each model stands the kind of its weights."""
    frame = convert(table.flat(), lambda cell: _scalar(cell.value))
    model = say("Model")
    if model in frame:
        frame.insert(list(frame).index(model) + 1, say("Weights"), frame[model].map(report.weights))
    return str(frame.to_csv(index=False, lineterminator="\n"))


def _scalar(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, (list, dict, tuple)) else value
