"""The files that a report is written as, by format."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from reports.load.results import Results
from reports.render import latex, markdown, plain
from reports.tables.report import Report

if TYPE_CHECKING:
    from reports.pictures import PictureGroup

FORMATS = ("md", "html", "csv", "json", "latex")


def files(report: Report, found: Results, name: str, pictures: Sequence[PictureGroup] | None = None) -> dict[str, str]:
    """The names and texts of the files of one of FORMATS. pictures: for the page, where they are asked for."""
    if name == "html":
        from reports import html  # late: its charts' library takes its time, and only this format needs it

        return {"report.html": html.render(report, found, pictures)}
    if name == "latex":
        return {"report.tex": latex.render(report)}
    if name == "md":
        return {"report.md": markdown.render(report)}
    if name == "json":
        return {"report.json": plain.json_text(report)}
    return {f"report-{table.name}.csv": plain.csv(report, table) for table in report.tables}
