"""An ONNX file alone: its report says that nothing vouches for it, and has no green verdict of parity or speed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from reports.html import page
from reports.load import results
from reports.load.results import Results
from reports.render import latex, markdown
from reports.tables import report as tables
from reports.tables.table import Tone
from tests.reports import runs

SENTENCE = "Nothing vouches for toy: no Paddle program is there"


def found(folder: Path, unvouched: bool) -> Results:
    info = {"model_info": {"unvouched": unvouched}}
    tolerance = {"max_abs": 1e-5, "factor": 8.0, "unit": "ONNX Runtime's plain FP32 error"}
    records: list[dict[str, Any]] = []
    for runtime, speed in (("ort-cpu", 100.0), ("openvino", 150.0)):
        about: dict[str, Any] = {"runtime": runtime, "model": "toy", **info}
        records += [
            runs.latency([[speed, speed * 1.001], [speed, speed * 0.999]], **about),
            runs.common("parity", passed=True, max_abs=1e-6, batches=[1], tolerance=tolerance, **about),
        ]
    folder.mkdir()
    (folder / "results.jsonl").write_text("".join(json.dumps(one) + "\n" for one in records))
    return results.load(folder)


@pytest.mark.parametrize("unvouched", [True, False])
def test_what_is_green(tmp_path: Path, unvouched: bool) -> None:
    report = tables.build(found(tmp_path / "run", unvouched))
    by_name = {table.name: table for table in report.tables}
    for name, said in (("answer", "unvouched: fastest"), ("parity", "agrees")):
        table = by_name[name]
        place = [column.name for column in table.columns].index("Verdict")
        verdicts = {row.entries[place].text: row.entries[place].tone for row in table.rows}
        assert (verdicts == {said: Tone.PLAIN}) is unvouched
        assert (Tone.GOOD in verdicts.values()) is not unvouched
    best = [entry.text for table in report.tables for row in table.rows for entry in row.entries if entry.best]
    assert bool(best) is not unvouched


def test_it_is_said(tmp_path: Path) -> None:
    shown = found(tmp_path / "run", True)
    report = tables.build(shown)
    assert report.summary.startswith(SENTENCE)
    assert SENTENCE in markdown.render(report)
    assert "Nothing vouches for toy" in latex.render(report)
    html = page.render(report, shown)
    assert SENTENCE in html
    assert 'class="chip good"' not in html
    assert "Nothing vouches" not in markdown.render(tables.build(found(tmp_path / "other", False)))
