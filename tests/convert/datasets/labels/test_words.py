"""Labels as sets write them, brought to the model's."""

from __future__ import annotations

from pathlib import Path

import pytest

from convert.common.errors import InputError
from convert.datasets.image_lists import LabelledList
from convert.datasets.labels.label_files import LabelFile
from convert.datasets.labels.words import MappedLabels, of_list, of_words


def listed(*labels: str | None) -> LabelledList:
    names = [f"{i}.png" for i in range(len(labels))]
    return LabelledList("list", [2 * i + 3 for i in range(len(labels))], names, list(labels))


def mapped(
    labels: LabelledList,
    classes: int | None,
    synsets: Path | None = None,
    order: LabelFile | None = None,
    names: LabelFile | None = None,
    own: list[str] | None = None,
) -> MappedLabels:
    return of_list(labels, classes, synsets, None, order, names, own)


def file(*names: str) -> LabelFile:
    return LabelFile("x/labels.txt", [(name,) for name in names])


def test_numbers_are_labels() -> None:
    assert mapped(listed("2", "0"), 3) == MappedLabels([2, 0])
    assert mapped(listed("2", "0"), None) == MappedLabels([2, 0])
    with pytest.raises(InputError, match=r"^list, line 5: label 3 is out of range"):
        mapped(listed("2", "3"), 3)


def test_numbers_with_names_beside() -> None:
    names = file("ok", "bad", "torn")
    expected = MappedLabels([2, 0], {0: "ok", 1: "bad", 2: "torn"}, ("class names of x/labels.txt",))
    assert mapped(listed("2", "0"), 3, names=names) == expected
    assert mapped(listed("2", "0"), None, names=names) == expected
    with pytest.raises(InputError, match=r"labels\.txt: names 3 classes, but the model has 4; take it away"):
        mapped(listed("2", "0"), 4, names=names)


def test_names_of_a_part_of_the_models_classes() -> None:
    own = ["torn", "new", "ok", "bad"]
    found = mapped(listed("2", "0", "1"), 4, names=file("ok", "bad", "torn"), own=own)
    assert found.labels == [0, 2, 3]
    assert found.class_names == {2: "ok", 3: "bad", 0: "torn"}
    assert found.notes == ("class names of x/labels.txt",)
    assert str(found.order) == "proven: the model's own class names"
    for names in (file("ok", "bad"), file("ok", "bad", "ok"), file("x", "y", "z")):  # too few, one twice, others
        with pytest.raises(InputError, match=rf"labels\.txt: names {len(names.names)} classes, but the model has 4"):
            mapped(listed("2", "0", "1"), 4, names=names, own=own)


@pytest.mark.parametrize(
    ("labels", "line"),
    [(["0", "cat"], 5), (["cat", "0"], 5), (["0", "1", "2", "cat"], 9), (["dog", "cat", "7", "9"], 7)],
)
def test_numbers_and_names_do_not_go_together(labels: list[str], line: int) -> None:
    with pytest.raises(InputError, match=rf"^list, line {line}: label '.*', where line 3 has '{labels[0]}': all have"):
        mapped(listed(*labels), None)


def test_a_line_without_a_label() -> None:
    with pytest.raises(InputError, match=r"^list, line 5: '1\.png' is not"):
        mapped(listed("cat", None), None)
    with pytest.raises(InputError, match="the list is empty"):
        mapped(listed(), None)


def test_names_go_by_the_file_that_was_given_then_by_the_one_beside(tmp_path: Path) -> None:
    words = listed("b", "c", "b")
    with pytest.raises(InputError, match="list: 2 classes, but the model has 3"):
        mapped(words, 3)
    assert mapped(words, 2).labels == [0, 1, 0]
    assert mapped(words, 3, names=file("c", "a", "b")).labels == [2, 0, 2]
    found = mapped(words, 3, order=file("a", "b", "c"), names=file("c", "a", "b"))
    assert (found.labels, found.class_names) == ([1, 2, 1], {1: "b", 2: "c"})
    assert str(found.order) == "proven: by labels.txt"
    (tmp_path / "given.txt").write_text("c\nb\na\n")
    found = mapped(words, 3, tmp_path / "given.txt", file("a", "b", "c"))
    assert (found.labels, str(found.order)) == ([1, 0, 1], "proven: by given.txt")
    assert mapped(words, 3, own=["a", "c", "b"]).labels == [2, 1, 2]


def test_classes_are_told_in_the_order_of_their_labels() -> None:
    found = of_words(["owl", "elk", "ant", "fox", "cat", "bee", "elk", "dog"], "set", None, None)
    assert list((found.class_names or {}).items()) == list(enumerate(["ant", "bee", "cat", "dog", "elk", "fox", "owl"]))


def test_words_alone() -> None:
    found = of_words(["b", "a", "b"], "set", 2, None)
    assert (found.labels, found.class_names, found.notes) == ([1, 0, 1], {0: "a", 1: "b"}, ())
    assert of_words(["b", "a"], "set", 2, None, file("b", "a")).labels == [0, 1]
    assert of_words(["b", "a"], "set", 2, None, own=["b", "a"]).labels == [0, 1]
