"""WebDataset samples: `0001.jpg` with its label in `0001.cls` or `0001.json`, in one tar or in shards."""

from __future__ import annotations

import json
import posixpath
from collections.abc import Sequence
from typing import Any

from convert.common.errors import InputError, listing
from convert.datasets.files import decode
from convert.datasets.image_kinds import is_image_name
from convert.datasets.image_lists import LabelledList
from convert.datasets.labelled_set import LabelledSet, limited, whole
from convert.datasets.labels import words
from convert.datasets.request import SetRequest
from convert.datasets.tables import is_label_column
from convert.datasets.trees import ArchiveTree, walk

_CLASS, _TABLE, _TEXT = "cls", "json", "cls.txt"


def samples(tree: ArchiveTree) -> dict[str, tuple[str, str]]:
    """Of each image that has a label beside it, the file with the label and its kind, by the image's path.

    A sample's key is its path up to the first dot of the file name. Source: WebDataset's description of the format.
    """
    files: dict[str, dict[str, str]] = {}
    for name in walk(tree):
        folder, last = posixpath.split(name)
        key, _, kind = last.partition(".")
        files.setdefault(posixpath.join(folder, key), {})[kind.lower()] = name
    found = {}
    for kinds in files.values():
        image = next((name for name in kinds.values() if is_image_name(name)), None)
        label = next((kind for kind in (_CLASS, _TEXT, _TABLE) if kind in kinds), None)
        if image is not None and label is not None:
            found[image] = kinds[label], label
    return found


def load_webdataset(tree: ArchiveTree, name: str, request: SetRequest, format: str = "webdataset") -> LabelledSet:
    """The samples in the order of the archive. name: of the set. InputError names the sample whose label is none."""
    found = samples(tree)
    read = [_label(tree, file, kind, request.columns.label) for file, kind in found.values()]
    names = list(found)
    without = [name for name in walk(tree) if is_image_name(name) and name not in found]
    if without:
        count, few = len(without), listing(without, 3)
        raise InputError(f"{tree.source}: {count} image{'s' * (count != 1)} without .cls or .json beside: {few}")
    listed = LabelledList(tree.source, list(range(1, len(names) + 1)), names, [*read])
    if listed.numbered:
        # Labels of a table are checked as those of a list, whose lines are the samples.
        mapped = words.of_list(listed, request.classes, request.synsets, None, None, own=request.own)
    else:
        mapped = words.of_words(read, tree.source, request.classes, request.synsets, own=request.own)
    dataset = whole(
        format,
        name,
        names,
        mapped.labels,
        lambda index: tree.image(names[index]),
        class_names=mapped.class_names,
        order=mapped.order,
    )
    return limited(dataset, request.limit)


def _label(tree: ArchiveTree, file: str, kind: str, column: str | None) -> str:
    source = f"{tree.source}/{file}"
    text = decode(tree.text(file, "a label"), source, "a label")
    word = text.strip() if kind != _TABLE else _of_table(text, source, column)
    if not word or len(word) > 200 or "\n" in word:
        raise InputError(f"{source}: no label: {word[:40]!r}; a number or the name of a class is expected")
    return word


def _of_table(text: str, source: str, column: str | None) -> str:
    try:
        table: Any = json.loads(text)
    except (ValueError, RecursionError):
        raise InputError(f"{source}: no JSON") from None
    if isinstance(table, int | str) and not isinstance(table, bool):
        return str(table)
    if not isinstance(table, dict):
        raise InputError(f"{source}: no label in it; an entry `label` is expected")
    keys: Sequence[str] = [column] if column is not None else [key for key in table if is_label_column(key)]
    keys = [key for key in keys if key in table]
    if len(keys) != 1:
        which = " or ".join(keys) if keys else f"none of {listing(map(str, table), 8)}"
        raise InputError(f"{source}: which entry is the label, {which}? say it with --columns label=NAME")
    value = table[keys[0]]
    if isinstance(value, bool) or not isinstance(value, int | str) or not str(value).strip():
        raise InputError(f"{source}: {keys[0]} is no label")
    return str(value).strip()
