"""Every value of the example's report against the same worked out from the raw records by another path."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reports.load import results
from reports.tables import report as tables
from reports.tables.latency import detail
from reports.tables.table import Table
from runtimes.statistics import carries
from tests.reports.shown import values
from tests.reports.tables.recomputed import EXPECTED, Raw, missing, percentile


@pytest.fixture(scope="module")
def raw(example: Path) -> Raw:
    return Raw(example)


@pytest.fixture(scope="module")
def shown(example: Path) -> dict[str, Table]:
    return {table.name: table for table in tables.build(results.load(example)).tables}


def rates(raw: Raw) -> Iterator[dict[str, Any]]:
    for model in dict.fromkeys(one["model"] for one in raw.records):
        for one in raw.of("throughput", model=model):
            yield _most(one, "images/s, back to back", one["images_per_s"], one["ci95_images_per_s"])
        for one in raw.of("server", model=model):
            asked = f"requests/s, p{one['percentile']} within {one['latency_bound_ms']:g} ms"
            yield _most(one, asked, one["qps_max"], None)


def _most(one: dict[str, Any], question: str, rate: float, interval: list[float] | None) -> dict[str, Any]:
    name, only = f"{one['runtime']} {one['precision']}", "the only one"  # of the example each has one
    found = {"Model": one["model"], "Question": question, "Verdict": only, "Runtime": name, "Per second": rate}
    return found | {"95 % interval": interval}


EVERY = {**EXPECTED, "rates": rates}


@pytest.mark.parametrize("table", EVERY)
def test_every_value_follows_from_the_raw_records(raw: Raw, shown: dict[str, Table], table: str) -> None:
    found = values(shown[table])
    expected = list(EVERY[table](raw))
    assert len(found) == len(expected)
    for row, wanted in zip(found, expected, strict=True):
        assert set(row) == set(wanted)
        for column, value in wanted.items():
            same = pytest.approx(value, rel=1e-9, abs=1e-12) if _numeric(value) else value
            assert row[column] == same, (table, column, wanted)


def test_all_that_is_missing_is_told(raw: Raw, shown: dict[str, Table]) -> None:
    told = []
    for row in values(shown["missing"]):
        batches = row.pop("Batches") or [None]
        row.pop("Reason")
        told += [row | {"batch": batch} for batch in batches]
    expected = list(missing(raw))
    assert sorted(map(str, (sorted(one.items(), key=str) for one in told))) == sorted(
        map(str, (sorted(one.items(), key=str) for one in expected))
    )


@pytest.mark.parametrize("count", [63, 64, 129, 130, 661, 662])
def test_percentiles_at_the_edge_of_what_a_count_carries(make: Any, folder: Any, count: int) -> None:
    """The example's counts are far from the edges: there another rule would give the same."""
    samples = np.random.default_rng(count).permutation(np.linspace(90.0, 110.0, count)).tolist()
    known = {
        f"p{percent}_ms": float(np.percentile(samples, percent, method="inverted_cdf"))
        for percent in (90, 95, 99)
        if carries(count, percent)
    }
    record = make.latency(samples_ms=samples, count=count, **known)
    (row,) = values(detail(results.load(folder(make.parity(), record))))
    for percent in (90, 95, 99):
        assert row[f"p{percent} (ms)"] == percentile(record, percent), percent
    # 64, 130 and 662 are the smallest counts that carry them.
    assert len(known) == sum(count >= least for least in (64, 130, 662))


def test_no_table_is_left_out(shown: dict[str, Table]) -> None:
    assert set(shown) == {*EVERY, "missing"}


def _numeric(value: Any) -> bool:
    return isinstance(value, float) or (isinstance(value, list) and all(isinstance(one, float) for one in value))
