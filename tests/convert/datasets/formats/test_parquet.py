"""Parquet shards: columns, metadata, splits, and reading within bounded memory."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convert.common.errors import InputError
from convert.datasets import load
from convert.datasets.formats.shard_reader import PIECE, PIECES, RowGroup, ShardReader
from convert.datasets.unlabelled import load_images
from convert.images.preprocess import UnreadableImage
from tests.convert.datasets.written_sets import CLASSES, SYNSETS, Photos, write_parquet, write_set

NAMES = [f"name {label}" for label in range(CLASSES)]


def rows(count: int, start: int = 0) -> list[tuple[str | None, bytes | None]]:
    return [(f"{number}.JPEG", b"%d" % number) for number in range(start, start + count)]


def test_shards_come_by_name(tmp_path: Path, photos: Photos) -> None:
    folder = write_set("parquet", tmp_path, photos)
    dataset = load(folder, CLASSES)
    assert dataset == load(folder / "data", CLASSES)
    assert dataset.names == tuple(photos.names)
    assert dataset.labels == tuple(photos.labels)
    assert [dataset.read(i) for i in range(24)] == photos.data
    assert dataset.description == f"{tmp_path.name}/data/validation-*.parquet, 24 images"


def test_one_file(tmp_path: Path) -> None:
    file = write_parquet(
        tmp_path / "any.parquet", [(None, b"a"), ("/home/me/b.JPEG", b"b"), ("c/d.png", b"c")], [0, 1, 2]
    )
    dataset = load(file, 3)
    assert dataset.name == f"{tmp_path.name}/any.parquet"
    assert dataset.names == ("any.parquet row 0", "b.JPEG", "c/d.png")


def test_rows_that_go_class_by_class_are_spread(tmp_path: Path) -> None:
    file = write_parquet(tmp_path / "a.parquet", rows(40), [row // 10 for row in range(40)])
    dataset = load(file, 4, limit=4)
    assert dataset.labels == (0, 1, 2, 3)
    assert dataset.read(3) == b"30"


def test_the_validation_split_is_taken(tmp_path: Path) -> None:
    for split, label in (("train", 0), ("validation", 1), ("test", -1)):
        write_parquet(tmp_path / "data" / f"{split}-00000-of-00001.parquet", rows(2), [label, label])
    assert load(tmp_path, 2).labels == (1, 1)
    (tmp_path / "data" / "validation-00000-of-00001.parquet").unlink()
    with pytest.raises(InputError, match=r"several splits \(test, train\)"):
        load(tmp_path, 2)
    with pytest.raises(InputError, match=r"row 0: label -1 is out of range.*test split"):
        load(tmp_path / "data" / "test-00000-of-00001.parquet", 2)


def test_what_lies_beside_the_shards_is_none(tmp_path: Path) -> None:
    write_parquet(tmp_path / "data" / "val.parquet", rows(2), [0, 1])
    (tmp_path / "data" / "notes.txt").write_text("x")
    (tmp_path / "data" / "val-2.parquet").mkdir()
    (tmp_path / "x.parquet").mkdir()
    for folder in (tmp_path, tmp_path / "data"):
        assert load(folder, 2).names == ("0.JPEG", "1.JPEG")


def test_shards_that_are_numbers_are_one_set(tmp_path: Path) -> None:
    for shard in range(2):
        write_parquet(tmp_path / f"{shard:04d}.parquet", rows(2, 2 * shard), [0, 1])
    dataset = load(tmp_path, 2)
    assert dataset.names == ("0.JPEG", "1.JPEG", "2.JPEG", "3.JPEG")
    assert dataset.name == f"{tmp_path.parent.name}/{tmp_path.name}/*.parquet"


def test_shards_that_are_missing_are_said(tmp_path: Path) -> None:
    for shard in (1, 3):
        write_parquet(tmp_path / "data" / f"validation-{shard:05d}-of-00014.parquet", rows(2), [0, 1])
    assert load(tmp_path, 2).name == f"{tmp_path.name}/data/validation-*.parquet (2 of 14 shards)"


def test_shards_of_two_versions(tmp_path: Path) -> None:
    for place, names in (
        ("names", ("00000-of-00001-aa", "00000-of-00001-bb")),
        ("counts", ("00000-of-00002", "00001-of-00003")),
    ):
        for name in names:
            write_parquet(tmp_path / place / f"validation-{name}.parquet", rows(1), [0])
        with pytest.raises(InputError, match="shards of more than one version of validation"):
            load(tmp_path / place, 2)


class TestClassNames:
    def test_must_be_as_many_as_the_model_has(self, tmp_path: Path) -> None:
        file = write_parquet(tmp_path / "a.parquet", rows(2), [0, 1], NAMES)
        assert load(file, CLASSES).labels == (0, 1)
        with pytest.raises(InputError, match="metadata names 7 classes, but the model has 1000"):
            load(file, 1000)
        with pytest.raises(InputError, match=r"row 1: label 7 is out of range"):
            load(write_parquet(tmp_path / "b.parquet", rows(2), [0, 7], NAMES))

    def test_of_a_part_are_mapped_by_the_list(self, tmp_path: Path) -> None:
        file = write_parquet(tmp_path / "a.parquet", rows(2), [0, 1], [SYNSETS[4], SYNSETS[1]])
        (tmp_path / "synsets.txt").write_text("\n".join(SYNSETS))
        assert load(file, CLASSES, synsets=tmp_path / "synsets.txt").labels == (4, 1)

    def test_that_are_wordnet_ids_must_be_sorted(self, tmp_path: Path) -> None:
        assert load(write_parquet(tmp_path / "a.parquet", rows(2), [0, 1], SYNSETS), CLASSES).labels == (0, 1)
        file = write_parquet(tmp_path / "b.parquet", rows(2), [0, 1], SYNSETS[::-1])
        with pytest.raises(InputError, match="not in sorted order; give the model's with --synsets"):
            load(file, CLASSES)

    def test_must_be_there_for_a_list(self, tmp_path: Path) -> None:
        file = write_parquet(tmp_path / "a.parquet", rows(2), [0, 1])
        (tmp_path / "synsets.txt").write_text("\n".join(SYNSETS))
        with pytest.raises(InputError, match="names no classes to look up in --synsets"):
            load(file, CLASSES, synsets=tmp_path / "synsets.txt")

    def test_must_be_the_same_in_all_shards(self, tmp_path: Path) -> None:
        write_parquet(tmp_path / "val-0.parquet", rows(2), [0, 1], NAMES)
        write_parquet(tmp_path / "val-1.parquet", rows(2), [0, 1], NAMES[::-1])
        with pytest.raises(InputError, match=r"val-1\.parquet: its metadata names other classes than val-0\.parquet"):
            load(tmp_path, CLASSES)


def test_labels_are_checked_row_by_row(tmp_path: Path) -> None:
    write_parquet(tmp_path / "val-0.parquet", rows(3), [0, 1, 2])
    write_parquet(tmp_path / "val-1.parquet", rows(3), [0, 3, 2])
    with pytest.raises(InputError, match=r"val-1\.parquet, row 1: label 3 is out of range"):
        load(tmp_path, 3)
    with pytest.raises(InputError, match=r"c\.parquet, row 1: no label"):
        load(write_parquet(tmp_path / "c.parquet", rows(2), [0, None]), 3)


def test_other_columns(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    image = pa.array([{"bytes": b"a", "path": "a"}])
    for columns, message in (
        ({"image": image, "text": ["x"]}, "no column label among image, text"),
        ({"text": ["x"]}, "no column image and no column label among text"),
        ({"image": ["a.png"], "label": [0]}, "column image is string"),
        ({"image": pa.array([{"path": "a"}]), "label": [0]}, "column image is struct<path: string>"),
        ({"image": image, "label": [0.5]}, "column label is double"),
    ):
        pq.write_table(pa.table(columns), tmp_path / "a.parquet")
        with pytest.raises(InputError) as caught:
            load(tmp_path / "a.parquet", 3)
        assert message in caught.value.message
        assert "are needed" in caught.value.message


def test_images_without_paths_are_named_by_their_row(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"image": pa.array([{"bytes": b"a"}]), "label": [0]}), tmp_path / "a.parquet")
    dataset = load(tmp_path / "a.parquet", 1)
    assert dataset.names == ("a.parquet row 0",)
    assert dataset.read(0) == b"a"


def test_no_rows(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no rows in it"):
        load(write_parquet(tmp_path / "a.parquet", [], []), 3)


def test_a_pointer_instead_of_a_shard(tmp_path: Path) -> None:
    (tmp_path / "validation-00000-of-00001.parquet").write_text("version https://git-lfs.github.com/spec/v1\noid x\n")
    with pytest.raises(InputError, match=r"00001\.parquet: a Git LFS pointer instead of the file itself: run `git lfs"):
        load(tmp_path, 3)


@settings(max_examples=30)
@given(cut=st.floats(0, 1, exclude_max=True))
def test_a_shard_cut_off_anywhere(tmp_path_factory: pytest.TempPathFactory, cut: float) -> None:
    file = write_parquet(tmp_path_factory.mktemp("shard") / "a.parquet", rows(9), [0] * 9, NAMES, row_group_size=2)
    data = file.read_bytes()
    file.write_bytes(data[: int(cut * len(data))])
    with pytest.raises(InputError, match=r"a\.parquet: no parquet file, or damaged or cut off"):
        load(file, CLASSES)


def test_rows_without_an_image_are_unreadable(tmp_path: Path) -> None:
    file = write_parquet(tmp_path / "a.parquet", [("a", b"a"), ("only/a/path.png", None), ("c", b"")], [0, 1, 2])
    dataset = load(file, 3)
    with pytest.raises(UnreadableImage, match=r"row 1 has no bytes in the shard"):
        dataset.read(1)
    assert dataset.read(2) == b""


def test_a_damaged_row_group_leaves_the_others(tmp_path: Path) -> None:
    file = write_parquet(tmp_path / "a.parquet", rows(80), [0] * 80, row_group_size=10, compression="snappy")
    dataset = load(file, 1)
    import pyarrow.parquet as pq

    column = pq.ParquetFile(file).metadata.row_group(3).column(0)
    data = bytearray(file.read_bytes())
    start = min(offset for offset in (column.data_page_offset, column.dictionary_page_offset) if offset)
    data[start : start + column.total_compressed_size] = bytes(column.total_compressed_size)
    file.write_bytes(data)
    for _ in range(2):
        with pytest.raises(UnreadableImage, match=r"row 35 cannot be read \(.+\)"):
            dataset.read(35)
    assert [dataset.read(i) for i in (29, 40, 79)] == [b"29", b"40", b"79"]


class TestBoundedMemory:
    @pytest.fixture
    def reader(self, tmp_path: Path) -> ShardReader:
        """Three row groups of 20 pieces each, the last one not full."""
        groups = []
        for shard, count in enumerate((40 * PIECE, 20 * PIECE - 5)):
            start = shard * 40 * PIECE
            file = write_parquet(
                tmp_path / f"{shard}.parquet", rows(count, start), [0] * count, row_group_size=20 * PIECE
            )
            groups += [
                RowGroup(file, i, i * 20 * PIECE, min(20 * PIECE, count)) for i in range(-(-count // (20 * PIECE)))
            ]
        return ShardReader(groups)

    def test_going_forwards_decodes_each_piece_once_and_keeps_few(self, reader: ShardReader) -> None:
        for index in range(60 * PIECE - 5):
            assert reader(index) == b"%d" % index
            assert len(reader.pieces) <= PIECES
            assert sum(len(piece) for piece in reader.pieces.values()) <= PIECES * PIECE
        assert reader.decoded == 60

    def test_threads_behind_the_others_cost_nothing(self, reader: ShardReader) -> None:
        """Every eighth image is asked for only when those up to seven pieces further on have been read."""
        late, count = (PIECES - 1) * PIECE, 60 * PIECE - 5
        order = sorted(range(count), key=lambda index: index + (late if index % 8 == 0 else 0))
        assert [reader(index) for index in order] == [b"%d" % index for index in order]
        assert reader.decoded == 60

    def test_threads_get_their_own(self, reader: ShardReader) -> None:
        order = range(60 * PIECE - 5)
        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(reader, order)) == [b"%d" % index for index in order]
        assert len(reader.pieces) <= PIECES

    def test_any_order_gives_the_same(self, reader: ShardReader) -> None:
        last = 60 * PIECE - 6
        for index in (last, 0, 25 * PIECE, 3, 19 * PIECE, 20 * PIECE, 20 * PIECE - 1, last):
            assert reader(index) == b"%d" % index
            assert len(reader.pieces) <= PIECES

    def test_threads_in_any_order_get_their_own(self, reader: ShardReader) -> None:
        barrier = threading.Barrier(4)

        def every_fourth(start: int) -> bool:
            barrier.wait()
            return all(reader(i) == b"%d" % i for i in range(start * 300, 60 * PIECE - 5, 97))

        with ThreadPoolExecutor(4) as pool:
            assert all(pool.map(every_fourth, range(4)))

    def test_a_whole_shard_is_never_in_memory(self, tmp_path: Path) -> None:
        """However large its row group: what pyarrow holds at its highest is a fraction of the file."""
        import pyarrow as pa

        noise = b"".join(bytes([i * 7 % 256, i * 31 % 251]) for i in range(10_000))
        images: list[tuple[str | None, bytes | None]] = [
            (f"{i}.JPEG", noise[i % 999 :] + b"%d" % i) for i in range(2_000)
        ]
        file = write_parquet(
            tmp_path / "a.parquet", images, [0] * 2_000, compression="none", use_dictionary=False, write_batch_size=8
        )
        size = file.stat().st_size
        dataset = load(file, 1)
        before = pa.default_memory_pool().bytes_allocated()
        highest = 0
        for index in range(2_000):
            assert dataset.read(index) == images[index][1]
            highest = max(highest, pa.default_memory_pool().bytes_allocated() - before)
        assert size > 35_000_000
        assert highest < size / 3


class TestColumns:
    def write(self, file: Path, **columns: Any) -> Path:
        import pyarrow as pa
        import pyarrow.parquet as pq

        pq.write_table(pa.table(columns), file)
        return file

    def test_are_the_only_ones_that_can_be(self, tmp_path: Path) -> None:
        images = [{"bytes": b"0", "path": "x/0.png"}, {"bytes": b"1", "path": "x/1.png"}]
        dataset = load(self.write(tmp_path / "a.parquet", id=[7, 8], img=images, target=[2, 1]), 3)
        assert (dataset.names, dataset.labels) == (("x/0.png", "x/1.png"), (2, 1))
        assert [dataset.read(i) for i in range(2)] == [b"0", b"1"]

    def test_are_named_where_there_are_several(self, tmp_path: Path) -> None:
        file = self.write(tmp_path / "a.parquet", picture=[b"0"], thumb=[b"1"], fine_label=[5], coarse_label=[1])
        with pytest.raises(InputError, match=r"which column is the image, picture or thumb\? .*--columns image=NAME"):
            load(file, 7)
        with pytest.raises(InputError, match=r"which column is the label, fine_label or coarse_label\?"):
            load(file, 7, columns="image=thumb")
        dataset = load(file, 7, columns="image=thumb,label=coarse_label")
        assert (dataset.read(0), dataset.labels) == (b"1", (1,))
        with pytest.raises(InputError, match=r"no column x \(--columns\) among picture, thumb"):
            load(file, 7, columns="image=x")

    def test_of_words_in_some_shards_and_numbers_in_others(self, tmp_path: Path) -> None:
        for number, label in enumerate((["owl"], [1])):
            self.write(tmp_path / f"val-{number}.parquet", image=[b"0"], label=label)
        with pytest.raises(InputError, match=r"val-0\.parquet: the labels of its shards are numbers in some and names"):
            load(tmp_path, 2)

    def test_of_words(self, tmp_path: Path) -> None:
        file = self.write(tmp_path / "a.parquet", image=[b"0", b"1", b"2"], label=["owl", "elk", "owl"])
        dataset = load(file, 2)
        assert dataset.labels == (1, 0, 1)
        assert dataset.class_names == {0: "elk", 1: "owl"}

    def test_of_labels_are_not_looked_for_where_nobody_needs_them(self, tmp_path: Path) -> None:
        file = self.write(tmp_path / "a.parquet", picture=[b"0", b"1"], fine_label=[5, 5], coarse_label=[1, 1])
        found = load_images(file, "--inputs", lambda total, words: [1])
        assert (found.names, found.read(0)) == (("a.parquet row 1",), b"1")
