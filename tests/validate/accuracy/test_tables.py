"""The CSV tables against sets small enough to count by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from convert.datasets import LabelledSet
from validate.accuracy import tables
from validate.accuracy.top5_file import Ranked

LABELS = [0, 0, 0, 1, 1, 2, 3]


def answers(file: Path, rows: list[list[int] | None], known: int = 7) -> Ranked:
    ranked = Ranked(file, {}, len(LABELS), 10, resume=False)
    ranked.add(range(known), rows[:known])
    return ranked


def example(tmp_path: Path) -> Ranked:
    rows: list[list[int] | None] = [
        [0, 1, 2, 3, 4],
        [5, 0, 1, 2, 3],
        [5, 6, 7, 8, 9],
        [1, 0, 2, 3, 4],
        None,
        [2, 0, 1, 3, 4],
        [4, 5, 6, 7, 8],
    ]
    return answers(tmp_path / "a.top5", rows)


def test_classes(tmp_path: Path) -> None:
    table = tables.classes(example(tmp_path), np.array(LABELS))
    assert table["class"].tolist() == [0, 1, 2, 3]
    assert table["images"].tolist() == [3, 2, 1, 1]
    assert np.allclose(table["top1"], [1 / 3, 1 / 2, 1, 0])
    assert np.allclose(table["top5"], [2 / 3, 1 / 2, 1, 0])
    assert table["mistaken"].tolist() == [5, pd.NA, pd.NA, 4]


def test_unreadable_images_are_no_images(tmp_path: Path) -> None:
    ranked = answers(tmp_path / "a.top5", [[0, 1, 2, 3, 4]] * 7, known=4)
    table = tables.classes(ranked, np.array(LABELS))
    assert table[["class", "images"]].to_numpy().tolist() == [[0, 3], [1, 1]]


def test_confusion_begins_with_the_worst(tmp_path: Path) -> None:
    table = tables.confusion(example(tmp_path), np.array(LABELS))
    rows = table[["class", "images", "predicted", "count"]].to_numpy().tolist()
    assert rows == [[3, 1, 4, 1], [0, 3, 5, 2], [0, 3, 0, 1], [1, 2, 1, 1]]  # 2 is always right
    assert np.allclose(table["share"], [1, 2 / 3, 1 / 3, 1 / 2])
    assert set(tables.confusion(example(tmp_path), np.array(LABELS), worst=1)["class"]) == {3}


def test_all_right(tmp_path: Path) -> None:
    rows: list[list[int] | None] = [[label, 9, 8, 7, 6] for label in LABELS]
    ranked = answers(tmp_path / "a.top5", rows)
    assert tables.classes(ranked, np.array(LABELS))["mistaken"].isna().all()
    assert tables.confusion(ranked, np.array(LABELS)).empty


def test_disagreements(tmp_path: Path) -> None:
    one = example(tmp_path)
    other = answers(tmp_path / "b.top5", [[0, 1, 2, 3, 4]] * 7, known=6)  # the last could not be read
    dataset = LabelledSet("s", tuple(LABELS), tuple(f"{i}.png" for i in range(7)), lambda i: b"", 7, "", "list")
    table = tables.disagreements({"a": one, "b": other}, dataset)
    assert table["image"].tolist() == ["1.png", "2.png", "3.png", "4.png", "5.png"]
    assert table["label"].tolist() == [0, 0, 1, 1, 2]
    assert table["a"].tolist() == [5, 5, 1, pd.NA, 2]
    assert table["b"].tolist() == [0] * 5
    assert tables.disagreements({"a": one, "again": one}, dataset).empty
    file = tmp_path / "folder" / "d.csv"
    tables.write(table, file)
    assert file.read_text().splitlines()[:2] == ["image,label,a,b", "1.png,0,5,0"]
    assert file.read_text().splitlines()[4] == "4.png,1,,0"
