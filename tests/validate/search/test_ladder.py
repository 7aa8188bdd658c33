"""The file of a search: what it is read back as, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from convert.common import typed
from convert.common.errors import InputError
from validate.search.ladder import LADDER, Ladder, Rung, begin
from validate.search.strategy import Recipe

RUNGS = [
    Rung(0.5, ("a", "b"), 8, "1" * 64, {"ort-cpu": 0.5}, False),
    Rung(0.0, (), 10, "2" * 64, {"ort-cpu": 0.75}, True),
]


def test_it_goes_on_with_what_was_stored(tmp_path: Path) -> None:
    Ladder("key", {"model": "toy"}, list(RUNGS), RUNGS[1].recipe).write(tmp_path)
    again = begin(tmp_path, "key", {"model": "toy"}, resume=True)
    assert again.rungs == RUNGS
    assert again.rung(Recipe(0.0, ())) == RUNGS[1]
    assert again.rung(Recipe(0.5, ())) is None
    assert again.chosen is None  # it may look further


def test_an_earlier_one_is_not_written_over(tmp_path: Path) -> None:
    Ladder("key", {}, list(RUNGS)).write(tmp_path)
    with pytest.raises(InputError, match="--resume goes on with it"):
        begin(tmp_path, "key", {}, resume=False)
    with pytest.raises(InputError, match="of another model, other images or other options"):
        begin(tmp_path, "other", {}, resume=True)


def test_nothing_to_go_on_with_is_a_beginning(tmp_path: Path) -> None:
    assert begin(tmp_path / "new", "key", {}, resume=True).rungs == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 1}, "of format 1, this vitbench knows 2"),
        ({"rungs": [{"kept_fp32": []}]}, "damaged"),
        ({"rungs": None}, "damaged"),
        (
            {"rungs": [{**typed.table(RUNGS[0]), "top1": []}]},
            "damaged",
        ),
    ],
)
def test_what_is_not_understood_is_refused(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    ladder = Ladder("key", {}, list(RUNGS))
    (tmp_path / LADDER).write_text(json.dumps({**ladder.document(), **change}))
    with pytest.raises(InputError, match=message):
        begin(tmp_path, "key", {}, resume=True)


def test_a_cut_file_is_refused(tmp_path: Path) -> None:
    Ladder("key", {}, list(RUNGS)).write(tmp_path)
    file = tmp_path / LADDER
    file.write_text(file.read_text()[:-20])
    with pytest.raises(InputError, match="damaged"):
        begin(tmp_path, "key", {}, resume=True)
