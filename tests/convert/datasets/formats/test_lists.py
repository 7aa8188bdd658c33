"""Lists as users have them: encodings, separators, places of the images, labels that are names."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path

import pytest

from convert.common.errors import InputError
from convert.datasets import load
from convert.datasets.unlabelled import ImageSet, load_images
from tests.convert.datasets.written_sets import SYNSETS, write_folder, write_zip


def everything(path: Path) -> ImageSet:
    return load_images(path, "--inputs", lambda total, words: range(total))


@pytest.mark.parametrize(
    ("encoding", "note"),
    [
        ("utf-8", ()),
        ("utf-8-sig", ()),
        ("utf-16", ("read as UTF-16",)),
        ("utf-16-be", ("read as UTF-16-BE",)),
        ("gbk", ("read as GB18030",)),
    ],
)
def test_encodings(tmp_path: Path, encoding: str, note: tuple[str, ...]) -> None:
    write_folder(tmp_path, {"images/图片.png": b"1", "images/b.png": b"2"})
    file = tmp_path / "list.txt"
    file.write_bytes("images/图片.png 2\r\nimages/b.png 0\r\n".encode(encoding))
    dataset = load(file, 3)
    assert dataset.names == ("images/图片.png", "images/b.png")
    assert dataset.labels == (2, 0)
    assert dataset.notes == everything(file).notes == note


@pytest.mark.parametrize(
    "text",
    [
        "p\\q\\a b.png\t1\r\np\\c.png\t0\r\n",
        '"p/q/a b.png" 1\n"p/c.png" 0\n',
        "p/q/a b.png,1\np/c.png,0\n",
        "p/q/a b.png, 1\np/c.png, 0\n",
        "# path label\n\n'p\\q\\a b.png' 1\n'p\\c.png' 0\n\x1a",
        "p/q/a b.png,1\rp/c.png,0\r",  # as Excel for the Macintosh ends lines
        "path,label\rp/q/a b.png,1\rp/c.png,0\r",
    ],
)
def test_separators_quotes_and_backslashes(tmp_path: Path, text: str) -> None:
    write_folder(tmp_path, {"p/q/a b.png": b"1", "p/c.png": b"2"})
    (tmp_path / "list.txt").write_bytes(text.encode())
    dataset = load(tmp_path / "list.txt", 2)
    assert dataset.names == everything(tmp_path / "list.txt").names == ("p/q/a b.png", "p/c.png")
    assert dataset.labels == (1, 0)
    assert [dataset.read(i) for i in range(2)] == [b"1", b"2"]


def test_names_that_have_such_characters_themselves(tmp_path: Path) -> None:
    names = ["it's.png", "a,b.png", "back\\slash.png", "'quoted'.png", "#1.png"]
    write_folder(tmp_path, {name: name.encode() for name in names})
    (tmp_path / "list.txt").write_text("".join(f"{name} 0\n" for name in names))
    assert load(tmp_path / "list.txt", 1).names == tuple(names)
    (tmp_path / "plain.txt").write_text("".join(f"{name}\n" for name in names))
    assert everything(tmp_path / "plain.txt").names == tuple(names)


def test_what_is_missing_may_be_so_by_the_encoding(tmp_path: Path) -> None:
    file = tmp_path / "list.txt"
    file.write_bytes("狗的照片.png 0\n".encode("gbk"))
    with pytest.raises(InputError, match=r"is named with --root; read as GB18030$"):
        load(file, 1)
    with pytest.raises(InputError, match=r"paths are relative to --root .*; read as GB18030$"):
        load(file, 1, root=tmp_path)


@pytest.mark.parametrize("packed", [False, True])
def test_a_table_and_labels_that_are_not_ascii(tmp_path: Path, packed: bool) -> None:
    files = {"p/1.png": b"1", "p/2.png": b"2", "val.csv": "path,label\np/1.png,狗\np/2.png,猫\n".encode()}
    place = write_zip(tmp_path / "a.zip", files) if packed else write_folder(tmp_path / "set", files) / "val.csv"
    dataset = load(place, 2)
    assert dataset.names == ("p/1.png", "p/2.png")
    assert dataset.class_names == {0: "狗", 1: "猫"}
    assert dataset.notes == ()


def test_a_root_that_is_no_folder(tmp_path: Path) -> None:
    write_folder(tmp_path, {"a.png": b"", "l.txt": b"a.png 0\n"})
    for root in ("absent", "a.png"):
        with pytest.raises(InputError, match=rf"--root .*{root}: no such folder"):
            load(tmp_path / "l.txt", 1, root=tmp_path / root)


def test_a_list_in_an_archive(tmp_path: Path) -> None:
    files = {f"images/{i}.png": b"%d" % i for i in range(3)}
    lines = b"2.png 0\n0.png 1\n1.png 1\n"
    path = write_zip(tmp_path / "a.zip", {**files, "val.txt": lines, "labels.txt": b"ok\nbad\n"})
    dataset = load(path, 2)
    assert (dataset.names, dataset.labels) == (("2.png", "0.png", "1.png"), (0, 1, 1))
    assert dataset.description == f"{tmp_path.name}/a.zip with val.txt, 3 images"
    assert dataset.sha256 == hashlib.sha256(lines).hexdigest()
    assert dataset.class_names == {0: "ok", 1: "bad"}
    assert dataset.notes[0] == "its images are in images, not beside the list"
    assert [dataset.read(i) for i in range(3)] == [b"2", b"0", b"1"]
    assert load(path, 2, 2).names == ("2.png", "0.png")
    write_zip(path, {**files, "val.txt": b"# list\n1.png 0\n4.png 1\n5.png 0\n"})
    with pytest.raises(InputError, match=r"line 2: 3 of 3 images are not in the archive, the first is 1\.png"):
        load(path, 2)  # there is no folder that has all
    write_zip(path, {**files, "val.txt": b"images/1.png 0\nimages/4.png 1\nimages/5.png 0\n"})
    with pytest.raises(InputError, match=r"line 2: 2 of 3 images are not in the archive, the first is images/4"):
        load(path, 2)
    assert load(path, 2, 1).labels == (0,)


@pytest.mark.parametrize("there", ["图片.png", "鍥剧墖.png"])
def test_a_text_that_is_utf_8_and_gbk_is_told_by_the_files(tmp_path: Path, there: str) -> None:
    """The bytes of a name in UTF-8 are often those of another in GBK."""
    data = "图片.png".encode()
    assert data.decode("gb18030") == "鍥剧墖.png"
    write_folder(tmp_path, {there: b"1", "b.png": b"2"})
    file = tmp_path / "list.txt"
    file.write_bytes(b"b.png 1\n" + data + b" 0\n")
    dataset = load(file, 2)
    assert dataset.names == ("b.png", there)
    assert dataset.notes == (() if there == "图片.png" else ("read as GB18030",))


class TestImagesElsewhere:
    def test_are_found_in_the_only_folder_that_has_all(self, tmp_path: Path) -> None:
        write_folder(tmp_path, {"set/part/images/a.png": b"1", "set/part/images/b.png": b"2", "set/other/a.png": b"3"})
        (tmp_path / "set" / "lists").mkdir()
        file = tmp_path / "set" / "lists" / "val_list.txt"
        file.write_text("a.png 0\nb.png 1\n")
        dataset = load(file, 2)
        assert [dataset.read(i) for i in range(2)] == [b"1", b"2"]
        assert dataset.notes == everything(file).notes
        assert dataset.notes[0].startswith(f"its images are in {tmp_path / 'set' / 'part' / 'images'}")

    def test_in_several_are_refused(self, tmp_path: Path) -> None:
        write_folder(tmp_path, {"one/a.png": b"", "two/a.png": b"", "lists/l.txt": b"a.png 0\n"})
        with pytest.raises(InputError, match=r"in each of .*one, .*two: say with --root which"):
            load(tmp_path / "lists" / "l.txt", 1)
        assert load(tmp_path / "lists" / "l.txt", 1, root=tmp_path / "two").notes == ()

    def test_in_part_are_missing(self, tmp_path: Path) -> None:
        write_folder(tmp_path, {"one/a.png": b"", "lists/l.txt": b"a.png 0\nb.png 0\n"})
        with pytest.raises(InputError, match=r"line 1: 2 of 2 images are missing.*--root"):
            load(tmp_path / "lists" / "l.txt", 1)


class TestWords:
    def make(self, folder: Path, labels: list[str]) -> Path:
        write_folder(folder, {f"{i}.png": b"" for i in range(len(labels))})
        (folder / "l.txt").write_text("".join(f"{i}.png\t{label}\n" for i, label in enumerate(labels)))
        return folder / "l.txt"

    def test_wordnet_ids_go_by_the_file_beside_or_the_one_that_was_given(self, tmp_path: Path) -> None:
        file = self.make(tmp_path, [SYNSETS[5], SYNSETS[2]])
        with pytest.raises(InputError, match=r"2 classes, but the model has 7.*--synsets"):
            load(file, 7)
        given = write_folder(tmp_path / "x", {"order.txt": "\n".join(reversed(SYNSETS)).encode()}) / "order.txt"
        assert load(file, 7, synsets=given).labels == (1, 4)
        (tmp_path / "synset_words.txt").write_text("".join(f"{name} a, b\n" for name in SYNSETS))
        dataset = load(file, 7)
        assert dataset.labels == (5, 2)
        assert dataset.class_names == {5: SYNSETS[5], 2: SYNSETS[2]}
        assert str(dataset.order) == "proven: by synset_words.txt"
        assert load(file, 7, synsets=given).labels == (1, 4)

    def test_all_of_them_are_in_sorted_order(self, tmp_path: Path) -> None:
        dataset = load(self.make(tmp_path, ["zebra", "ant", "my dog", "ant"]), 3)
        assert dataset.labels == (2, 0, 1, 0)
        assert dataset.order
        assert not dataset.order.proven
        assert "sorted names" in dataset.order.basis

    def test_and_numbers_do_not_go_together(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match=r"line 3: label 'cat', where line 1 has '0'"):
            load(self.make(tmp_path, ["0", "1", "cat"]), 3)

    def test_in_the_names_of_images(self, tmp_path: Path) -> None:
        files = {f"val_{i}_{SYNSETS[label]}.JPEG": b"%d" % label for i, label in enumerate([3, 0, 3, 6])}
        folder = write_folder(tmp_path / "flat", files)
        with pytest.raises(InputError, match="3 classes, but the model has 7"):
            load(folder, 7)
        (tmp_path / "order").write_text("\n".join(SYNSETS))
        assert load(folder, 7, synsets=tmp_path / "order").labels == (3, 0, 3, 6)
        dataset = load(folder, 3)
        assert dataset.labels == (1, 0, 1, 2)
        assert dataset.notes[0] == "labels of the WordNet ids in the names"


@pytest.mark.parametrize("names", ["0 ok\n1 bad\n2 torn\n", "ok\nbad\ntorn\n", "2 torn\n0 ok\n1 bad\n"])
def test_a_data_folder_of_paddlex(tmp_path: Path, names: str) -> None:
    files = {
        "images/a.bmp": b"1",
        "images/b.bmp": b"2",
        "train.txt": b"",
        "val.txt": b"images/a.bmp 2\nimages/b.bmp 0\n",
    }
    write_folder(tmp_path, {**files, "labels.txt": names.encode()})
    dataset = load(tmp_path, 3)
    assert dataset.labels == (2, 0)
    assert dataset.class_names == {0: "ok", 1: "bad", 2: "torn"}
    with pytest.raises(InputError, match=r"labels\.txt: names 3 classes, but the model has 1000"):
        load(tmp_path, 1000)


def test_a_list_of_images_that_are_missing_is_one_line(tmp_path: Path) -> None:
    write_folder(tmp_path, {"a.png": b"", "l.txt": b"a.png\t1\ngone.png\t2\n"})
    with pytest.raises(InputError) as caught:
        everything(tmp_path / "l.txt")
    assert caught.value.message.startswith(f"--inputs {tmp_path / 'l.txt'}, line 2: 1 of 2 images are missing")
    assert "\n" not in caught.value.message


def test_a_long_list_is_read_in_one_go(tmp_path: Path) -> None:
    """Each image is looked at a few times, however many there are: this would take minutes if it went as the square."""
    (tmp_path / "val").mkdir()
    for i in range(2000):
        (tmp_path / "val" / f"{i}.png").touch()
    (tmp_path / "l.txt").write_text("".join(f"val\\{i}.png,{i % 10}\n" for i in range(2000)))
    begin = time.process_time()
    assert len(load(tmp_path / "l.txt", 10, 500).names) == 500
    assert time.process_time() - begin < 60
