"""What to ship, in a report."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from reports.choice import choice, ladder
from reports.load.results import load
from tests.reports import runs
from tests.reports.shown import texts


def test_what_the_folder_does_not_set_is_shown(folder: Callable[..., Path]) -> None:
    unset = {"p50<1s": ["isa=avx2", "batch=4"], "p50<2s": list[str]()}
    records = [runs.common("choice", budget=[limit], unset=names) for limit, names in unset.items()]
    shown = [row["Not set in the folder"] for row in texts(choice(load(folder(*records))))]
    assert sorted(shown) == ["-", "isa=avx2, batch=4"]


def test_a_speed_that_its_machine_cannot_have_is_no_choice(folder: Callable[..., Path]) -> None:
    """Where a record is of a race that did not know the ceiling, or of a stranger's."""
    macs = {"published": 90_000_000_000, "total": 100_000_000_000}  # 200 GFLOP for an image
    ceiling = {"gflops": {"fp32": 200.0, "int8": 500.0}}
    contenders = [
        {"runtime": "ort-cpu", "precision": "fp32", "outcome": "chosen", "median_ms": 77.125},
        {"runtime": "ort-cpu", "precision": "int8", "smooth": 0, "outcome": "slower", "median_ms": 78.125},
        {"runtime": "paddle", "precision": "fp32", "outcome": "slower", "median_ms": 1234.5},
    ]
    proof = ["p50<1s: 77.1 ms, a new measurement up to 78 ms"]
    made = runs.common("choice", contenders=contenders, proof=proof, verdict="it is", model_info={"macs": macs})
    machine = {"cpu": "AMD EPYC", "cores_usable": 2}
    for environment, believed in (({"machine": machine}, True), ({"machine": machine, "ceiling": ceiling}, False)):
        found = load(folder(made, environment=environment))
        (shown,) = texts(choice(found))
        assert (shown["Ship"], "faster than the machine can be" in shown["Why"]) == (
            ("ort-cpu fp32", False) if believed else ("unproven", True)
        )
        assert (shown["Budget"] == "-") is not believed
        rows = texts(ladder(found))
        assert [row["Median (ms)"] for row in rows] == (
            ["77.1", "78.1", "1.23e+03"] if believed else ["-", "-", "1.23e+03"]
        )
        assert rows[1]["Runtime"] == "ort-cpu int8, not smoothed"
        assert rows[1]["Outcome"].startswith("slower" if believed else "unproven: faster than")


def test_what_a_million_images_cost_is_shown_where_a_price_is_known(folder: Callable[..., Path]) -> None:
    contenders = [
        {"runtime": "ort-cpu", "precision": "fp32", "outcome": "chosen", "images_per_s": 100.0},
        {"runtime": "mnn", "precision": "fp32", "outcome": "slower", "images_per_s": 50.0},
        {"runtime": "paddle", "precision": "fp32", "outcome": "it was not measured"},
    ]
    made = runs.common("choice", objective="cost", price_per_hour=0.9, contenders=contenders)
    of_throughput = runs.common("choice", objective="throughput", contenders=contenders)
    found = load(folder(made, of_throughput))
    rows = [(row["Euros per hour"], row["Euros per million images"]) for row in texts(choice(found))]
    assert sorted(rows) == [("-", "-"), ("0.9", "2.5")]
    shown = [row["Euros per million images"] for row in texts(ladder(found))]
    assert sorted(shown) == ["-", "-", "-", "-", "2.5", "5"]
    assert any("`--price`" in note for note in choice(found).notes)
    for table in (choice, ladder):
        assert not any("Euro" in heading.name for heading in table(load(folder(of_throughput, name="2"))).columns)


def test_a_cost_of_a_speed_that_its_machine_cannot_have_is_none(folder: Callable[..., Path]) -> None:
    macs = {"published": 90_000_000_000, "total": 100_000_000_000}
    contenders = [{"runtime": "ort-cpu", "precision": "fp32", "outcome": "chosen", "images_per_s": 13.0}]
    priced = {"objective": "cost", "price_per_hour": 0.9, "contenders": contenders, "model_info": {"macs": macs}}
    machine = {"machine": {"cpu": "AMD EPYC", "cores_usable": 2}, "ceiling": {"gflops": {"fp32": 200.0}}}
    found = load(folder(runs.common("choice", **priced), environment=machine))
    (row,), (each,) = texts(choice(found)), texts(ladder(found))
    assert (row["Ship"], row["Euros per million images"], each["Euros per million images"]) == ("unproven", "-", "-")
