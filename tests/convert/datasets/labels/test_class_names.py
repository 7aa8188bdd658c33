"""From class names to labels, and the lists that say their order."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convert.common.errors import InputError
from convert.datasets.labels.class_names import class_labels, parse_class_index, parse_synsets, read_synsets
from tests.convert.datasets.written_sets import IDS, SYNSETS, write_meta


def test_all_classes_have_their_sorted_place() -> None:
    assert class_labels({"cat", "ant", "bee"}, "tree", 3) == {"ant": 0, "bee": 1, "cat": 2}
    assert class_labels({"cat", "ant"}, "tree", None) == {"ant": 0, "cat": 1}


def test_a_part_of_the_classes_is_never_mapped_by_place(tmp_path: Path) -> None:
    part = [SYNSETS[5], SYNSETS[2]]
    with pytest.raises(InputError, match=r"tree: 2 classes, but the model has 7: .*give all 7 .*--synsets"):
        class_labels(part, "tree", 7)
    file = tmp_path / "LOC_synset_mapping.txt"
    file.write_text("".join(f"{synset} a name, another\n" for synset in SYNSETS))
    assert class_labels(part, "tree", 7, file) == {SYNSETS[5]: 5, SYNSETS[2]: 2}


def test_the_list_decides_the_order(tmp_path: Path) -> None:
    file = tmp_path / "classes.txt"
    file.write_text("polar bear\nblack bear\n")
    assert class_labels(["black bear", "polar bear"], "tree", 2, file) == {"black bear": 1, "polar bear": 0}


def test_more_classes_than_the_model_has() -> None:
    with pytest.raises(InputError, match="tree: 3 classes, but the model has 2; give --synsets"):
        class_labels(["a", "b", "c"], "tree", 2)


def test_names_that_the_list_lacks_are_named(tmp_path: Path) -> None:
    file = tmp_path / "list.txt"
    file.write_text("a\nb\n")
    with pytest.raises(InputError, match=r"tree: 2 of 3 classes are not in .*list\.txt: x, y"):
        class_labels(["y", "a", "x"], "tree", None, file)
    with pytest.raises(InputError, match=r"list\.txt: 2 classes, but the model has 3"):
        class_labels(["a"], "tree", 3, file)


def test_numbers_that_sort_otherwise_as_text(tmp_path: Path) -> None:
    names = [str(number) for number in range(11)]
    with pytest.raises(InputError, match=r"sorted as text \(0, 1, 10 and 8 more\).*give --synsets"):
        class_labels(names, "tree", 11)
    assert class_labels([f"{number:02d}" for number in range(11)], "tree", 11)["10"] == 10
    file = tmp_path / "list.txt"
    file.write_text("\n".join(names))
    assert class_labels(names, "tree", 11, file)["10"] == 10


def test_every_kind_of_list_gives_the_same(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("".join(f"{synset} name\n" for synset in SYNSETS))
    (tmp_path / "b.json").write_text(json.dumps({str(i): [synset, "name"] for i, synset in enumerate(SYNSETS)}))
    (tmp_path / "c.json").write_text(json.dumps(SYNSETS))
    write_meta(tmp_path / "meta.mat", dict(zip(IDS, SYNSETS, strict=True)))
    for name in ("a.txt", "b.json", "c.json", "meta.mat"):
        assert read_synsets(tmp_path / name) == SYNSETS


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.txt", " \n", "the synset list is empty"),
        ("a.txt", "n01440764 tench\nn01440764 tench\n", "n01440764 is there twice"),
        ("a.json", '{"0": ["n01440764", "tench"], "2": ["n01443537", "goldfish"]}', "are not 0 to 1"),
        ("a.json", '{"0": 3}', "not a class index"),
        ("a.json", '{"0": []}', "not a class index"),
        ("a.json", '{"0": [["n01440764"]]}', "not a class index"),
        ("a.json", '{"0": ', "not a class index"),
        ("a.json", "[" * 100_000, "not a class index"),
        ("meta.mat", "MATLAB 5.0 MAT-file", "not the meta.mat of the ILSVRC 2012 devkit"),
    ],
)
def test_bad_lists(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError) as caught:
        read_synsets(tmp_path / name)
    assert message in caught.value.message
    assert str(tmp_path / name) in caught.value.message
    assert "\n" not in caught.value.message


def test_a_list_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="a synset list cannot be read"):
        read_synsets(tmp_path / "absent.txt")
    with pytest.raises(InputError, match="a folder where a synset list should be"):
        read_synsets(tmp_path)


synsets = st.from_regex(r"n[0-9]{8}", fullmatch=True)
words = st.text(st.characters(exclude_characters="\r\n", exclude_categories=("Cs", "Cc")), max_size=20)


@given(st.lists(st.tuples(synsets, words), min_size=1, unique_by=lambda entry: entry[0]))
def test_what_is_written_is_read_back(entries: list[tuple[str, str]]) -> None:
    expected = [synset for synset, _ in entries]
    assert parse_synsets("".join(f"{synset} {name}\n" for synset, name in entries), "list") == expected
    assert parse_class_index(json.dumps({i: list(entry) for i, entry in enumerate(entries)}), "list") == expected


@given(st.text() | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(json.dumps))
def test_any_text_is_read_or_refused(text: str) -> None:
    for parse in (parse_synsets, parse_class_index):
        try:
            names = parse(text, "list")
        except InputError as error:
            assert error.message.startswith("list")  # noqa: PT017 - what matters is that nothing else is raised
        else:
            assert names
            assert len(set(names)) == len(names)


@given(st.sets(st.text(min_size=1), min_size=1, max_size=20))
def test_labels_are_a_bijection(names: set[str]) -> None:
    try:
        labels = class_labels(names, "tree", len(names))
    except InputError:
        return  # numbers of several lengths
    assert sorted(labels.values()) == list(range(len(names)))
    assert sorted(labels, key=labels.__getitem__) == sorted(names)
