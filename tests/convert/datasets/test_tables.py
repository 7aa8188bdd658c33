"""Tables with a header, and which of their columns are meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from convert.common.errors import InputError
from convert.datasets import load
from convert.datasets.tables import Columns, entries
from tests.convert.datasets.written_sets import write_folder


@pytest.mark.parametrize(
    ("text", "names", "words"),
    [
        ("path,class\nx/1.png,4\nx/2.png,0\n", ["x/1.png", "x/2.png"], ["4", "0"]),
        ("id\tImage Path\tTarget\n7\tx/1.png\t4\n", ["x/1.png"], ["4"]),
        ("\n\nimg;label\n1.png;3.0\n", ["1.png"], ["3"]),
        ('file,label\n"a, b.png",dog\n"it\'s.png",cat\n', ["a, b.png", "it's.png"], ["dog", "cat"]),
        ('file,label\n"two\nlines.png",1\n', ["two\nlines.png"], ["1"]),
        ("image_id,path,label\n9,a.png,1\n", ["a.png"], ["1"]),  # the column whose value is the name of an image
        ("ImageId,PredictionString\nval_9,n01440764 1 2 3 4 n01440764 5 6 7 8 \n", ["val_9"], ["n01440764"]),
        ("path label\na b.png 5\n", ["a b.png"], ["5"]),
        ("path label\na.png\tb c\n\nd.png\te\n", ["a.png", "d.png"], ["b c", "e"]),
        ("path labels of it\na.png 5\n", ["path labels of it", "a.png"], [None, "5"]),
        ("label path\na.png 5\n", ["label path", "a.png"], [None, "5"]),
        ("filename,category\n a.png , dog \n", ["a.png"], ["dog"]),
        (
            "path,label\na.png,\nb.png,0.0\nc.png,1.5\nd.png,-1.00\n",
            ["a.png", "b.png", "c.png", "d.png"],
            [None, "0", "1.5", "-1"],
        ),
        ("path,label\n\n,\na.png,1\n", ["a.png"], ["1"]),
        ("path,label\na.png,1\n , \nb.png,2\n", ["a.png", "b.png"], ["1", "2"]),
        ("ImageId,PredictionString\nval_9,\nval_8,n01440764\n", ["val_9", "val_8"], [None, "n01440764"]),
        ("wnid;path\nn01440764;x,y.png\n", ["x,y.png"], ["n01440764"]),
        ("path,label\n", [], []),
        ("", [], []),
        ("1.png,label\n2.png,3\n", ["1.png", "2.png"], ["label", "3"]),  # no header: there is an image in it
        ("path,5\n", ["path"], ["5"]),
        ("n01440764,label\n", ["n01440764,label"], [None]),
        ("a.png,5\nb, c.png,6\n", ["a.png", "b, c.png"], ["5", "6"]),  # a list, with commas
        ("a.png\ttabby cat\n", ["a.png"], ["tabby cat"]),
    ],
)
def test_columns_are_found_by_their_names(text: str, names: list[str], words: list[str]) -> None:
    for ending in ("\n", "\r\n"):
        found = entries(text if '"two' in text else text.replace("\n", ending), "t.txt")
        assert (found.names, found.words) == (names, words)


@pytest.mark.parametrize(
    ("text", "columns", "message"),
    [
        ("a,b\n1.png,2\n", None, r"which of the columns a, b is the image\? say it with --columns image=NAME"),
        ("img,b\n1.png,2\n", None, r"which of the columns img, b is the label\?"),
        ("path,label,target\n1.png,2,3\n", None, "which column is the label, label or target"),
        ("path,label,Split\n1.png,2,train\n2.png,2,test\n", None, "column Split has test, train: give a table with"),
        ("path,label,label_id\n1.png,cat,2\n", None, "which column is the label, label or label_id"),
        ("path,label\n1.png,2\n", "image=pic", "no column pic .* among path, label"),
        ("path,label\n1.png,2,3\n", None, "line 2: 3 columns where the first line names 2"),
        ("path,label\n,2\n", None, "line 2: no image in column path"),
        ("a.png 1\n", "label=x", "--columns is for tables"),
        ("ImageId,PredictionString\nx,n01440764 1 2 3 4 n01443537 5 6 7 8\n", None, "line 2: objects of several"),
    ],
)
def test_columns_that_cannot_be_told(text: str, columns: str | None, message: str) -> None:
    with pytest.raises(InputError, match=message):
        entries(text, "t.csv", Columns.parse(columns))


@pytest.mark.parametrize("text", ["", "image", "img=a", "image=", "image=a,image=b"])
def test_columns_of_another_form(text: str) -> None:
    with pytest.raises(InputError, match="image=NAME,label=NAME is expected"):
        Columns.parse(text)


@pytest.mark.parametrize("name", ["t.csv", "T.TSV", "t.txt"])
def test_one_column_alone_is_a_header_in_a_table(name: str) -> None:
    found = entries("path\na.png\nb.png\n", name, labelled=False)
    assert found.names == (["path", "a.png", "b.png"] if name == "t.txt" else ["a.png", "b.png"])
    assert entries("things\na.png\n", name, labelled=False).names == ["things", "a.png"]


@pytest.mark.parametrize(("name", "header"), [("t.csv", True), ("T.CSV", True), ("t.txt", False)])
def test_a_header_of_unknown_words(name: str, header: bool) -> None:
    text = "a,b\n1.png,2\n"
    if header:
        with pytest.raises(InputError, match="which of the columns a, b is the image"):
            entries(text, name)
    else:
        assert entries(text, name).words == [None, "2"]
    assert entries(text, name, Columns("a", "b")).words == ["2"]
    assert entries("a,label\n1.png,2\n", name, Columns(image="a")).words == ["2"]


def test_labels_that_nobody_needs_may_be_in_any_column() -> None:
    found = entries("path,label,target\n1.png,2,3\n", "t.csv", labelled=False)
    assert (found.names, found.words, found.lines) == (["1.png"], [None], [2])
    with pytest.raises(InputError, match="which column is the image, path or file"):
        entries("path,file,label\nx,y,3\n", "t.csv")
    with pytest.raises(InputError, match="line 2: 1 columns where the first line names 3"):
        entries("label,path,file\nx\n", "t.csv", labelled=False, columns=Columns(image="file"))
    with pytest.raises(InputError, match="which column is the image, path or file"):
        entries("label,path,file\nx\n", "t.csv", labelled=False)


def test_lines_are_those_of_the_file() -> None:
    found = entries('\n\npath,label\n\n"a\nb.png",1\nc.png,2\n', "t.csv")
    assert found.lines == [6, 7]
    assert found.where(1) == "t.csv, line 7"


def test_a_field_without_an_end() -> None:
    with pytest.raises(InputError, match=r"t\.csv, line 2: no table with columns \(field larger"):
        entries('path,label\n"' + "x" * 200_000, "t.csv")


@pytest.mark.parametrize("text", ["image=a,label=b", " image = a , label= b "])
def test_columns_as_they_are_given(text: str) -> None:
    assert Columns.parse(text) == Columns("a", "b")
    assert Columns.parse(None) == Columns()
    assert [bool(Columns.parse(text)) for text in (None, "image=a", "label=b")] == [False, True, True]


def test_columns_that_are_named(tmp_path: Path) -> None:
    write_folder(
        tmp_path, {"p/1.png": b"1", "p/2.png": b"2", "t.csv": b"where,coarse,fine\np/1.png,0,3\np/2.png,1,2\n"}
    )
    dataset = load(tmp_path / "t.csv", 4, columns="image=where,label=fine")
    assert dataset.names == ("p/1.png", "p/2.png")
    assert dataset.labels == (3, 2)
    with pytest.raises(InputError, match="--columns is for csv, parquet and json"):
        load(write_folder(tmp_path / "tree", {"a/1.png": b""}), 1, columns="label=fine")


def test_kaggles_table_with_the_images_in_the_folder_of_its_archive(tmp_path: Path) -> None:
    ids = ["n02000000", "n01000000", "n03000000"]  # in the model's order, which is not the sorted one
    rows = "".join(f"img_{i},{name} 1 2 3 4\n" for i, name in enumerate(reversed(ids)))
    files = {f"ILSVRC/Data/CLS-LOC/val/img_{i}.JPEG": b"%d" % i for i in range(3)}
    files["LOC_val_solution.csv"] = b"ImageId,PredictionString\n" + rows.encode()
    files["LOC_synset_mapping.txt"] = "".join(f"{name} some, words\n" for name in ids).encode()
    dataset = load(write_folder(tmp_path, files), 3)
    assert dataset.labels == (2, 1, 0)
    assert [dataset.read(i) for i in range(3)] == [b"0", b"1", b"2"]
    assert dataset.class_names == dict(enumerate(ids))
    (note,) = dataset.notes
    assert "CLS-LOC/val" in note
    assert str(dataset.order) == "proven: by LOC_synset_mapping.txt"


def test_a_stray_carriage_return_is_no_fault_of_vitbench() -> None:
    with pytest.raises(InputError, match=r"t\.csv: its first line cannot be read"):
        entries("path,la\rbel\n1.png,2\n", "t.csv")
