"""What an accuracy is held against, through the command and on records."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from convert.cli import Asked
from convert.datasets import LabelledSet
from convert.datasets.options import SetOptions
from convert.model_options import ModelOptions
from convert.zoo import PUBLISHED
from runtimes import registry
from runtimes.options import Selection
from runtimes.records.kinds import Accuracy
from runtimes.records.parts import Effective
from tests.validate.conftest import one_wrong
from validate.accuracy.evaluation import Settings, blank, make
from validate.accuracy.verdict import below, compare, counted

Best = Callable[[int], np.ndarray]
MODEL = "ViT_base_patch16_224"


@pytest.fixture
def judged(make_artifact: Any, make_runtime: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Accuracy]:
    """The record of Paddle on so many images, of which so many were right."""
    runtime = make_runtime("paddle", lambda shown: np.zeros(10))
    monkeypatch.setattr(registry, "get", lambda name: runtime)

    def made(
        right: int,
        images: int = 50_000,
        kind: str = "pretrained",
        unreadable: int = 0,
        option: str | None = None,
        effective: str = "fp32",
        nonfinite: int = 0,
        **changes: Any,
    ) -> Any:
        artifact = make_artifact(MODEL, weights={"kind": kind}, preprocessing_option=option)
        names = tuple(map(str, range(images)))
        dataset = LabelledSet("s", (0,) * images, names, lambda index: b"", images, "5", "list")
        settings = Settings(Selection([runtime], True), SetOptions(Path("s")), **changes)
        evaluation = make(Asked(MODEL, ModelOptions(), artifact), runtime, "fp32", dataset, settings)
        ran = Effective(precision=effective, device="CPU")
        wrong = "0" * (images - right - unreadable - nonfinite)
        outcomes = "1" * right + wrong + "x" * nonfinite + "-" * unreadable
        started = replace(blank(evaluation, settings), effective=ran, status="ok", reason=None)
        record = counted(evaluation, started, outcomes, ["x"] * unreadable)
        return compare(record, [], evaluation, settings)

    return made


@pytest.fixture
def held_against(judged: Any, make_artifact: Any, make_runtime: Any) -> Callable[[Accuracy, list[Accuracy]], Accuracy]:
    """A record of ten images held against earlier ones."""
    runtime = make_runtime("ort-cpu", lambda shown: np.zeros(10))

    def held(record: Accuracy, earlier: list[Accuracy]) -> Accuracy:
        dataset = LabelledSet("s", (0,) * 10, tuple(map(str, range(10))), lambda index: b"", 10, "5", "list")
        settings = Settings(Selection([runtime], True), SetOptions(Path("s")))
        artifact = make_artifact(MODEL, weights={"kind": "file"})
        return compare(
            record, earlier, make(Asked(MODEL, ModelOptions(), artifact), runtime, "bf16", dataset, settings), settings
        )

    return held


class TestPublished:
    def test_all_images_and_the_pretrained_weights(self, judged: Any) -> None:
        record = judged(40_975)  # 0.8195 of 50,000
        assert record.published_top1 == PUBLISHED[MODEL].top1 == 0.8195
        assert record.published_difference == pytest.approx(0, abs=1e-12)
        assert (record.subset, record.passed) == (False, True)
        worse = judged(40_565)  # 99 % would be 40565.25
        assert worse.published_difference == pytest.approx(-0.0082)
        assert (worse.passed, worse.undecided) == (False, False), "the published figure is no sample"
        assert below(worse) == "top-1 0.8113, below 0.99 of the published 0.8195"
        assert judged(40_566).passed is True
        assert judged(40_565, keep="0.98").passed is True

    @pytest.mark.parametrize(
        "changes", [{"images": 49_999}, {"kind": "file"}, {"kind": "seeded"}, {"unreadable": 1}, {"option": "imagenet"}]
    )
    def test_anything_less_is_not_held_against_it(self, judged: Any, changes: dict[str, Any]) -> None:
        record = judged(30_000, **changes)
        assert (record.published_top1, record.published_difference) == (None, None)
        assert record.passed is True
        assert record.subset is ("unreadable" in changes)


class TestCounted:
    def test_what_follows_from_the_outcomes(self, judged: Any) -> None:
        record = judged(6, images=10, kind="file", unreadable=2)
        assert (record.images, record.unreadable, record.unreadable_images) == (8, 2, ("x", "x"))
        assert (record.top1, record.top5, record.nonfinite, record.subset) == (0.75, 0.75, 0, True)
        assert record.outcomes == "1" * 6 + "00--"
        assert record.top1_ci95[0] < 0.75 < record.top1_ci95[1]
        assert record.top5_ci95 == record.top1_ci95
        assert (record.status, record.reason, record.reference_top1) == ("ok", None, 0.75)

    @pytest.mark.parametrize(
        ("images", "unreadable", "effective", "reason"),
        [(4, 4, "fp32", "no image could be read"), (4, 0, "bf16", "bf16")],
    )
    def test_what_fails(self, judged: Any, images: int, unreadable: int, effective: str, reason: str) -> None:
        record = judged(0, images=images, unreadable=unreadable, effective=effective)
        assert (record.status, record.passed) == ("failed", False)
        assert reason in record.reason
        assert (record.published_top1, record.reference_top1) == (None, None)

    def test_logits_that_are_not_finite_fail_and_keep_their_numbers(self, judged: Any) -> None:
        record = judged(40_000, nonfinite=3)
        assert record.reason == "the logits of 3 of 50000 images are not finite"
        assert (record.status, record.passed, record.nonfinite) == ("failed", False, 3)
        assert record.published_difference == pytest.approx(0.8 - 0.8195)


class TestCommand:
    def test_keep(self, run: Any, make_set: Any, make_runtime: Any, identity: Best, best: Best) -> None:
        make_set(range(10), range(10))
        runtimes = [make_runtime("paddle", identity), make_runtime("ort-cpu", one_wrong(best, 3))]
        arguments = ["--images", "set", "--out", "run", "--json"]
        assert json.loads(run(*arguments, runtimes=runtimes).stdout)["records"][1]["passed"] is False
        result = run(*arguments, "--keep", "0.9", runtimes=runtimes)
        assert result.exit_code == 0
        record = json.loads(result.stdout)["records"][1]
        assert (record["keep"], record["passed"]) == (0.9, True)
        assert (record["top1"], record["reference_top1"], record["mcnemar_p"]) == (0.9, 1.0, 1.0)
        assert "--keep 0.9" in record["command"]
        for bad in ("0", "1.01", "-1", "much", "nan", "1/0", ""):
            result = run(*arguments, "--keep", bad, runtimes=runtimes)
            assert result.exit_code == 2
            assert f"--keep {bad!r}" in result.stderr

    def test_a_miss_that_chance_explains_neither_passes_nor_fails(
        self, run: Any, make_set: Any, make_runtime: Any, identity: Best, best: Best
    ) -> None:
        """One of ten images: McNemar's p is 1. Six of six that differ: 0.03."""
        make_set(range(10), range(10))
        arguments = ["--images", "set", "--json"]
        told = "ort-cpu: top-1 0.9000, below 0.99 of 1.0000 on paddle; on 10 images that may be chance (p = 1): take"
        runtimes = [make_runtime("paddle", identity), make_runtime("ort-cpu", one_wrong(best, 3))]
        for more, status in (([], 0), (["--fail-unknown"], 3)):
            result = run(*arguments, *more, runtimes=runtimes)
            assert result.exit_code == status
            assert "cannot tell: " in result.stderr or "accuracy cannot tell: " in result.stderr
            assert result.stderr.count(told) == 1
            assert "CANNOT TELL" in result.stderr
            record = json.loads(result.stdout)["records"][1]
            assert (record["passed"], record["undecided"], record["status"]) == (False, True, "ok")
        runtimes = [make_runtime("paddle", identity), make_runtime("ort-cpu", one_wrong(best, *range(6)))]
        result = run(*arguments, "--fail-unknown", runtimes=runtimes)
        assert result.exit_code == 1
        record = json.loads(result.stdout)["records"][1]
        assert (record["passed"], record["undecided"]) == (False, False)
        assert "may be chance" not in result.stderr

    def test_what_fails_is_not_hidden_by_what_cannot_be_told(
        self, run: Any, make_set: Any, make_runtime: Any, identity: Best, best: Best
    ) -> None:
        make_set(range(10), range(10))
        runtimes = [
            make_runtime("paddle", identity),
            make_runtime("mnn", one_wrong(best, 3)),
            make_runtime("ort-cpu", one_wrong(best, *range(7))),
        ]
        result = run("--images", "set", runtimes=runtimes)
        assert result.exit_code == 1
        assert "failed: accuracy: " in result.stderr
        assert "accuracy cannot tell: " in result.stderr

    def test_another_preprocessing_is_said_and_recorded(
        self, run: Any, make_set: Any, make_runtime: Any, identity: Best
    ) -> None:
        make_set([1], [1])
        runtimes = [make_runtime("paddle", identity)]
        plain = run("--images", "set", "--json", runtimes=runtimes)
        assert json.loads(plain.stdout)["records"][0]["preprocessing_is_models"] is True
        assert "preprocessing" not in plain.stderr
        result = run("--images", "set", "--preprocessing", "imagenet", "--json", runtimes=runtimes)
        record = json.loads(result.stdout)["records"][0]
        assert record["preprocessing_is_models"] is False
        assert record["preprocessing"]["mean"] == [0.485, 0.456, 0.406]
        (note,) = record["model_info"]["notes"]
        assert note.startswith("the preprocessing is not the model's: mean [0.485, 0.456, 0.406] instead of [0.5")
        assert "--preprocessing imagenet" in record["command"]
        assert "not the model's preprocessing" in result.stderr.split("verdict")[1]  # in the table, too

    def test_unreadable_images_are_named_in_the_record(
        self, run: Any, make_set: Any, make_runtime: Any, identity: Best
    ) -> None:
        make_set([1, None, 2, None], [1, 1, 2, 1])
        result = run("--images", "set", "--max-unreadable", "2", "--json", runtimes=[make_runtime("paddle", identity)])
        record = json.loads(result.stdout)["records"][0]
        assert record["unreadable_images"] == ["image 1.png", "image 3.png"]
        assert (record["images"], record["top1"], record["top5_ci95"][1]) == (2, 1, 1)

    def test_tables_beside_the_results(
        self, run: Any, make_set: Any, make_runtime: Any, identity: Best, best: Best
    ) -> None:
        make_set([1, 3, 3], [1, 3, 4])
        runtimes = [make_runtime("paddle", identity), make_runtime("ort-cpu", one_wrong(best, 3))]
        result = run("--images", "set", "--out", "run", "--json", runtimes=runtimes)
        folder = Path("run/accuracy")
        (disagreements,) = folder.glob("*.disagreements.csv")
        table = pd.read_csv(disagreements)
        assert table.to_numpy().tolist() == [["image 1.png", 3, 3, 4], ["image 2.png", 4, 3, 4]]
        assert list(table) == ["image", "label", "paddle fp32", "ort-cpu fp32"]
        assert f"2 images on which not all runtimes agree: {disagreements}" in result.stderr
        for record in json.loads(result.stdout)["records"]:
            file = Path("run") / record["ranked"]
            assert file.is_file()
            assert pd.read_csv(file.with_suffix(".classes.csv"))["class"].tolist() == [1, 3, 4]
            assert len(pd.read_csv(file.with_suffix(".confusion.csv")))
        assert "run/accuracy/*.classes.csv" in result.stderr

    def test_tables_of_a_resumed_run_have_all_runtimes(
        self, run: Any, make_set: Any, make_runtime: Any, identity: Best, best: Best
    ) -> None:
        make_set([1, 3], [1, 3])
        runtimes = [make_runtime("paddle", identity), make_runtime("ort-cpu", one_wrong(best, 3))]
        run("--images", "set", "--out", "run", runtimes=runtimes[:1])
        run("--images", "set", "--out", "run", "--resume", runtimes=runtimes)
        (disagreements,) = Path("run/accuracy").glob("*.disagreements.csv")
        assert list(pd.read_csv(disagreements))[2:] == ["paddle fp32", "ort-cpu fp32"]

    def test_cached_images(self, run: Any, make_set: Any, make_runtime: Any, identity: Best) -> None:
        make_set(range(10), range(10))
        runtimes = [make_runtime("paddle", identity)]
        arguments = ["--images", "set", "--cache-images", "cache", "--json"]
        first, second = (json.loads(run(*arguments, runtimes=runtimes).stdout)["records"][0] for _ in range(2))
        assert first["outcomes"] == second["outcomes"] == "1" * 10
        assert len(list(Path("cache").glob("8-*/*/*.u8"))) == 10
        Path("file").write_text("")
        assert run("--images", "set", "--cache-images", "file", runtimes=runtimes).exit_code == 2


