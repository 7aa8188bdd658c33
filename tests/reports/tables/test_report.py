"""The tables of accuracy, size, environment and what is missing, and what all tables share."""

from __future__ import annotations

from typing import Any

import pytest

from convert.common.errors import InputError
from reports.load import results
from reports.tables import accuracy, compute, latency
from reports.tables import report as tables
from reports.tables.environment import environment as environment_table
from tests.reports.shown import BASE, TINY, texts


def test_a_subset_is_called_one(make: Any, folder: Any) -> None:
    found = results.load(
        folder(
            make.accuracy(model=TINY, subset=True),
            make.accuracy(),
            make.accuracy(0.8176, runtime="paddle", images=50_000, dataset="val_list.txt"),
        )
    )
    rows = texts(accuracy.accuracy(found))
    assert [row["Images"] for row in rows] == ["50000", "134", "134 (subset)"]
    assert accuracy.accuracy(found).footnotes == ("dataset: val_list.txt", "dataset: photos/val_list.txt")
    assert [row["Top-1"] for row in rows] == ["0.82", "0.78", "0.78"]


def test_figures_are_published_for_the_seven_only(make: Any, folder: Any) -> None:
    facts = make.weights("file")
    found = results.load(folder(make.accuracy(model=TINY, model_info=facts), make.latency(), make.latency(model=TINY)))
    base, tiny = texts(accuracy.accuracy(found))
    assert [base[name] for name in ("Top-1", "Published top-1", "Reference top-5")] == ["-", "0.8176", "0.9613"]
    assert [tiny[name] for name in ("Top-1", "Published top-1", "Reference top-5")] == ["0.78", "-", "-"]
    assert list(texts(compute.size(found))[0].values()) == [BASE, "12.66", "-", "-", "88.19", "-", "-"]
    assert list(texts(compute.size(found))[1].values()) == [TINY, "-", "12.66", "13.04", "-", "88.19", "-"]
    assert [row["Batch 1, median in ms: published: V100, TensorRT fp32"] for row in texts(latency.latency(found))] == [
        "5.29",
        "-",
    ]


def test_seeded_models_are_marked_in_every_table(make: Any, folder: Any) -> None:
    facts = {"model_info": make.weights("seeded", source="seeded:0", note="offline")}
    records = [make.latency(**facts), make.parity(**facts), make.accuracy(**facts)]
    broken = make.latency(None, runtime="mnn", status="failed", reason="it was killed", **facts)
    rate = make.parity(**facts) | {"kind": "throughput", "images_per_s": 7.0, "batch": 8}
    report = tables.build(results.load(folder(*records, broken, rate)))
    assert report.seeded == {BASE: "seeded:0; offline"}
    named = [table for table in report.tables if table.name != "environment"]
    assert len(named) == 12
    for table in named:
        assert all(row.entries[0].text == f"{BASE} †" for row in table.rows), table.name
        assert tables.SEEDED_NOTE in table.notes


def test_another_preprocessing_than_the_models_is_said(make: Any, folder: Any) -> None:
    own = make.accuracy(preprocessing_is_models=True, preprocessing={"mean": [0.5, 0.5, 0.5]})
    other = make.accuracy(0.46, preprocessing_is_models=False, preprocessing={"mean": [0.485, 0.456, 0.406]})
    table = accuracy.accuracy(results.load(folder(own, other)))
    assert len(table.rows) == 2, "another preprocessing makes another cell"
    said = ["the preprocessing is not the model's" in note for note in table.footnotes]
    assert said == [False, True]


def test_an_accuracy_that_failed_keeps_its_number_and_says_why(make: Any, folder: Any) -> None:
    broken = make.accuracy(status="failed", reason="the logits of 3 of 134 images are not finite", passed=False)
    table = accuracy.accuracy(results.load(folder(broken, make.accuracy(limit=10, images=10))))
    assert [(row["Images"], row["Verdict"]) for row in texts(table)] == [("134", "failed"), ("10", "passed")]
    assert "failed: the logits of 3 of 134 images are not finite" in table.footnotes


