"""Labels kept apart from the images: whose label is on which line, and in which class order they are."""

from __future__ import annotations

import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from convert.common.errors import InputError
from convert.datasets.files import decode, is_file, is_folder, read_bytes
from convert.datasets.image_kinds import is_image_name
from convert.datasets.image_lists import LIST_FILE, is_number, shortened, unquoted
from convert.datasets.labelled_set import check_labels
from convert.datasets.labels import words
from convert.datasets.labels.class_order import ClassOrder
from convert.datasets.labels.devkit import (
    DEVKIT,
    TRUTH_FILE,
    Meta,
    find_meta,
    first_id,
    in_synset_order,
    refuse_synsets,
    to_labels,
)
from convert.datasets.labels.imagenet import image_number
from convert.datasets.labels.label_files import find_order
from convert.datasets.labels.meta import META_BYTES, META_FILE
from convert.datasets.tables import entries
from convert.datasets.trees import DiskTree

ARCHIVE = f"{DEVKIT}.tar.gz"
_LISTS = ("val.txt", "LOC_val_solution.csv")  # Caffe's and PaddleX' name of the list, and Kaggle's table
WANTED = f"`name label` lines, 0-based in synset order, or the devkit's {TRUTH_FILE} with {META_FILE} beside it"


@dataclass(frozen=True)
class Truth:
    """A ground truth, not yet parsed.

    source: what InputError calls it. devkit: it is the devkit's by its name. meta: the meta.mat that was beside it.
    synsets: the classes in label order, where the user gave them.
    """

    path: Path
    source: str
    data: bytes
    devkit: bool
    meta: Meta | None
    synsets: Path | None


@dataclass(frozen=True)
class LabelledNames:
    """Names of the images that have a label, with it. listed: how many the ground truth labels.

    class_names, order: as in `LabelledSet`.
    """

    names: list[str]
    labels: list[int]
    listed: int
    class_names: dict[int, str] | None = None
    order: ClassOrder | None = None


def find_truth(images: Path, given: Path | None, synsets: Path | None) -> Truth:
    """The ground truth that was given (a file, a devkit's folder or its archive), else one beside the images.

    images: their folder or archive. InputError: there is none.
    """
    if given is not None:
        return _open(given, synsets)
    folder = images if is_folder(images) else images.parent
    for place in (folder, folder.resolve().parent):
        for name in (LIST_FILE, *_LISTS, TRUTH_FILE, DEVKIT, ARCHIVE):
            path = place / name
            if is_folder(path) if name == DEVKIT else is_file(path):
                return _open(path, synsets)
    raise InputError(f"{images}: images without labels; give --ground-truth: {WANTED}")


def _open(path: Path, synsets: Path | None) -> Truth:
    if is_folder(path):
        found = [place / TRUTH_FILE for place in (path, path / "data", path / DEVKIT / "data")]
        file = next((file for file in found if is_file(file)), None)
        if file is None:
            raise InputError(f"--ground-truth {path}: holds no {TRUTH_FILE}; give {WANTED}")
        path = file
    elif path.name.endswith((".tar.gz", ".tgz")):
        return _from_archive(path, synsets)
    data = read_bytes(path, "a ground truth")
    return Truth(path, str(path), data, path.name == TRUTH_FILE, find_meta(path.parent, synsets), synsets)


def _from_archive(path: Path, synsets: Path | None) -> Truth:
    files: dict[str, bytes] = {}
    try:
        with tarfile.open(path, "r:gz") as archive:
            for member in archive:
                name = PurePosixPath(member.name).name
                if name in (TRUTH_FILE, META_FILE) and member.isfile() and member.size <= META_BYTES:
                    stream = archive.extractfile(member)
                    assert stream is not None
                    files[name] = stream.read()
    except (OSError, EOFError, tarfile.TarError) as error:
        raise InputError(f"{path}: the devkit's archive cannot be read ({error})") from None
    if TRUTH_FILE not in files:
        raise InputError(f"{path}: holds no {TRUTH_FILE}; give {WANTED}")
    meta = Meta(files[META_FILE], f"{path}: {META_FILE}") if META_FILE in files else None
    meta = find_meta(path.parent, synsets) or meta
    return Truth(path, f"{path}: {TRUTH_FILE}", files[TRUTH_FILE], True, meta, synsets)


