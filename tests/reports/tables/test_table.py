"""A column is declared once, and a row knows what it is about: every writer takes both from there."""

from __future__ import annotations

import csv
from typing import Any

import pytest

from reports import html
from reports.html import page
from reports.html.facets import Facets
from reports.load import results
from reports.render import latex, markdown, plain
from reports.tables import latency
from reports.tables import report as tables
from reports.tables.columns import Column, number_column, range_column
from reports.tables.table import Entry, Subject, Table, Tone


@pytest.fixture
def found(make: Any, folder: Any) -> results.Results:
    records = [make.latency(), make.latency(None, status="failed", reason="killed", effective=None, runtime="mnn")]
    return results.load(folder(make.parity(), *records))


def detail(found: results.Results) -> Table:
    return next(table for table in tables.build(found).tables if table.name == "latency-detail")


def test_a_column_declared_once_is_in_every_form(found: results.Results, monkeypatch: pytest.MonkeyPatch) -> None:
    twice: Column[Any] = number_column(
        "Twice the median", lambda line: line.record.median_ms and 2 * line.record.median_ms
    )
    monkeypatch.setattr(latency, "RAN_AS", twice)
    report = tables.build(found)
    table = detail(found)
    assert "| 200 |" in markdown.render(report)
    assert "Twice the median" in markdown.render(report)
    assert 'data-key="200.0">200<' in html.render(report, found)
    assert plain.document(report)["tables"][table.name]["rows"][1]["Twice the median"] == 200.0
    rows = list(csv.DictReader(plain.csv(report, table).splitlines()))
    assert [row["Twice the median"] for row in rows] == ["", "200.0"]
    assert "& 200 &" in latex.render(report)


def test_a_row_and_a_column_say_what_they_are_about(found: results.Results) -> None:
    assert [row.subject.runtime for row in detail(found).rows] == ["mnn", "ort-cpu"]
    assert [row.subject.status for row in detail(found).rows] == ["failed", "ok"]
    medians = latency.latency(found)
    assert [column.subject.runtime for column in medians.columns] == ["", "mnn", "ort-cpu", ""]
    assert [column.subject.batch for column in medians.columns] == [None, 1, 1, None]


def test_a_row_has_a_status_for_the_filters_where_the_table_shows_one(found: results.Results) -> None:
    known = Facets.of(found)
    for name, said in (("latency-detail", True), ("cost", False)):
        table = next(table for table in tables.build(found).tables if table.name == name)
        for block in page.blocks(table):
            assert all(("status" in known.of_row(block, row)) == said for row in block.rows), name
    assert "machine" not in known.tags(Subject(machine="the only one"))


def test_an_entry_says_its_tone_and_what_it_is_sorted_by(found: results.Results) -> None:
    tones = {entry.text: entry.tone for row in detail(found).rows for entry in row.entries}
    assert (tones["failed"], tones["ok"], tones["-"]) == (Tone.BAD, Tone.GOOD, Tone.PLAIN)
    values: list[Any] = [2.5, (3.0, 4.0), [], None, True, "5"]
    assert [Entry(value, "").sort_key for value in values] == [2.5, 3.0, None, None, None, None]


def test_a_range_has_the_digits_of_its_number() -> None:
    column: Column[Any] = range_column("95 % interval", lambda line: (100.0, (99.0, 101.0)))
    assert column.entry(None).text == "99.0–101.0"


def test_what_is_empty_is_not_told_of_a_record(make: Any, folder: Any) -> None:
    effective = {"precision": "fp32", "device": "CPU", "details": {"nodes_elsewhere": [], "threads": 2}}
    found = results.load(folder(make.latency(effective=effective), make.parity()))
    text = html.render(tables.build(found), found)
    assert "effective.details.threads" in text
    assert "nodes_elsewhere" not in text
