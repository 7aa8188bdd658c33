"""Every value of the example's report against the same worked out from the raw records by another path."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from reports.load import results
from reports.tables import report as tables
from reports.tables.frames import Table
from tests.reports.recomputed import EXPECTED, Raw, missing


@pytest.fixture(scope="module")
def raw(example: Path) -> Raw:
    return Raw(example)


@pytest.fixture(scope="module")
def shown(example: Path) -> dict[str, Table]:
    return {table.name: table for table in tables.build(results.load(example)).tables}


@pytest.mark.parametrize("table", EXPECTED)
def test_every_value_follows_from_the_raw_records(raw: Raw, shown: dict[str, Table], table: str) -> None:
    frame = shown[table].flat()
    found = [{column: cell.value for column, cell in row.items()} for row in frame.to_dict(orient="records")]
    expected = list(EXPECTED[table](raw))
    assert len(found) == len(expected)
    for row, wanted in zip(found, expected, strict=True):
        assert set(row) == set(wanted)
        for column, value in wanted.items():
            same = pytest.approx(value, rel=1e-9, abs=1e-12) if _numeric(value) else value
            assert row[column] == same, (table, column, wanted)


def test_all_that_is_missing_is_told(raw: Raw, shown: dict[str, Table]) -> None:
    told = []
    for row in shown["missing"].flat().to_dict(orient="records"):
        values = {column: cell.value for column, cell in row.items()}
        batches = values.pop("Batches") or [None]
        values.pop("Reason")
        told += [values | {"batch": batch} for batch in batches]
    expected = list(missing(raw))
    assert sorted(map(str, (sorted(one.items(), key=str) for one in told))) == sorted(
        map(str, (sorted(one.items(), key=str) for one in expected))
    )


def test_no_table_is_left_out(shown: dict[str, Table]) -> None:
    assert set(shown) == {*EXPECTED, "missing"}


def _numeric(value: Any) -> bool:
    return isinstance(value, float) or (isinstance(value, list) and all(isinstance(one, float) for one in value))
