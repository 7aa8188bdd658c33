"""The file of answers: what it holds comes back, and what is damaged is asked again."""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convert.common.errors import InputError
from validate.accuracy import top5_file as module
from validate.accuracy.top5_file import NONE, Ranked, rank

KEY = {"artifact": "a", "batch": 2}


def begin(file: Path, **changes: Any) -> Ranked:
    arguments: dict[str, Any] = {"key": KEY, "images": 6, "classes": 10, "resume": True} | changes
    return Ranked(file, **arguments)


def filled(file: Path) -> Ranked:
    found = begin(file)
    found.add([0, 1], [[3, 1, 2, 0, 9], None])
    found.add([4], [[9, 8, 7, 6, 5]])
    return found


def checked(line: str) -> str:
    """A line as it is written, with its CRC-32."""
    return f"{line},{zlib.crc32(line.encode()):08x}"


class TestRank:
    def test_ties_go_to_the_lower_index(self) -> None:
        assert rank(np.zeros((1, 7), dtype=np.float32)) == [[0, 1, 2, 3, 4]]
        assert rank(np.array([[0, 0, 9, 0, 0, 0, 9]], dtype=np.float32)) == [[2, 6, 0, 1, 3]]

    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    def test_logits_that_are_not_finite(self, value: float) -> None:
        logits = np.array([[9, 0, 0], [9, value, 0], [value, 0, 0]], dtype=np.float32)
        assert rank(logits) == [[0, 1, 2], None, None]

    @given(st.lists(st.lists(st.integers(-3, 3), min_size=6, max_size=6), min_size=1))
    def test_agrees_with_a_stable_sort(self, rows: list[list[int]]) -> None:
        def first(row: list[int]) -> list[int]:
            return sorted(range(6), key=lambda index: -row[index])[:5]

        assert rank(np.array(rows, dtype=np.float32)) == [first(row) for row in rows]


