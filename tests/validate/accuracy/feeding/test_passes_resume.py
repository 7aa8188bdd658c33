"""What a pass over a set does again: after an interruption, and with decoded images on disk."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from convert.families.spec import Preprocessing
from convert.images.preprocess import decode
from validate.accuracy.feeding import decoding as pipeline
from validate.accuracy.feeding.crop_cache import CropCache

Best = Callable[[int], np.ndarray]


class TestResume:
    def test_only_what_is_missing_runs_in_the_batches_of_before(
        self, go: Any, make_set: Any, make_run: Any, watched: Any, identity: Best
    ) -> None:
        folder = make_set(range(10), range(10))
        runtime, _ = watched("a", identity)
        go(make_run(folder, runtime, 4))
        file = make_run(folder, runtime, 4).file
        lines = file.read_text().splitlines(keepends=True)
        file.write_text("".join(lines[:7]))  # images 0 to 5
        runtime, seen = watched("a", identity)
        assert go(make_run(folder, runtime, 4)) == ["1" * 10]
        assert seen[1:] == [[4, 5, 6, 7], [8, 9, 8, 9]]
        assert file.read_text().splitlines()[7:] == [line.strip() for line in lines[7:]]

    def test_cells_that_got_to_different_places(
        self, go: Any, make_set: Any, make_run: Any, watched: Any, identity: Best
    ) -> None:
        folder = make_set(range(8), range(8))
        (one, _), (other, _) = watched("a", identity), watched("b", identity)
        go(make_run(folder, one, 2), make_run(folder, other, 2))
        file = make_run(folder, one, 2).file
        file.write_text("".join(file.read_text().splitlines(keepends=True)[:5]))
        (one, seen), (other, idle) = watched("a", identity), watched("b", identity)
        assert go(make_run(folder, one, 2), make_run(folder, other, 2)) == ["1" * 8] * 2
        assert seen[1:] == [[4, 5], [6, 7]]
        assert idle[1:] == []

    def test_answers_of_another_precision_do_not_count(
        self, go: Any, make_set: Any, make_run: Any, make_runtime: Any, identity: Best
    ) -> None:
        folder = make_set(range(4), range(4))
        lower = make_runtime("a", lambda shown: identity(9), computes_in="bf16")
        assert go(make_run(folder, lower, 2)) == ["5555"]
        assert go(make_run(folder, make_runtime("a", identity), 2)) == ["1111"]


class TestCache:
    def test_the_second_run_decodes_nothing(
        self,
        monkeypatch: pytest.MonkeyPatch,
        tmp_path: Path,
        go: Any,
        make_set: Any,
        make_run: Any,
        make_runtime: Any,
        identity: Best,
    ) -> None:
        folder = make_set([*range(9), None], range(10))
        runtime = make_runtime("a", identity)
        used = make_run(folder, runtime, 4).preprocessing
        assert isinstance(used, Preprocessing)
        first = go(make_run(folder, runtime, 4), allowed=1, caches={used: CropCache(tmp_path, used)})
        decoded: list[str] = []

        def counted(data: bytes, name: str) -> np.ndarray:
            decoded.append(name)
            return decode(data, name)

        monkeypatch.setattr(pipeline, "decode", counted)
        run = make_run(folder, runtime, 4)
        run.file.unlink()
        assert go(run, allowed=1, caches={used: CropCache(tmp_path, used)}) == first == ["111111111-"]
        assert decoded == ["image 9.png"]  # what could not be read is tried again
        assert cv2.imwrite(str(folder / "image 3.png"), np.full((8, 8, 3), (0, 0, 7), np.uint8))
        run = make_run(folder, runtime, 4)
        run.file.unlink()
        assert go(run, allowed=1, caches={used: CropCache(tmp_path, used)}) == ["111511111-"]
