"""Which machine answers a model soonest, and for the least money."""

from __future__ import annotations

from typing import Any

from reports.load import results
from reports.tables import report as tables
from reports.tables.answer import machines
from tests.reports import runs
from tests.reports.shown import texts

SMALL, LARGE = "AMD EPYC, 2 cores", "AMD EPYC, 8 cores"


def several(folder: Any, make: Any, *prices: float | None) -> results.Results:
    """A machine of 80 ms and one of 40, at these prices per hour."""
    found = []
    for cores, median, price in zip((2, 8), (80.0, 40.0), prices, strict=True):
        described = runs.ENVIRONMENT | {"machine": runs.ENVIRONMENT["machine"] | {"cores_usable": cores}}
        if price is not None:
            described = described | {"price_per_hour": price}
        found.append(folder(make.parity(), make.latency(median), name=str(cores), environment=described))
    return results.load(found)


def test_the_lowest_latency_comes_first(folder: Any, make: Any) -> None:
    found = several(folder, make, None, None)
    table = machines(found)
    assert [(row["Machine"], row["Runtime"]) for row in texts(table)] == [
        (LARGE, "ort-cpu fp32"),
        (SMALL, "ort-cpu fp32"),
    ]
    assert "Images per euro" not in texts(table)[0]
    place = [heading.name for heading in table.columns].index("Median (ms)")
    assert [row.entries[place].best for row in table.rows] == [True, False]
    assert "machines" in [one.name for one in tables.build(found).tables]


def test_a_price_makes_the_slower_one_worth_more(folder: Any, make: Any) -> None:
    table = machines(several(folder, make, 0.5, 3.0))
    assert [(row["Machine"], row["Images per euro"]) for row in texts(table)] == [(LARGE, "30,000"), (SMALL, "90,000")]
    place = [heading.name for heading in table.columns].index("Images per euro")
    assert [row.entries[place].best for row in table.rows] == [False, True]


def test_what_is_no_price_is_none(folder: Any, make: Any) -> None:
    found = several(folder, make, -1.0, 0.0)
    assert "Images per euro" not in texts(machines(found))[0]


def test_one_machine_without_a_price_is_no_choice(folder: Any, make: Any) -> None:
    found = results.load(folder(make.parity(), make.latency(80.0)))
    assert "machines" not in [one.name for one in tables.build(found).tables]


def energy(joules: float | None, source: str = "rapl", **fields: Any) -> dict[str, Any]:
    return {"energy": {"joules_per_image": joules, "source": source, "seconds": 5.0, **fields}}


def test_joules_stand_beside_the_latency_where_some_machine_knows_them(folder: Any, make: Any) -> None:
    """The slower machine takes less energy, and does so at the larger batch."""
    found = []
    for cores, cells in (
        (2, [make.latency(80.0, **energy(1.5)), make.latency(300.0, batch=4, **energy(1.2345))]),
        (8, [make.latency(40.0, **energy(2.0, range_joules=[1.6, 2.4]))]),
    ):
        described = runs.ENVIRONMENT | {"machine": runs.ENVIRONMENT["machine"] | {"cores_usable": cores}}
        found.append(folder(make.parity(), *cells, name=str(cores), environment=described))
    table = machines(results.load(found))
    assert [(row["Machine"], row["Runtime of least energy"], row["Joules per image"]) for row in texts(table)] == [
        (LARGE, "ort-cpu fp32", "2.0"),
        (SMALL, "ort-cpu fp32", "1.23"),
    ]
    place = [heading.name for heading in table.columns].index("Joules per image")
    assert [row.entries[place].best for row in table.rows] == [False, True]


def test_joules_of_a_gpu_and_of_a_processor_are_not_ranked(folder: Any, make: Any) -> None:
    found = []
    for cores, source in ((2, "rapl"), (8, "nvml")):
        described = runs.ENVIRONMENT | {"machine": runs.ENVIRONMENT["machine"] | {"cores_usable": cores}}
        records = make.parity(), make.latency(10.0 * cores, **energy(float(cores), source))
        found.append(folder(*records, name=str(cores), environment=described))
    table = machines(results.load(found))
    place = [heading.name for heading in table.columns].index("Joules per image")
    assert [row.entries[place].text for row in table.rows] == ["2.00", "8.00"]
    assert not any(row.entries[place].best for row in table.rows)


def test_without_joules_no_column_asks_for_them(folder: Any, make: Any) -> None:
    cell = make.latency(80.0, energy={"reason": "no counter", "source": "rapl"})
    found = results.load(folder(make.parity(), cell, name="2", environment=runs.ENVIRONMENT | {"price_per_hour": 1.0}))
    assert "Joules per image" not in texts(machines(found))[0]