class TestRanked:
    def test_what_is_stored_comes_back(self, tmp_path: Path) -> None:
        file = tmp_path / "folder" / "a.top5"
        filled(file)
        assert file.read_text().splitlines()[1:] == list(map(checked, ["0,3 1 2 0 9", "1,x", "4,9 8 7 6 5"]))
        again = begin(file)
        assert again.known.tolist() == [True, True, False, False, True, False]
        assert again.top[0].tolist() == [3, 1, 2, 0, 9]
        assert again.outcomes([3, 0, 0, 0, 5, 0]) == "1x--5-"
        assert again.outcomes([9, 0, 0, 0, 1, 0]) == "5x--0-"

    @pytest.mark.parametrize("changes", [{"resume": False}, {"key": KEY | {"batch": 4}}])
    def test_another_key_begins_anew(self, tmp_path: Path, changes: dict[str, Any]) -> None:
        file = tmp_path / "a.top5"
        filled(file)
        other = begin(file, **changes)
        assert not other.known.any()
        assert "4,9" in file.read_text()  # until there is something better
        other.add([2], [[1, 2, 3, 4, 5]])
        assert file.read_text().splitlines()[1:] == [checked("2,1 2 3 4 5")]

    def test_the_first_images_of_a_longer_run(self, tmp_path: Path) -> None:
        file = tmp_path / "a.top5"
        filled(file)
        assert begin(file, images=2).known.tolist() == [True, True]

    @pytest.mark.parametrize(
        "line",
        [
            "5,1 2 3 4 5",  # whole but for its end: nothing says that a digit is not missing
            "5,1 2 3\n",
            "5,1 2 3 4 4\n",
            "5,1 2 3 4 10\n",
            "5,1 2 3 4 5 6\n",
            "5\n",
            checked("5,1 2 3 4 5").replace(" 4 ", " 7 ") + "\n",
            checked("2,1 2 3 4 5").replace("2,", "5,", 1) + "\n",
            "\n",
            "\0\0\0\n",
            "-1,1 2 3 4 5\n",
        ],
    )
    def test_damaged_lines_are_dropped_with_what_follows(self, tmp_path: Path, line: str) -> None:
        file = tmp_path / "a.top5"
        filled(file)
        sound = file.read_text()
        file.write_text(sound + line + "3,1 2 3 4 5\n" * line.endswith("\n"))
        again = begin(file)
        assert again.known.tolist() == [True, True, False, False, True, False]
        assert file.read_text() == sound
        again.add([5], [[1, 2, 3, 4, 5]])
        assert begin(file).known.tolist() == [True, True, False, False, True, True]

    @settings(max_examples=60)
    @given(cut=st.integers(0, 200))
    def test_cut_anywhere(self, tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
        file = tmp_path_factory.mktemp("cut") / "a.top5"
        whole = filled(file)
        data = file.read_bytes()
        file.write_bytes(data[:cut])
        again = begin(file)
        for position in np.flatnonzero(again.known):
            assert again.top[position].tolist() == whole.top[position].tolist()
        again.add([5], [[1, 2, 3, 4, 5]])
        assert begin(file).known.tolist() == again.known.tolist()

    def test_what_was_not_finite_is_asked_again(self, tmp_path: Path) -> None:
        file = tmp_path / "a.top5"
        filled(file)
        again = begin(file)
        again.forget_nonfinite()
        again.add([1], [[5, 4, 3, 2, 1]])
        assert begin(file).top[1].tolist() == [5, 4, 3, 2, 1]

    def test_lines_of_earlier_versions(self, tmp_path: Path) -> None:
        file = tmp_path / "a.top5"
        file.write_text(json.dumps(KEY) + "\n0,3 1 2 0 9\n4,x\n")
        assert begin(file).known.tolist() == [True, False, False, False, True, False]

    def test_the_machine_that_answered(self, tmp_path: Path) -> None:
        file = tmp_path / "a.top5"
        found = begin(file)
        found.add([0, 1], [[3, 1, 2, 0, 9], None], "one, 2 threads")
        found.add([2], [[3, 1, 2, 0, 9]], "one, 2 threads")
        found.add([3], [[3, 1, 2, 0, 9]], "other, 4 threads")
        assert file.read_text().count("@") == 2, "it is said where it changes"
        again = begin(file)
        again.add([4], [[3, 1, 2, 0, 9]], "one, 2 threads")
        for one in (again, begin(file)):
            assert one.shares() == {"one, 2 threads": 4, "other, 4 threads": 1}
            assert one.count == 5
        file.write_text(file.read_text().replace("@other", "@another"))
        assert begin(file).shares() == {"one, 2 threads": 3}, "whatever follows a damaged line is dropped"

    def test_where_no_machine_is_known(self, tmp_path: Path) -> None:
        filled(tmp_path / "a.top5")
        assert begin(tmp_path / "a.top5").shares() == {}

    def test_in_memory_only(self) -> None:
        found = Ranked(None, KEY, 3, 10, resume=True)
        found.add([0, 2], [[3, 1, 2, 0, 9], None])
        assert found.known.tolist() == [True, False, True]
        found.forget([0])
        assert found.known.tolist() == [False, False, True]

    def test_few_classes(self, tmp_path: Path) -> None:
        file = tmp_path / "a.top5"
        begin(file, classes=3).add([0], [[2, 0, 1]])
        assert begin(file, classes=3).top[0].tolist() == [2, 0, 1, NONE, NONE]

    def test_a_disk_that_takes_no_more(self, tmp_path: Path) -> None:
        file = tmp_path / "a.top5"
        found = filled(file)
        file.unlink()
        file.mkdir()
        with pytest.raises(InputError, match=r"a.top5: cannot be written \(.*\); --resume"):
            found.add([5], [[1, 2, 3, 4, 5]])

    def test_load(self, tmp_path: Path) -> None:
        file = tmp_path / "a.top5"
        filled(file)
        found = module.load(file, 6, 10)
        assert found is not None
        assert found.known.sum() == 3
        assert module.load(tmp_path / "absent", 6, 10) is None
        file.write_text("no json\n")
        assert module.load(file, 6, 10) is None

    def test_a_first_line_of_brackets_is_none(self, tmp_path: Path) -> None:
        file = tmp_path / "a.top5"
        file.write_text("[" * 100_000 + "\n0,3 1 2 0 9\n")
        assert not begin(file).known.any()
        assert module.load(file, 6, 10) is None
