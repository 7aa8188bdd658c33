"""When a top-1 says nothing of a model, and what seems wrong then."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from convert.datasets.labels import imagenet
from validate.accuracy.doubt import Answers, doubt

Best = Callable[[int], np.ndarray]
RANDOM = np.random.default_rng(5)


def said(first: Any, labels: Any, classes: int, seeded: bool = False) -> str | None:
    return doubt(Answers(np.asarray(first), np.asarray(labels), classes), seeded)


class TestChance:
    def test_good_answers_are_in_no_doubt(self) -> None:
        labels = RANDOM.integers(0, 1000, 134)
        first = np.where(RANDOM.random(134) < 0.4, labels, 0)
        assert said(first, labels, 1000) is None
        assert said([3, 4], [3, 4], 10) is None
        assert said([1] * 6 + [0], [1] * 6 + [1], 2) is None  # one class only: nothing but 1 / classes is chance
        assert said([], [], 10) is None

    def test_twice_chance_is_no_chance(self) -> None:
        assert said([1] * 2 + [0] * 8, [1] * 10, 10, seeded=True) is None
        assert said([1] + [0] * 9, [1] * 10, 10, seeded=True)

    def test_answers_of_no_model(self) -> None:
        labels = RANDOM.integers(0, 1000, 500)
        text = said(RANDOM.integers(0, 1000, 500), labels, 1000)
        assert text
        assert (
            "chance level (0.0011): usually the order of the classes, the preprocessing or the weights are wrong"
            in text
        )

    def test_a_few_of_a_thousand_classes_are_hardly_above_chance(self) -> None:
        labels = np.arange(100, 234)
        first = np.where(np.arange(134) < 3, labels, 5)
        text = said(first, labels, 1000)
        assert text
        assert text.startswith("top-1 0.0224 is hardly above chance (0.001)")

    @pytest.mark.parametrize(("classes", "right", "doubted"), [(100, 3, False), (100, 2, True), (99, 2, False)])
    def test_three_in_a_hundred_of_a_hundred_classes(self, classes: int, right: int, doubted: bool) -> None:
        """Of 1000 images so many hundredths are right, which is surely above chance."""
        labels = np.arange(1000) % 50
        first = np.where(np.arange(1000) < 10 * right, labels, 60 + np.arange(1000) % 30)
        text = said(first, labels, classes, seeded=True)
        assert ("is hardly above chance (0.01)" in (text or "")) == doubted == (text is not None)

    def test_the_same_answer_for_every_image(self) -> None:
        assert said([0] * 100, [0] * 90 + [1] * 10, 2)
        assert said([0] * 88 + [1] * 12, [0] * 90 + [1] * 10, 2) is None

    def test_drawn_weights_need_no_search_for_what_is_wrong(self) -> None:
        labels = np.arange(50) % 10
        assert said((labels + 1) % 10, labels, 10, seeded=True) == (
            "top-1 0.0000 is at chance level (0.1), as it must be with drawn weights"
        )


class TestOtherOrders:
    TRUTH = np.arange(9, 990, 9)

    @pytest.mark.parametrize(
        ("labels", "words"),
        [
            (TRUTH + 1, "with labels minus 1 it would be 1.0000: they seem to count from 1"),
            (TRUTH - 1, "with labels plus 1 it would be 1.0000"),
            (np.argsort(sorted(range(1000), key=str))[TRUTH], "places of numbers that were sorted as text"),
            (np.array(sorted(range(1000), key=str))[TRUTH], "the model's classes seem to be numbers that were sorted"),
            (np.array([imagenet.classes()[n].number for n in TRUTH]), "they seem to be ILSVRC2012_IDs"),
            (np.array([imagenet.classes()[n].number - 1 for n in TRUTH]), "they seem to be ILSVRC2012_IDs less 1"),
        ],
    )
    def test_what_the_labels_seem_to_be(self, labels: np.ndarray, words: str) -> None:
        assert words in (said(self.TRUTH, labels, 1000) or "")

    def test_two_classes_the_wrong_way_round(self) -> None:
        labels = np.arange(60) % 2
        first = np.where(np.arange(60) < 57, 1 - labels, labels)
        assert said(first, labels, 2) == (
            "top-1 0.0500 is at chance level (0.5): in another order of the classes it would be 0.9500:"
            " label 0 is taken for 1, 1 is taken for 0"
        )

    def test_a_part_of_the_classes_in_another_order_is_seen_above_chance(self) -> None:
        labels = np.arange(200) % 5
        first = np.array([0, 1, 2, 4, 3])[labels]
        text = said(first, labels, 5)
        assert text
        assert "top-1 0.6000 is that of another order of the classes: in another order" in text
        assert text.endswith("label 3 is taken for 4, 4 is taken for 3")

    @pytest.mark.parametrize(("images", "told"), [(9, False), (10, True)])
    def test_ten_images_may_tell_another_order(self, images: int, told: bool) -> None:
        labels = np.arange(images) + 1
        assert ("with labels minus 1" in (said(labels - 1, labels, 20) or "")) == told

    @pytest.mark.parametrize(("images", "told"), [(19, False), (20, True)])
    def test_ten_images_of_each_class_may_tell_any_order(self, images: int, told: bool) -> None:
        labels = np.arange(images) % 2 * 3  # 0 and 3: no other reading of labels does
        assert ("in another order of the classes" in (said(3 - labels, labels, 4) or "")) == told

    @pytest.mark.parametrize(("moved", "told"), [(39, False), (40, True)])
    def test_another_order_has_to_be_better_by_a_fifth_of_the_images(self, moved: int, told: bool) -> None:
        """Of 200 images of ten classes all are right but so many of classes 3 and 6, which are taken for each other."""
        labels = np.repeat(np.arange(10), 20)
        swapped = np.flatnonzero(np.isin(labels, (3, 6)))[:moved]
        first = labels.copy()
        first[swapped] = 9 - labels[swapped]
        assert ("another order" in (said(first, labels, 10) or "")) == told

    def test_an_order_that_chance_gives_is_none(self) -> None:
        """Of two classes 70 % are right the other way round: too few to be sure."""
        labels = np.arange(40) % 2
        text = said(np.where(np.arange(40) < 28, 1 - labels, labels), labels, 2)
        assert text
        assert "in another order" not in text

    def test_few_images_tell_no_order(self) -> None:
        assert "would be" not in (said([1, 2, 3], [2, 3, 4], 10) or "")


class TestCommand:
    def test_a_reference_at_chance_holds_nothing(self, run: Any, make_set: Any, make_runtime: Any, best: Best) -> None:
        make_set([1, 2, 3, 4] * 4, [2, 3, 4, 5] * 4)
        runtimes = [make_runtime(name, best) for name in ("paddle", "ort-cpu")]
        result = run("--images", "set", "--json", runtimes=runtimes)
        assert result.exit_code == 0, result.stderr
        for record in json.loads(result.stdout)["records"]:
            assert (record["top1"], record["passed"], record["status"]) == (0, None, "ok")
            assert "with labels minus 1 it would be 1.0000" in record["doubt"]
            assert record["labels"] == "assumed: its labels are the model's, counted from 0"
        assert "holds" not in result.stderr
        assert result.stderr.count("IN DOUBT") == 2
        assert "fp32 on ort-cpu: WARNING: top-1 0.0000 is at chance level (0.19): with labels" in result.stderr

    def test_a_bad_runtime_beside_a_good_reference_fails(
        self, run: Any, make_set: Any, make_runtime: Any, identity: Best, best: Best
    ) -> None:
        make_set([1, 2, 3, 4] * 4, [1, 2, 3, 4] * 4)
        runtimes = [make_runtime("paddle", identity), make_runtime("ort-cpu", lambda shown: best(9))]
        result = run("--images", "set", "--json", runtimes=runtimes)
        assert result.exit_code == 1
        paddle, other = json.loads(result.stdout)["records"]
        assert (paddle["passed"], paddle["doubt"]) == (True, None)
        assert (other["passed"], other["doubt"]) == (False, None)
        text = said([9] * 16, [1, 2, 3, 4] * 4, 10)
        assert text, "of itself it is in doubt: it is not beside a good one"

    def test_drawn_weights_hold_nothing(self, run: Any, make_set: Any, make_runtime: Any, best: Best) -> None:
        make_set(range(10), range(10))
        weights = {"kind": "seeded", "source": "seeded:0"}
        result = run("--images", "set", "--json", runtimes=[make_runtime("paddle", lambda _: best(0))], weights=weights)
        (record,) = json.loads(result.stdout)["records"]
        assert (result.exit_code, record["passed"]) == (0, None)
        assert record["doubt"].endswith("as it must be with drawn weights")


class TestHeads:
    @pytest.fixture
    def with_head(self, make_artifact: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
        from dataclasses import replace

        from convert import artifact as artifacts

        plain = artifacts.save

        def made(head: str) -> None:
            monkeypatch.setattr(artifacts, "save", lambda folder, manifest: plain(folder, replace(manifest, head=head)))

        return made

    def test_features_have_no_accuracy(
        self, run: Any, make_set: Any, make_runtime: Any, identity: Best, with_head: Any
    ) -> None:
        make_set([1], [1])
        with_head("features")
        result = run("--images", "set", runtimes=[make_runtime("paddle", identity)])
        assert result.exit_code == 2
        assert "it ends in features, not in classes, so it has no accuracy; parity and speed hold" in result.stderr
        assert not list(Path().glob("results/*/results.jsonl"))

    def test_of_a_multi_label_model_it_is_said_what_top1_means(
        self, run: Any, make_set: Any, make_runtime: Any, identity: Best, with_head: Any
    ) -> None:
        make_set([1], [1])
        with_head("multi-label")
        result = run("--images", "set", runtimes=[make_runtime("paddle", identity)])
        assert result.exit_code == 0
        assert "a multi-label model: top-1 and top-5 ask whether the one label of an image has one of" in result.stderr
