"""A pass over a set with sessions whose every answer is known."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from convert.common.errors import InputError
from convert.images.preprocess import UnreadableImage, decode
from validate.accuracy.feeding import decoding as pipeline
from validate.accuracy.feeding import passes
from validate.accuracy.feeding.passes import Measurement

Best = Callable[[int], np.ndarray]


class TestOneCell:
    def test_batches_and_outcomes(self, go: Any, make_set: Any, make_run: Any, watched: Any, identity: Best) -> None:
        # Right; shown 0 and labelled 3: 0, 1, 2, 3 is the order, so among five; labelled 9: last.
        runtime, seen = watched("a", identity)
        progress: list[int] = []
        run = make_run(make_set([1, 0, 0, 4, 5], [1, 3, 9, 4, 5]), runtime, 2)
        assert go(run, progress=lambda run: progress.append(run.done)) == ["15011"]
        assert seen[1:] == [[1, 0], [0, 4], [5, 5]]  # of one shape: the last repeats what is in it
        assert progress == [2, 4, 5]

    def test_a_set_smaller_than_a_batch(
        self, go: Any, make_set: Any, make_run: Any, watched: Any, identity: Best
    ) -> None:
        runtime, seen = watched("a", identity)
        assert go(make_run(make_set([1, 2], [1, 2]), runtime, 8)) == ["11"]
        assert seen[1:] == [[1, 2]]

    def test_unreadable_images_are_left_out(
        self, go: Any, make_set: Any, make_run: Any, watched: Any, identity: Best
    ) -> None:
        runtime, seen = watched("a", identity)
        named: list[UnreadableImage] = []
        run = make_run(make_set([None, 1, 2, None, None, None, 4], [0, 1, 2, 3, 3, 0, 4]), runtime, 2)
        assert go(run, allowed=4, unreadable=named.append) == ["-11---1"]
        assert seen[1:] == [[1, 1], [2, 2], [4, 4]]  # and a batch without any image does not run
        assert [str(error.path) for error in named] == [f"image {i}.png" for i in (0, 3, 4, 5)]
        assert run.unreadable == [0, 3, 4, 5]
        assert run.done == 7

    def test_one_too_many_stops_and_keeps_what_ran(
        self, go: Any, make_set: Any, make_run: Any, make_runtime: Any, identity: Best
    ) -> None:
        folder = make_set([3, 1, None, 1, None, 2], [3, 1, 2, 1, 3, 2])
        threads = set(threading.enumerate())
        for allowed, image, count in (
            (0, "image 2.png cannot be decoded: .*; `", 2),
            (1, "image 4.png .* number 2", 3),
        ):
            run = make_run(folder, make_runtime("a", identity), 2)
            with pytest.raises(InputError, match=image) as caught:
                go(run, allowed=allowed)
            assert "--max-unreadable N" in caught.value.message
            assert "\n" not in caught.value.message
            assert run.known.sum() == count
        assert set(threading.enumerate()) <= threads

    def test_memory_is_bounded(
        self, monkeypatch: pytest.MonkeyPatch, go: Any, make_set: Any, make_run: Any, make_runtime: Any, identity: Best
    ) -> None:
        monkeypatch.setattr(passes, "CHUNK_IMAGES", 8)
        started, done, most = 0, 0, 0
        lock = threading.Lock()

        def counted(*arguments: Any) -> np.ndarray:
            nonlocal started, most
            with lock:
                started += 1
                most = max(most, started - done)
            return decode(*arguments)

        def progress(run: Measurement) -> None:
            nonlocal done
            done = run.done

        monkeypatch.setattr(pipeline, "decode", counted)
        folder = make_set([n % 10 for n in range(60)], [n % 10 for n in range(60)])
        go(make_run(folder, make_runtime("a", identity), 2), progress=progress)
        assert started == 60
        assert most <= 4 * 2 + 2  # four batches, and one whose answer is being stored

    @pytest.mark.parametrize("cores", [1, 64])
    def test_a_long_set_in_its_order(
        self,
        monkeypatch: pytest.MonkeyPatch,
        go: Any,
        make_set: Any,
        make_run: Any,
        make_runtime: Any,
        identity: Best,
        cores: int,
    ) -> None:
        # With a core to spare, decoding goes on beside the inference.
        monkeypatch.setattr(passes, "usable_cores", lambda: cores)
        numbers = [(7 * n) % 10 for n in range(150)]
        run = make_run(make_set(numbers, numbers), make_runtime("a", identity), 4)
        assert run.takes_every_core is (cores == 1)
        assert go(run) == ["1" * 150]

    def test_decoding_rests_while_a_runtime_takes_every_core(
        self, monkeypatch: pytest.MonkeyPatch, go: Any, make_set: Any, make_run: Any, make_runtime: Any, best: Best
    ) -> None:
        monkeypatch.setattr(passes, "usable_cores", lambda: 1)
        monkeypatch.setattr(passes, "CHUNK_IMAGES", 8)
        decoding, overlaps = 0, 0
        lock = threading.Lock()

        def counted(*arguments: Any) -> np.ndarray:
            nonlocal decoding
            with lock:
                decoding += 1
            try:
                return decode(*arguments)
            finally:
                with lock:
                    decoding -= 1

        def answer(shown: int) -> np.ndarray:
            nonlocal overlaps
            overlaps += decoding
            return best(shown)

        monkeypatch.setattr(pipeline, "decode", counted)
        numbers = [n % 10 for n in range(100)]
        assert go(make_run(make_set(numbers, numbers), make_runtime("a", answer), 2)) == ["1" * 100]
        assert overlaps == 0


class TestSeveralCells:
    def test_each_image_is_decoded_once(
        self, monkeypatch: pytest.MonkeyPatch, go: Any, make_set: Any, make_run: Any, make_runtime: Any, identity: Best
    ) -> None:
        decoded: Counter[str] = Counter()

        def counted(data: bytes, name: str) -> np.ndarray:
            decoded[name] += 1
            return decode(data, name)

        monkeypatch.setattr(pipeline, "decode", counted)
        folder = make_set(range(10), range(10))
        runs = [make_run(folder, make_runtime(name, identity), 4) for name in "abc"]
        runs.append(make_run(folder, make_runtime("d", identity), 4, preprocessing="imagenet"))
        assert go(*runs)[:3] == ["1" * 10] * 3
        assert set(decoded.values()) == {1}
        assert len(decoded) == 10

    def test_each_has_its_own_preprocessing(
        self, go: Any, make_set: Any, make_run: Any, watched: Any, identity: Best
    ) -> None:
        folder = make_set([200, 200], [9, 9])
        (one, seen), (other, shifted) = watched("a", identity), watched("b", identity)
        go(make_run(folder, one, 2), make_run(folder, other, 2, preprocessing="mean=0.2,0.2,0.2;std=1,1,1"))
        assert seen[1:] == [[200, 200]]
        assert shifted[1:] == [[202, 202]]  # (200/255 - 0.2 + 1) * 127.5

    @pytest.mark.parametrize("turn", [1, 4, 64])
    def test_only_one_infers_at_a_time(
        self,
        monkeypatch: pytest.MonkeyPatch,
        go: Any,
        make_set: Any,
        make_run: Any,
        make_runtime: Any,
        best: Best,
        turn: int,
    ) -> None:
        monkeypatch.setattr(passes, "CHUNK_IMAGES", turn)
        lock = threading.Lock()

        def alone(shown: int) -> np.ndarray:
            assert lock.acquire(blocking=False), "another one is inferring"
            try:
                return best(shown)
            finally:
                lock.release()

        numbers = [n % 10 for n in range(40)]
        folder = make_set(numbers, numbers)
        assert go(*(make_run(folder, make_runtime(name, alone), 2) for name in "abc")) == ["1" * 40] * 3

    @pytest.mark.parametrize("turn", [1, 6, 64])
    def test_one_that_breaks_leaves_the_others(
        self,
        monkeypatch: pytest.MonkeyPatch,
        go: Any,
        make_set: Any,
        make_run: Any,
        make_runtime: Any,
        best: Best,
        turn: int,
    ) -> None:
        monkeypatch.setattr(passes, "CHUNK_IMAGES", turn)

        def breaks(shown: int) -> np.ndarray:
            if shown == 5:
                raise RuntimeError("out of memory")
            return best(shown)

        numbers = [n % 10 for n in range(60)]
        folder = make_set(numbers, numbers)
        ended: list[tuple[str, str | None]] = []
        runs = [
            make_run(folder, make_runtime(name, answer), 2)
            for name, answer in (("a", best), ("b", breaks), ("c", best))
        ]
        outcomes = go(*runs, ended=lambda run, log: ended.append((run.evaluation.runtime.name, run.reason)))
        assert (outcomes[0], outcomes[2]) == ("1" * 60, "1" * 60)
        assert ended == [("b", "RuntimeError: out of memory")]
        assert [run.status for run in runs] == ["ok", "failed", "ok"]
        assert runs[1].known.sum() == 4  # what it answered before stays

    def test_all_of_them_break(self, go: Any, make_set: Any, make_run: Any, make_runtime: Any) -> None:
        def broken(shown: int) -> np.ndarray:
            raise RuntimeError("no")

        folder = make_set([1] * 20, [1] * 20)
        threads = set(threading.enumerate())
        runs = [make_run(folder, make_runtime(name, broken), 2) for name in "ab"]
        go(*runs)
        assert [run.status for run in runs] == ["failed", "failed"]
        assert set(threading.enumerate()) <= threads
