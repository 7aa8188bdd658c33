"""The evaluation of sessions whose every answer is known."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from convert.errors import InputError
from validate.accuracy import evaluate as pipeline
from validate.accuracy.evaluate import evaluate
from validate.imagenet import load_labelled
from validate.preprocess import UnreadableImage, preprocess

Best = Callable[[int], np.ndarray]


class TestEvaluate:
    def test_batches_and_outcomes(self, make_set: Any, make_session: Any, make_artifact: Any, identity: Best) -> None:
        # Right; shown 0 and labelled 3: 0, 1, 2, 3 is the order, so among five; labelled 9: last.
        folder = make_set([1, 0, 0, 4, 5], [1, 3, 9, 4, 5])
        session, seen = make_session(identity), []
        predictions = evaluate(
            session, load_labelled(folder), make_artifact().preprocessing, 2, on_progress=seen.append
        )
        assert predictions.outcomes == "15011"
        assert session.batches == [2, 2, 1]
        assert seen[:3] == [2, 4, 5]

    def test_unreadable_images_are_left_out_and_batches_stay_full(
        self, make_set: Any, make_session: Any, make_artifact: Any, identity: Best
    ) -> None:
        folder = make_set([None, 1, 2, None, 3, 4, None], [0, 1, 2, 3, 3, 0, 6])
        session, named, seen = make_session(identity), [], []
        predictions = evaluate(
            session,
            load_labelled(folder),
            make_artifact().preprocessing,
            3,
            seen.append,
            named.append,
            max_unreadable=3,
        )
        assert predictions.outcomes == "-11-15-"
        assert session.batches == [3, 1]
        assert [error.path.name for error in named] == ["image 0.png", "image 3.png", "image 6.png"]
        assert seen[-1] == 7

    def test_one_too_many_stops(self, make_set: Any, make_session: Any, make_artifact: Any, identity: Best) -> None:
        folder = make_set([None, 1, None, 2], [0, 1, 2, 2])
        dataset, preprocessing = load_labelled(folder), make_artifact().preprocessing
        for allowed, image in ((0, "image 0.png"), (1, "image 2.png")):
            session = make_session(identity)
            with pytest.raises(InputError, match=rf"{image} cannot be decoded.*--max-unreadable N") as caught:
                evaluate(session, dataset, preprocessing, 8, max_unreadable=allowed)
            assert "\n" not in caught.value.message
            assert session.batches == []

    def test_memory_is_bounded(
        self, monkeypatch: pytest.MonkeyPatch, make_set: Any, make_session: Any, make_artifact: Any, identity: Best
    ) -> None:
        started, judged, most = 0, 0, 0
        lock = threading.Lock()

        def counted(*arguments: Any) -> np.ndarray:
            nonlocal started, most
            with lock:
                started += 1
                most = max(most, started - judged)
            return preprocess(*arguments)

        def progress(done: int) -> None:
            nonlocal judged
            judged = done

        monkeypatch.setattr(pipeline, "preprocess", counted)
        folder = make_set([n % 10 for n in range(40)], [n % 10 for n in range(40)])
        evaluate(make_session(identity), load_labelled(folder), make_artifact().preprocessing, 2, progress)
        assert started == 40
        assert most <= pipeline.IN_FLIGHT * 2

    def test_decoding_ends_with_a_failing_session(self, make_set: Any, make_session: Any, make_artifact: Any) -> None:
        def broken(shown: int) -> np.ndarray:
            raise RuntimeError("out of memory")

        folder = make_set([1] * 20, [1] * 20)
        with pytest.raises(RuntimeError, match="out of memory"):
            evaluate(make_session(broken), load_labelled(folder), make_artifact().preprocessing, 2)
        assert not [thread for thread in threading.enumerate() if thread.name.startswith("decode")]


def test_unreadable_image_without_a_file() -> None:
    assert str(UnreadableImage(None, "is empty")) == "image in memory is empty"