def test_below_names_the_reference(judged: Any) -> None:
    record = replace(judged(40_000), keep=0.99, top1=0.7, reference_top1=0.8, published_top1=None)
    assert below(record) == "top-1 0.7000, below 0.99 of 0.8000 on paddle"
    assert below(replace(record, top1=None)).startswith("top-1 0.0000, below")
    assert below(replace(record, keep=None)).startswith("top-1 0.7000, below 0 of")
    assert below(replace(record, images=60, mcnemar_p=1.0, undecided=True)).endswith(
        " on paddle; on 60 images that may be chance (p = 1): take more"
    )
    assert below(replace(record, mcnemar_p=0.05, undecided=False)).endswith(" on paddle")
    both = replace(record, published_top1=0.9)
    assert below(both) == "top-1 0.7000, below 0.99 of 0.8000 on paddle"
    assert below(replace(both, top1=0.8)) == "top-1 0.8000, below 0.99 of the published 0.9000"
    assert below(replace(both, reference_top1=None)) == "top-1 0.7000, below 0.99 of the published 0.9000"
    assert below(replace(both, reference_top1=0.7 / 0.99)).endswith("of the published 0.9000"), "it reached that"


def test_several_precisions_are_held_against_fp32_and_without_it_against_their_own(
    judged: Any, held_against: Any
) -> None:
    fp32, own = (
        replace(judged(right, images=10, kind="file"), precision=name) for name, right in (("fp32", 9), ("bf16", 5))
    )
    found = replace(judged(7, images=10, kind="file"), runtime="ort-cpu", precision="bf16")
    found = replace(found, reference_top1=None)
    for earlier, standard in (([fp32, own], fp32), ([own, fp32], fp32), ([own], own)):
        held = held_against(found, earlier)
        assert (held.reference_top1, held.passed) == (standard.top1, found.top1 >= standard.top1)
        assert held.mcnemar_p == pytest.approx(2 / 2 ** abs(standard.outcomes.count("1") - 7))
    others: list[dict[str, Any]] = [{"status": "failed"}, {"outcomes": None}, {"runtime": "mnn"}, {"model": "another"}]
    for other in others:
        assert held_against(found, [replace(fp32, **other)]).reference_top1 is None
    newest = replace(fp32, top1=0.8, outcomes="1" * 8 + "00")
    assert held_against(found, [fp32, newest]).reference_top1 == 0.8
    assert held_against(fp32, [newest]).reference_top1 == fp32.top1 == 0.9, "it is its own reference"


def test_bar_is_exact() -> None:
    assert Settings(Selection([], False), SetOptions(Path("s"))).bar == Fraction(99, 100)
