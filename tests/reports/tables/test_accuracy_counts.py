"""A lower precision is the fastest only where its parity passed and its accuracy, if known, did not fail."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from reports import html
from reports.faster import only_wide
from reports.html import answer_cards as cards
from reports.html.facets import Facets
from reports.load import results
from reports.tables import accuracy, columns, latency
from reports.tables import report as tables
from reports.tables.answer import answer
from runtimes.records.kinds import Latency
from tests.reports import cases, shown


@pytest.fixture
def found(tmp_path: Path) -> results.Results:
    """openvino: fp32 and bf16 that held, int8 that did not. ort-cpu: fp32 and int8 without accuracy, no bf16."""
    return results.load(cases.folders("precisions", tmp_path))


def test_the_fastest_is_the_fastest_that_passed(found: results.Results) -> None:
    table = answer(found)
    (row,) = shown.texts(table)
    assert (row["Runtime"], row["Verdict"], row["Accuracy"]) == ("openvino bf16", "fastest", "passed (-0.0004)")
    assert table.footnotes == (
        "openvino int8 is not counted: accuracy failed: top-1 is 0.7802, on the reference 0.8176",
    )
    assert shown.bold(latency.latency(found)) == ["84.5"]
    assert shown.speeds(latency.latency(found))["openvino int8"] == "61.4 (accuracy failed)"


def test_each_precision_says_what_is_known_of_its_accuracy(found: results.Results) -> None:
    table = accuracy.precision(found)
    known = {row["Runtime"]: (row["Accuracy"], row["Top-1"], row["Median (ms)"]) for row in shown.texts(table)}
    assert known == {
        "paddle fp32": ("passed", "0.818", "197.2"),
        "openvino fp32": ("passed", "0.818", "138.8"),
        "openvino bf16": ("passed", "0.817", "84.5"),
        "openvino int8": ("failed", "0.780", "61.4"),
        "ort-cpu fp32": ("not measured", "-", "134.8"),
        "ort-cpu int8": ("not measured", "-", "93.6"),
        "ort-cpu bf16": ("not measured", "-", "-"),
    }


def test_a_precision_without_accuracy_counts_and_says_so(make: Any, folder: Any) -> None:
    proofs = [make.parity(), make.parity(precision="int8")]
    unknown = results.load(folder(*proofs, make.latency(100.0), make.latency(50.0, precision="int8")))
    (row,) = shown.texts(answer(unknown))
    assert (row["Runtime"], row["Accuracy"]) == ("ort-cpu int8", "not measured")


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"reference_top1": 0.8}, "accuracy failed: top-1 is 0.7761, on the reference 0.8000"),
        ({"reason": "logits are not finite", "status": "failed"}, "accuracy failed: logits are not finite"),
        ({}, "accuracy failed: no reason recorded"),
        ({"published_top1": 0.81}, "accuracy failed: top-1 is 0.7761, published is 0.8100"),
        (
            {"published_top1": 0.81, "reference_top1": 0.777, "keep": 0.99},
            "accuracy failed: top-1 is 0.7761, published is 0.8100",
        ),
    ],
)
def test_why_accuracy_failed(make: Any, folder: Any, fields: dict[str, Any], why: str) -> None:
    records = [make.parity(), make.latency(), make.accuracy(passed=False, **fields)]
    failed = results.load(folder(*records))
    (row,) = shown.texts(answer(failed))
    assert row["Verdict"] == "none"
    assert answer(failed).footnotes == ("no latency at batch 1 to rely on: ort-cpu fp32 accuracy failed",)
    assert latency.latency(failed).footnotes == (why,)


def test_what_chance_explains_is_neither_accurate_nor_condemned(make: Any, folder: Any) -> None:
    """The faster cell missed the bar by one photo of sixty: it wins nothing, and its row says why."""
    missed = {"passed": False, "undecided": True, "reference_top1": 0.8, "mcnemar_p": 1.0, "keep": 0.99}
    records = [
        *(make.parity(), make.parity(precision="int8")),
        *(make.latency(100.0), make.latency(50.0, precision="int8")),
        make.accuracy(precision="int8", images=60, **missed),
    ]
    found = results.load(folder(*records))
    why = "accuracy cannot be told: top-1 is 0.7761, on the reference 0.8000, which on 60 images may be chance (p = 1)"
    (row,) = shown.texts(answer(found))
    assert (row["Verdict"], row["Runtime"]) == ("the only one", "ort-cpu fp32")
    assert answer(found).footnotes[0] == f"ort-cpu int8 is not counted: {why}: take more"
    speeds = shown.speeds(latency.latency(found))
    assert speeds["ort-cpu int8"] == "50.0 (accuracy cannot be told)"
    lowered = shown.texts(accuracy.precision(found))[-1]
    assert (lowered["Runtime"], lowered["Accuracy"]) == ("ort-cpu int8", "cannot tell")
    (verdict,) = [row["Verdict"] for row in shown.texts(accuracy.accuracy(found))]
    assert verdict == "cannot tell (p = 1)"
    assert f"{why}: take more" in accuracy.accuracy(found).footnotes
    (card,) = cards.cards(found, Facets.of(found))
    assert [bar.label for bar in card.bars if "int8" in bar.label] == ["ort-cpu int8 (accuracy cannot be told)"]


def test_one_set_that_failed_for_sure_is_what_is_said(make: Any, folder: Any) -> None:
    sets = [
        make.accuracy(dataset="few", passed=False, undecided=True, reference_top1=0.8, mcnemar_p=1.0),
        make.accuracy(dataset="many", passed=False, undecided=False, reference_top1=0.9, mcnemar_p=0.001),
    ]
    found = results.load(folder(make.parity(), make.latency(), *sets))
    (cell,) = found.of(Latency)
    assert found.undecided(cell) is False
    assert latency.latency(found).footnotes == ("accuracy failed: top-1 is 0.7761, on the reference 0.9000",)


def test_all_sets_of_images_have_to_pass(make: Any, folder: Any) -> None:
    sets = [make.accuracy(dataset=name, passed=passed) for name, passed in (("a", True), ("b", False), ("c", True))]
    mixed = results.load(folder(make.parity(), make.latency(), *sets))
    assert mixed.accurate(mixed.of(Latency)[0]) is False
    assert {row["Accuracy"] for row in shown.texts(accuracy.precision(mixed))} == {"failed"}


@pytest.mark.parametrize(
    "other",
    [
        {"precision": "bf16"},
        {"runtime": "openvino"},
        {"device": "GPU"},
        {"settings": {"kernels": "plain"}},
        {"model": "vit_tiny_patch16_224"},
    ],
)
def test_the_accuracy_of_something_else_says_nothing(make: Any, folder: Any, other: dict[str, Any]) -> None:
    elsewhere = results.load(folder(make.parity(), make.latency(), make.accuracy(passed=False, **other)))
    (cell,) = elsewhere.of(Latency)
    assert elsewhere.accurate(cell) is None
    assert columns.held_accuracy(elsewhere, cell).text == "not measured"


def test_the_accuracy_of_seeded_weights_says_nothing(make: Any, folder: Any) -> None:
    facts = {"model_info": make.weights("seeded", source="seeded:0")}
    seeded = results.load(folder(make.parity(), make.latency(**facts), make.accuracy(0.1, passed=False)))
    (row,) = shown.texts(answer(seeded))
    assert (row["Verdict"], row["Accuracy"]) == ("the only one", "-")


def test_the_card_of_the_page(found: results.Results) -> None:
    report = tables.build(found)
    (card,) = cards.cards(found, Facets.of(found))
    assert (card.winner, card.gain, card.accuracy) == ("openvino bf16", "2.33×", "passed")
    assert [(bar.label, bar.best) for bar in card.bars[:2]] == [
        ("openvino int8 (accuracy failed)", False),
        ("openvino bf16", True),
    ]
    assert "accuracy: passed" in html.render(report, found)


def test_no_gain_in_a_tie_with_paddle(make: Any, folder: Any) -> None:
    wide = [make.latency(100.0, 20.0), make.latency(110.0, 20.0, runtime="paddle")]
    tied = results.load(folder(make.parity(), make.parity(runtime="paddle"), *wide))
    report = tables.build(tied)
    (card,) = cards.cards(tied, Facets.of(tied))
    assert (card.verdict, card.gain) == ("tie", "")
    assert "the intervals overlap: it may be no gain at all" in report.tables[0].footnotes
    apart = results.load(
        folder(make.parity(), make.parity(runtime="paddle"), wide[0], make.latency(200.0, 1.0, runtime="paddle"))
    )
    assert answer(apart).footnotes == ()


def test_a_wide_interval_is_called_wide_on_the_card(make: Any, folder: Any) -> None:
    wide = make.latency(50.0, 5.0, status="unstable", reason="wide", target=0.01)
    loaded = results.load(folder(make.parity(), wide))
    (card,) = cards.cards(loaded, Facets.of(loaded))
    assert [bar.label for bar in card.bars] == ["ort-cpu fp32 (unstable)"]


def test_what_runs_differ_by_does_not_make_a_cell_wide(make: Any, folder: Any) -> None:
    """Its own interval is within the target: it is unstable for another reason."""
    cell = make.latency(50.0, 5.0, run_ci95_ms=[49.8, 50.2], status="unstable", reason="restless", target=0.01)
    loaded = results.load(folder(make.parity(), cell))
    assert not only_wide(loaded.of(Latency)[0])
    assert only_wide(replace(loaded.of(Latency)[0], run_ci95_ms=(49.0, 51.0)))


def test_a_top1_in_doubt_is_no_verdict(make: Any, folder: Any) -> None:
    doubt = "top-1 0.0010 is at chance level (0.001): with labels minus 1 it would be 0.7761"
    record = make.accuracy(0.08, passed=None, doubt=doubt, labels="assumed: sorted names of classes (ng -> 0)")
    table = accuracy.accuracy(results.load(folder(record)))
    (row,) = shown.texts(table)
    assert row["Verdict"] == "in doubt"
    assert doubt in table.footnotes
    assert any(
        "the order of the classes is assumed: sorted names of classes (ng -> 0)" in note for note in table.footnotes
    )


def test_the_order_of_classes_and_the_output_are_named(make: Any, folder: Any) -> None:
    record = make.accuracy(0.7, labels="proven: WordNet ids", model_info={"head": "multi-label"})
    (note,) = accuracy.accuracy(results.load(folder(record))).footnotes
    assert note.endswith("whatever its threshold; the order of the classes is proven: WordNet ids")
