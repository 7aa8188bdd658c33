"""Columns of parquet shards, by their names and types."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from convert.common.errors import InputError
from convert.datasets import load
from convert.datasets.formats.shard_columns import choose_columns
from convert.datasets.tables import Columns

FILE = Path("x.parquet")
IMAGE = pa.struct([("path", pa.string()), ("bytes", pa.binary())])
WORDS = pa.dictionary(pa.int8(), pa.string())


def chosen(columns: dict[str, Any], given: str | None = None, labelled: bool = True) -> tuple[str, str | None]:
    return choose_columns(FILE, pa.schema(list(columns.items())), Columns.parse(given), labelled)


@pytest.mark.parametrize("kind", [IMAGE, pa.binary(), pa.large_binary(), pa.struct([("bytes", pa.large_binary())])])
@pytest.mark.parametrize("label", [pa.int64(), pa.uint8(), pa.string(), pa.large_string(), WORDS])
def test_types_that_they_may_have(kind: Any, label: Any) -> None:
    assert chosen({"x": pa.float32(), "photo": kind, "fine_label": label}) == ("photo", "fine_label")
    assert chosen({"image": kind, "label": label, "other": kind, "label2": label}) == ("image", "label")
    assert chosen({"a": kind, "b": kind, "c": label}, "image=b,label=c") == ("b", "c")
    assert chosen({"a": kind, "fine_label": label, "label": label}, "label=fine_label") == ("a", "fine_label")


def test_labels_that_nobody_needs() -> None:
    assert chosen({"a": IMAGE}, labelled=False) == ("a", None)
    assert chosen({"a": IMAGE, "label": pa.int64()}, labelled=False) == ("a", None)
    with pytest.raises(InputError, match="no column image among label"):
        chosen({"label": pa.int64()}, labelled=False)


@pytest.mark.parametrize(
    ("columns", "given", "message"),
    [
        ({"a": IMAGE, "b": IMAGE, "label": pa.int64()}, None, r"which column is the image, a or b\? .* image=NAME"),
        ({"a": IMAGE, "label_a": pa.int64(), "my_label": pa.string(), "b_label": WORDS}, None, "my_label or b_label"),
        ({"a": IMAGE, "number": pa.int64()}, None, "no column label among a, number"),
        ({"label": pa.int64()}, None, "no column image among label"),
        ({"x": pa.float32()}, None, "no column image and no column label among x; a column of images"),
        ({"a": IMAGE, "label": pa.int64()}, "image=b", r"no column b \(--columns\) among a, label"),
        ({"a": IMAGE, "label": pa.int64()}, "label=b", r"no column b \(--columns\) among a, label"),
        ({"image": pa.string(), "label": pa.int64()}, None, "column image is string"),
        ({"image": pa.struct([("bytes", pa.string())]), "label": pa.int64()}, None, "column image is struct<"),
        ({"image": pa.struct([("data", pa.binary())]), "label": pa.int64()}, None, "column image is struct<"),
        ({"image": IMAGE, "label": pa.float32()}, None, "column label is float"),
        ({"image": IMAGE, "label": pa.dictionary(pa.int8(), pa.binary())}, None, "column label is dictionary<"),
        ({"image": IMAGE, "label": pa.int8(), "x": pa.list_(pa.int8())}, "label=x", "column x is list<"),
    ],
)
def test_those_that_cannot_be(columns: dict[str, Any], given: str | None, message: str) -> None:
    with pytest.raises(InputError, match=rf"^x\.parquet: .*{message}"):
        chosen(columns, given)


def test_shards_with_their_images_in_several_columns_are_no_set(tmp_path: Path) -> None:
    for number, name in enumerate(("image", "img")):
        table = pa.table({name: pa.array([{"bytes": b"a", "path": "a.png"}]), "label": [0]})
        pq.write_table(table, tmp_path / f"val-{number}.parquet")
    with pytest.raises(InputError, match=r"its shards have their images in different columns \(image, img\)"):
        load(tmp_path, 2)
