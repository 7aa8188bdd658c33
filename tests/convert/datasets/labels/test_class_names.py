"""From class names to labels, and the lists that say their order."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convert.common.errors import InputError
from convert.datasets.labels import imagenet
from convert.datasets.labels.class_names import Known, class_labels, named_labels
from convert.datasets.labels.label_files import parse_json, parse_lines, read_label_file
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
    with pytest.raises(
        InputError, match=r"2 is label 2 as one of the numbers.* label 3 sorted as text.*give --synsets"
    ):
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
        assert read_label_file(tmp_path / name).names == SYNSETS


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.txt", " \n", "the synset list is empty"),
        ("a.txt", "n01440764 tench\nn01440764 tench\n", "n01440764 is there twice"),
        ("a.json", '{"0": ["n01440764", "tench"], "2": ["n01443537", "goldfish"]}', "are not 0 to 1"),
        ("a.json", '{"0": 3}', "the labels of its classes are not 0 to 0"),
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
        read_label_file(tmp_path / name)
    assert message in caught.value.message
    assert str(tmp_path / name) in caught.value.message
    assert "\n" not in caught.value.message


def test_a_list_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="a synset list cannot be read"):
        read_label_file(tmp_path / "absent.txt")
    with pytest.raises(InputError, match="a folder where a synset list should be"):
        read_label_file(tmp_path)


synsets = st.from_regex(r"n[0-9]{8}", fullmatch=True)
words = st.text(st.characters(exclude_characters="\r\n", exclude_categories=("Cs", "Cc")), max_size=20)


@given(st.lists(st.tuples(synsets, words), min_size=1, unique_by=lambda entry: entry[0]))
def test_what_is_written_is_read_back(entries: list[tuple[str, str]]) -> None:
    expected = [synset for synset, _ in entries]
    lines = "".join(f"{synset} {name}\n" for synset, name in entries)
    assert [first for first, *_ in parse_lines(lines, "list")] == expected
    index = json.dumps({i: list(entry) for i, entry in enumerate(entries)})
    assert [first for first, *_ in parse_json(index, "list")] == expected


@given(st.text() | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(json.dumps))
def test_any_text_is_read_or_refused(text: str) -> None:
    for parse in (parse_lines, parse_json):
        try:
            names = parse(text, "list")
        except InputError as error:
            assert error.message.startswith("list")  # noqa: PT017 - what matters is that nothing else is raised
        else:
            assert names


@given(st.sets(st.text(min_size=1), min_size=1, max_size=20))
def test_labels_are_a_bijection(names: set[str]) -> None:
    try:
        labels = class_labels(names, "tree", len(names))
    except InputError:
        return  # numbers of several lengths
    assert sorted(labels.values()) == list(range(len(names)))
    assert sorted(labels, key=labels.__getitem__) == sorted(names)


def test_a_label_file_beside_the_folders_decides(tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("wolf\nbear\n")
    found = named_labels(["bear", "wolf"], "tree", Known(2, beside=read_label_file(tmp_path / "labels.txt")))
    assert found.labels == {"wolf": 0, "bear": 1}
    assert str(found.order) == "proven: by labels.txt"
    assert str(named_labels(["bear", "wolf"], "tree", Known(2)).order) == "assumed: sorted names of classes"
    with pytest.raises(InputError, match=r"1 of 2 classes are not in .*labels\.txt: fox; give --synsets"):
        named_labels(["bear", "fox"], "tree", Known(2, beside=read_label_file(tmp_path / "labels.txt")))


def test_the_models_own_names_decide() -> None:
    own = ["Red fox", "arctic wolf", "bear"]
    found = named_labels(["arctic_wolf", "bear", "red_fox"], "tree", Known(3, own))
    assert found.labels == {"red_fox": 0, "arctic_wolf": 1, "bear": 2}
    assert str(found.order) == "proven: the model's own class names"
    assert named_labels(["bear"], "tree", Known(3, own)).labels == {"bear": 2}  # of a part, too
    with pytest.raises(InputError, match=r"1 of 3 classes are none or several of the model's own class names: cat"):
        named_labels(["arctic_wolf", "bear", "cat"], "tree", Known(3, own))
    assert not named_labels(["x", "y", "z"], "tree", Known(3, own)).order.proven


def test_a_file_that_contradicts_the_model(tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("a\nb\n")
    with pytest.raises(InputError, match=r"labels\.txt: a is label 0 there and 1 by the model's own names; give"):
        named_labels(["a", "b"], "tree", Known(2, ["b", "a"], beside=read_label_file(tmp_path / "labels.txt")))
    found = named_labels(["a", "b"], "tree", Known(2, ["b", "a"], synsets=tmp_path / "labels.txt"))
    assert found.labels == {"a": 0, "b": 1}  # who names a file means it, and is told
    assert "although a is label 0 there" in found.order.basis


def test_imagenets_ids_and_names() -> None:
    part = [imagenet.classes()[label] for label in (700, 3, 55)]
    found = named_labels([one.wordnet_id for one in part], "tree", Known(1000))
    assert (list(found.labels.values()), str(found.order)) == ([700, 3, 55], "proven: WordNet ids")
    names = [one.names.split(", ")[0].replace(" ", "_") for one in part]
    found = named_labels(names, "tree", Known(1000))
    assert (sorted(found.labels.values()), str(found.order)) == ([3, 55, 700], "proven: ImageNet's class names")
    with pytest.raises(
        InputError, match=r"1 of 4 classes are none or several of ImageNet's class names: unicorn; give"
    ):
        named_labels([*names, "unicorn"], "tree", Known(1000))
    found = named_labels(["goldfish", "n01440764"], "tree", Known(1000))
    assert (found.labels, str(found.order)) == ({"goldfish": 1, "n01440764": 0}, "proven: ImageNet's class names")
    with pytest.raises(InputError, match="2 classes, but the model has 1000"):
        named_labels(["ok", "ng"], "tree", Known(1000))


class TestNumbers:
    def test_of_one_width_are_what_they_say(self) -> None:
        found = named_labels([f"{n:03d}" for n in range(12)], "tree", Known(12))
        assert found.labels["011"] == 11
        assert str(found.order) == "assumed: names of folders as numbers that count from 0"
        found = named_labels([f"{n:03d}" for n in range(1, 13)], "tree", Known(12))
        assert found.labels["012"] == 11
        assert "count from 1" in str(found.order)

    def test_a_part_of_the_classes(self) -> None:
        assert named_labels(["482", "0", "217"], "tree", Known(900)).labels == {"0": 0, "217": 217, "482": 482}
        with pytest.raises(InputError, match="numbers, 3 to 901, but the model has 900 classes"):
            named_labels(["3", "901"], "tree", Known(900))

    @pytest.mark.parametrize(
        ("reading", "words"),
        [
            (lambda label: label, "numbers that count from 0"),
            (lambda label: label + 1, "numbers that count from 1"),
            (lambda label: sorted(map(str, range(1000))).index(str(label)), None),
            (lambda label: imagenet.classes()[label].number, "the ILSVRC devkit's numbers"),
        ],
    )
    def test_images_of_imagenet_tell_the_readings_apart(self, reading: Any, words: str | None) -> None:
        folder_of = {str(reading(label)): label for label in range(1000)}
        members = {
            name: [
                f"ILSVRC2012_val_{number:08d}.JPEG" for number, known in imagenet.VALIDATION.items() if known == label
            ]
            for name, label in folder_of.items()
        }
        if words is None:
            with pytest.raises(InputError, match="contradict what is known"):
                named_labels(folder_of, "tree", Known(1000, members=members))
            return
        found = named_labels(folder_of, "tree", Known(1000, members=members))
        assert found.labels == folder_of
        assert str(found.order).startswith(f"proven: {words}, by 43 images of ImageNet")

    def test_a_part_that_counts_from_one(self) -> None:
        numbers = {"0517": 5, "0066": 1, "0231": 3}
        members = {name: [f"ILSVRC2012_val_{number:08d}.JPEG"] for name, number in numbers.items()}
        found = named_labels(members, "tree", Known(1000, members=members))
        assert found.labels == {"0517": 516, "0066": 65, "0231": 230}
        assert str(found.order).startswith("proven: numbers that count from 1")
        members["0001"] = ["x.png"]
        assert named_labels(members, "tree", Known(1000, members=members)).labels["0001"] == 0, "the first class"

    def test_a_folder_of_number_zero_counts_from_zero(self) -> None:
        members = {"0000": ["x.png"], "0517": ["ILSVRC2012_val_00000005.JPEG"]}
        with pytest.raises(InputError, match=r"contradict .*\(516, here 517\)"):
            named_labels(members, "tree", Known(1000, members=members))

    def test_a_number_that_is_no_label_of_either_reading(self) -> None:
        members = {"1500": ["x.png"], "0517": ["ILSVRC2012_val_00000005.JPEG"]}
        with pytest.raises(InputError, match=r"contradict .*\(516, here 517\)"):
            named_labels(members, "tree", Known(1000, members=members))

    def test_zero_among_them_and_the_number_of_classes(self) -> None:
        assert named_labels(["0", "2"], "tree", Known(5)).labels == {"0": 0, "2": 2}
        assert named_labels(["1", "2"], "tree", Known(5)).labels == {"1": 0, "2": 1}
        assert named_labels(["3", "5"], "tree", Known(5)).labels == {"3": 2, "5": 4}
        with pytest.raises(InputError, match="numbers, 0 to 5, but the model has 5 classes"):
            named_labels(["0", "5"], "tree", Known(5))
        assert named_labels(["0", "5"], "tree", Known()).labels == {"0": 0, "5": 5}

    def test_without_them_two_readings_are_refused(self) -> None:
        with pytest.raises(InputError, match=r"2 is label 2 as one of .* count from 0, and label 112 sorted as text"):
            named_labels([str(n) for n in range(1000)], "tree", Known(1000))


def test_wordnet_ids_follow_the_order_of_the_models_own_names() -> None:
    """Of a model that was trained on ImageNet's classes in another order."""
    own = [one.names for one in reversed(imagenet.classes())]
    ids = [imagenet.classes()[label].wordnet_id for label in (4, 700)]
    found = named_labels(ids, "tree", Known(1000, own))
    assert list(found.labels.values()) == [995, 299]
    assert str(found.order) == "proven: WordNet ids, in the order of the model's own class names"
    others = [f"thing {number}" for number in range(1000)]
    with pytest.raises(InputError, match="2 classes, but the model has 1000"):
        named_labels(ids, "tree", Known(1000, others))


def test_numbers_are_not_held_against_imagenet_where_the_model_has_another_order() -> None:
    own = [one.names for one in reversed(imagenet.classes())]
    truth = {1: 65, 2: 970, 3: 230, 4: 809}
    members = {str(999 - label): [f"{999 - label}/ILSVRC2012_val_{n:08d}.JPEG"] for n, label in truth.items()}
    found = named_labels(list(members), "tree", Known(1000, own, members=members))
    assert found.labels == {name: int(name) for name in members}
    with pytest.raises(InputError, match="contradict"):
        named_labels(list(members), "tree", Known(1000, members=members))


def test_a_label_file_that_does_not_fit_is_named(tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("# the classes\nwolf\nbear\n")
    found = named_labels(["bear", "wolf"], "tree", Known(2, beside=read_label_file(tmp_path / "labels.txt")))
    unused = "labels.txt is not used: it has 3 classes, and the model 2"
    assert str(found.order) == f"assumed: sorted names of classes; {unused}"