def test_a_small_model_has_figures_too(make: Any, folder: Any) -> None:
    facts = make.weights("file") | {"macs": {"published": 512_345, "total": 612_345}}
    row = texts(compute.size(results.load(folder(make.latency(model=TINY, model_info=facts)))))[0]
    assert (row["FLOPs (G), as PaddleClas counts"], row["GMACs, all"]) == ("0.000512", "0.000612")


def test_of_models_that_nobody_published_a_report_says_nothing_of_published_figures(make: Any, folder: Any) -> None:
    records = [make.parity(model=TINY), make.latency(model=TINY), make.accuracy(model=TINY)]
    found = tables.build(results.load(folder(*records))).tables
    for table in found:
        assert "published" not in f"{table.title} {[column.full for column in table.columns]}".lower(), table.name
    notes = " ".join(note for table in found if table.name in ("latency", "accuracy") for note in table.notes)
    assert "published" not in notes.lower()


def test_where_no_work_is_known_there_is_no_section_of_compute(make: Any, folder: Any) -> None:
    unproven = results.load(folder(make.latency()))
    assert "compute" not in [table.name for table in tables.build(unproven).tables]
    proven = results.load(folder(make.parity(), make.latency(model_info=make.weights("file"))))
    assert "compute" in [table.name for table in tables.build(proven).tables]


def test_what_the_conversion_did_is_noted(make: Any, folder: Any) -> None:
    facts = make.weights("file") | {"notes": ["a trailing Softmax was cut"]}
    notes = compute.size(results.load(folder(make.latency(model_info=facts)))).notes
    assert f"{BASE}: a trailing Softmax was cut." in notes


def test_the_environment_is_shown_whatever_is_in_it(make: Any, folder: Any) -> None:
    environment = {
        "python": "3.11.9",
        "machine": {"memory_bytes": 2**33, "gpu": {"name": None, "flags": ["a", 1]}, "shared": True},
        "empty": {},
    }
    rows = texts(environment_table(results.load(folder(make.latency(), environment=environment))))
    assert [tuple(row.values()) for row in rows] == [
        ("-", "python", "3.11.9"),
        ("machine", "memory_bytes", "8.0 GiB"),
        ("machine", "gpu.name", "-"),
        ("machine", "gpu.flags", "a, 1"),
        ("machine", "shared", "yes"),
    ]


def test_an_accuracy_record_alone_tells_of_seeded_weights(make: Any, folder: Any) -> None:
    facts = {"model_info": make.weights("seeded")}
    report = tables.build(results.load(folder(make.accuracy(0.0, top1_ci95=[0.0, 0.03], **facts))))
    assert (report.weights, report.seeded) == ({BASE: "seeded"}, {BASE: "seed not recorded"})


def test_without_an_environment_the_machine_is_not_known(make: Any, folder: Any) -> None:
    report = tables.build(results.load(folder(make.latency())))
    assert report.summary == ""
    assert "not known" in report.tables[-1].notes[0]


@pytest.mark.parametrize(
    "fields",
    [
        {"median_ms": None},
        {"median_ms": "fast"},
        {"median_ms": float("nan")},
        {"median_ms": 0},
        {"ci95_ms": [2.0, 1.0]},
        {"ci95_ms": 5},
        {"batch": "1"},
        {"status": "fine"},
        {"kind": ["latency"]},
        {"model": None},
        {"reason": {}},
        {"effective": "fp32"},
        {"kind": "parity", "passed": "yes"},
    ],
)
def test_a_damaged_record_is_named(make: Any, folder: Any, fields: dict[str, Any]) -> None:
    run = folder(make.parity(), make.latency(**fields))
    with pytest.raises(InputError, match=r"results\.jsonl, line 2: "):
        results.load(run)