def pair(available: Sequence[str], holder: Path, truth: Truth, classes: int | None) -> LabelledNames:
    """Give the images their labels: by their names where the lines have names, else by the number in their names.

    available: the names of the images that holder, a folder or an archive, has. Lines with names are the set, in their
    order, and each must have its image. Lines of numbers alone stand for images 1, 2, ..., not all of which need to be
    there. InputError otherwise, and for labels that are out of range or whose class order cannot be told.
    """
    text = decode(truth.data, truth.source, "a ground truth")
    first_line = next((line for line in text.split("\n") if line.strip()), "")
    match = _by_number if is_number(first_line) else _by_name
    return match(available, holder, truth, text, classes)


def _by_name(available: Sequence[str], holder: Path, truth: Truth, text: str, classes: int | None) -> LabelledNames:
    listed = entries(text, truth.source)
    wanted = [PurePosixPath(unquoted(path).replace("\\", "/")).name for path in listed.names]
    listed.refuse_duplicates(wanted)
    order = find_order([DiskTree(truth.path.parent)])
    mapped = words.of_list(listed, classes, truth.synsets, truth.meta, order)
    plain = bool(wanted) and not is_image_name(wanted[0])  # Kaggle's table has names without a suffix
    known: dict[str, str] = {}
    asked = set(wanted)
    for name in available:
        path = PurePosixPath(name)
        other = known.setdefault(path.stem if plain and path.name not in asked else path.name, name)
        if other != name:
            raise InputError(
                f"{holder}: {other} and {name} have the same name, so that the list cannot tell them apart"
            )
    missing = [index for index, name in enumerate(wanted) if name not in known]
    if missing:
        count = f"{len(missing)} of {len(wanted)} images are not in {holder}"
        raise InputError(f"{listed.where(missing[0])}: {count}, the first is {listed.names[missing[0]]}")
    names = [known[name] for name in wanted]
    return LabelledNames(names, mapped.labels, len(wanted), mapped.class_names, mapped.order)


def _by_number(available: Sequence[str], holder: Path, truth: Truth, text: str, classes: int | None) -> LabelledNames:
    labels = _ordered(parse_numbers(text, truth.source), truth, classes)
    numbers: dict[int, str] = {}
    for name in available:
        number = image_number(name)
        if number is None:
            raise InputError(
                f"{holder}: {name} has no number as in ILSVRC2012_val_00000001.JPEG, and {truth.source} has no names"
            )
        if number in numbers:
            raise InputError(f"{holder}: {numbers[number]} and {name} are both image {number}")
        numbers[number] = name
    beyond = sorted(number for number in numbers if not 1 <= number <= len(labels))
    if beyond:
        count = f"{len(beyond)} of {len(numbers)} images of {holder} have no line"
        raise InputError(f"{truth.source}: {len(labels)} labels, and {count}, the first is {numbers[beyond[0]]}")
    order = sorted(numbers)
    return LabelledNames([numbers[number] for number in order], [labels[number - 1] for number in order], len(labels))


def parse_numbers(text: str, source: str) -> list[int]:
    """One whole number a line; blank lines at the end only, since a line's place is its image's number."""
    lines = text.rstrip().split("\n")
    for number, line in enumerate(lines, start=1):
        if not is_number(line):
            what = f"{shortened(line)} is" if line.strip() else "a blank line is"
            raise InputError(f"{source}, line {number}: {what} no label; one whole number a line is expected")
    return [int(line) for line in lines]


def _ordered(labels: list[int], truth: Truth, classes: int | None) -> list[int]:
    """The labels in synset order. InputError when it cannot be told in which they are."""

    def where(index: int) -> str:
        return f"{truth.source}, line {index + 1}"

    by_number = dict(enumerate(labels, start=1))
    first = first_id(by_number)
    if first is None and truth.devkit:
        first = 1
    told = first is not None or in_synset_order(by_number) or min(labels) <= 0
    if not told and classes is not None and max(labels) < classes:
        raise InputError(
            f"{truth.source}: its labels are {min(labels)} to {max(labels)}, and whether they count from 0 in synset"
            " order or are the ILSVRC devkit's cannot be told; write `name label` lines"
        )
    if first is not None:
        return to_labels(labels, first, truth.meta, where, truth.source, classes, truth.synsets)
    refuse_synsets(truth.source, truth.synsets)
    check_labels(labels, classes, where)
    return labels
