"""Reports of very much and of nothing: they stay readable."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from reports.load import results
from reports.render import latex, markdown, paging
from reports.tables import report as tables
from reports.tables.answer import answer
from tests.reports import shown, synthetic

FORMAT1 = Path(__file__).parents[1] / "data" / "format1"


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> tables.Report:
    """7 models x 7 runtimes x 5 precisions x 3 batch sizes."""
    run = tmp_path_factory.mktemp("wide")
    records = synthetic.records(samples=10)
    (run / "results.jsonl").write_text("".join(json.dumps(one) + "\n" for one in records), encoding="utf-8")
    (run / "environment.json").write_text(json.dumps(synthetic.ENVIRONMENT), encoding="utf-8")
    return tables.build(results.load(run))


def parts(text: str) -> list[list[str]]:
    """The tables of a Markdown text, each as its lines."""
    return [found.splitlines() for found in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)]


def test_many_cells_stay_readable(wide: tables.Report) -> None:
    found = parts(markdown.render(wide))
    assert max(line.count(" | ") + 1 for lines in found for line in lines[:1]) <= paging.WIDEST
    assert max(len(lines) - 2 for lines in found) <= 7 * 5 * 3  # one model's cells stay together


def test_no_cell_is_lost_by_cutting(wide: tables.Report) -> None:
    for table in wide.tables:
        names = [column.name for column in table.columns]
        headings = "Model" if "Model" in names else "Status"  # of the parts that a long table is cut into
        once = {*(column.name for column in table.agreed()), headings}
        whole = {id(row.entries[i]) for i, name in enumerate(names) if name not in once for row in table.rows}
        pieces = {id(entry) for part in paging.pages(table) for row in part.rows for entry in row.entries}
        assert whole, table.name
        assert whole <= pieces, table.name


def test_a_precision_stands_together(wide: tables.Report) -> None:
    latency = next(table for table in wide.tables if table.name == "latency")
    pages = paging.pages(latency)
    assert len(pages) == 3 * 5
    assert pages[1].heading == "Batch 1, median in ms, tf32"
    names = [column.name for column in pages[1].columns]
    assert {name.split(" ")[1] for name in names if name != "Model" and "V100" not in name} == {"tf32"}
    assert "Model" in names


def test_latex_is_as_narrow(wide: tables.Report) -> None:
    rows = [line for line in latex.render(wide).splitlines() if line.endswith(r" \\")]
    assert max(len(re.findall(r"(?<!\\)&", row)) + 1 for row in rows) <= paging.WIDEST


def test_everything_failed(make: Any, folder: Any) -> None:
    cells = [
        make.latency(None, status="failed", reason="out of memory", effective=None, runtime=runtime, batch=batch)
        for runtime in ("paddle", "ort-cpu")
        for batch in (1, 4)
    ]
    checks = [make.parity(None, status="unavailable", reason="no reference", runtime=r) for r in ("paddle", "ort-cpu")]
    found = results.load(folder(*cells, *checks))
    (row,) = shown.texts(answer(found))
    assert row["Verdict"].startswith("none")
    assert {text for name, text in row.items() if name not in ("Model", "Verdict")} == {"-"}
    text = markdown.render(tables.build(found))
    assert text.count("failed: out of memory") >= 1
    assert "| ViT_base_patch32_384 | ort-cpu fp32 | latency | 1, 4 | failed | out of memory |" in text
    assert "**" not in text


def test_records_of_format_1_are_reported_still() -> None:
    found = results.load(FORMAT1)
    report = tables.build(found)
    names = [table.name for table in report.tables]
    assert "steadiness" not in names  # they do not tell of processes
    by_name = {table.name: shown.texts(table) for table in report.tables}
    assert [(row["Runtime"], row["Median (ms)"]) for row in by_name["latency-detail"] if row["Status"] == "ok"] == [
        ("paddle fp32", "24.252"),
        ("openvino fp32", "15.718"),
        ("ort-cpu fp32", "15.698"),
    ]
    assert {row["Model (MB)"] for row in by_name["cost"]} == {"-"}
    assert [row["Status"] for row in by_name["latency-detail"] if row["Model"] == "ViT_base_patch32_384"] == [
        "failed",
        "unproven",
    ]
    assert markdown.render(report).startswith("# vitbench report: format1\n")
