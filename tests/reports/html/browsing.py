"""What a browser shows of a page, for tests that look at it as people do."""

from __future__ import annotations

from typing import Any

from reports.load import results
from tests.reports import synthetic


def small(folder: Any, **options: Any) -> results.Results:
    chosen = {"models": synthetic.MODELS[:3], "runtimes": synthetic.RUNTIMES[:3], "precisions": ("fp32", "bf16")}
    return results.load(folder(*synthetic.records(**{**chosen, **options}), environment=synthetic.ENVIRONMENT))


def column(page: Any, table: str, place: int) -> list[str]:
    shown: list[str] = page.locator(f"#{table} tbody tr:not([hidden])").evaluate_all(
        f"rows => rows.map(r => r.cells[{place}].textContent)"
    )
    return shown


def drawn(page: Any, chart: str) -> list[dict[str, Any]]:
    """The rows that the chart's view holds."""
    rows: list[dict[str, Any]] = page.evaluate(f"JSON.parse(JSON.stringify(vitbench.charts.{chart}.view.data('rows')))")
    return rows
