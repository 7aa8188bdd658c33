"""Tables of images: a csv or tsv whose first line names the columns, Kaggle's LOC_val_solution.csv among them."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from convert.common.errors import InputError, listing
from convert.datasets.image_kinds import is_image_name
from convert.datasets.image_lists import LabelledList, is_number, parse_lines
from convert.datasets.labels.meta import WORDNET_ID

SUFFIXES = (".csv", ".tsv")
# As files are published with; in lower case, blanks and dashes as underscores.
_IMAGE = re.compile(r"(image|img)_?(path|file|id|name)?|path|file_?(name|path)?")
_LABEL = re.compile(r"labels?|(class|label|target)(_id|_idx|_index)?|category(_id)?|synset|wnid|predictionstring")
_SPLIT = re.compile(r"split|subset|partition|is_(train|val|valid|test)")
_BOXES = "predictionstring"  # Kaggle's: a WordNet id and the corners of a box, for each object
_WHOLE = re.compile(r"(-?[0-9]{1,18})\.0+", re.ASCII)  # a whole number as pandas writes it beside a missing one


@dataclass(frozen=True)
class Columns:
    """`--columns image=NAME,label=NAME`: None for one that is found by its name."""

    image: str | None = None
    label: str | None = None

    @classmethod
    def parse(cls, text: str | None) -> Columns:
        """InputError unless it has that form."""
        given: dict[str, str] = {}
        for part in (text or "").split(",") if text is not None else ():
            key, _, value = part.partition("=")
            if key.strip() not in ("image", "label") or not value.strip() or key.strip() in given:
                raise InputError(f"--columns {text!r}: image=NAME,label=NAME is expected, or one of the two")
            given[key.strip()] = value.strip()
        return cls(**given)

    def __bool__(self) -> bool:
        return self.image is not None or self.label is not None


def entries(text: str, source: str, columns: Columns | None = None, labelled: bool = True) -> LabelledList:
    """The images of a list or a table, with their labels where it has any.

    labelled: False where nobody needs them, so that it does not matter which of two columns they are in.
    InputError: a table whose columns cannot be told, or `--columns` for a list that names none.
    """
    columns = columns or Columns()
    first = next((line.strip("\r") for line in text.split("\n") if line.strip()), "")
    delimiter = _delimiter(first)
    try:
        header = next(csv.reader([first], delimiter=delimiter), []) if first else []
    except csv.Error as error:
        raise InputError(f"{source}: its first line cannot be read ({error})") from None
    if _is_header(header, columns, source):
        return _read(text, source, delimiter, columns, labelled)
    if columns:
        raise InputError(f"{source}: --columns is for tables whose first line names the columns; leave it out")
    found = parse_lines(text, source)
    words = first.split()
    if len(words) == 2 and is_image_column(words[0]) and is_label_column(words[1]):  # a heading with blanks between
        return LabelledList(source, found.lines[1:], found.names[1:], found.words[1:])
    return found


def _delimiter(line: str) -> str:
    return max("\t,;", key=line.count) if any(mark in line for mark in "\t,;") else ","


def is_image_column(name: str) -> bool:
    """Whether a column of that name is where published tables have their images."""
    return _IMAGE.fullmatch(_plain(name)) is not None


def is_label_column(name: str) -> bool:
    return _LABEL.fullmatch(_plain(name)) is not None


def _plain(name: str) -> str:
    return name.strip().lower().replace(" ", "_").replace("-", "_")


def _is_header(cells: Sequence[str], columns: Columns, source: str) -> bool:
    if any(is_image_name(cell.strip()) or is_number(cell) or WORDNET_ID.fullmatch(cell.strip()) for cell in cells):
        return False
    known = any(is_image_column(cell) or is_label_column(cell) for cell in cells)
    if len(cells) < 2:
        return known and source.lower().endswith(SUFFIXES)
    return known or bool(columns) or source.lower().endswith(SUFFIXES)


def _read(text: str, source: str, delimiter: str, columns: Columns, labelled: bool) -> LabelledList:
    found = LabelledList(source, [], [], [])
    splits: set[str] = set()
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        header: list[str] = []
        image, label = 0, -1
        for row in rows:
            if not any(cell.strip() for cell in row):
                continue
            if not header:
                header = [cell.strip() for cell in row]
                continue
            if not found.lines:
                image = choose(header, columns.image, is_image_column, "image", source, row)
                label = choose(header, columns.label, is_label_column, "label", source) if labelled else -1
            if len(row) != len(header):
                raise InputError(
                    f"{source}, line {rows.line_num}: {len(row)} columns where the first line names {len(header)}"
                )
            if labelled:
                splits.update(cell.strip() for name, cell in zip(header, row, strict=True) if _is_split(name))
            found.lines.append(rows.line_num)
            found.names.append(row[image].strip())
            where = f"{source}, line {rows.line_num}"
            word = _word(row[label], _plain(header[label]), where) if label >= 0 else None
            found.words.append(word)
            if not found.names[-1]:
                raise InputError(f"{source}, line {rows.line_num}: no image in column {header[image]}")
    except csv.Error as error:
        raise InputError(f"{source}, line {rows.line_num}: no table with columns ({error})") from None
    if len(splits) > 1:
        column = listing(name for name in header if _is_split(name))
        few = listing(sorted(splits), 4)
        raise InputError(f"{source}: column {column} has {few}: give a table with the rows of one of them alone")
    return found


def _is_split(column: str) -> bool:
    return _SPLIT.fullmatch(_plain(column)) is not None


def choose(
    header: Sequence[str],
    given: str | None,
    known: Callable[[str], bool],
    what: str,
    source: str,
    sample: Sequence[str] | None = None,
) -> int:
    """The number of the column that was given or that is called as such columns are.

    sample: a row; of several columns the one whose value is the name of an image is taken. InputError: there is none,
    or there are several.
    """
    named = "image=NAME,label=NAME"
    if given is not None:
        if given not in header:
            raise InputError(f"{source}: no column {given} (--columns) among {listing(header, 8)}")
        return list(header).index(given)
    found = [number for number, name in enumerate(header) if known(name)]
    if len(found) > 1 and sample is not None:
        found = [number for number in found if number < len(sample) and is_image_name(sample[number])] or found
    if len(found) > 1:
        both = " or ".join(header[number] for number in found)
        raise InputError(f"{source}: which column is the {what}, {both}? say it with --columns {named}")
    if not found:
        raise InputError(
            f"{source}: which of the columns {listing(header, 8)} is the {what}? say it with --columns {named}"
        )
    return found[0]


def _word(cell: str, column: str, where: str) -> str | None:
    word = cell.strip()
    if column == _BOXES:
        ids = {part for part in word.split() if WORDNET_ID.fullmatch(part)}
        if len(ids) > 1:
            raise InputError(f"{where}: objects of several classes ({listing(sorted(ids), 3)}) in one image")
        word = word.split()[0] if word else ""
    match = _WHOLE.fullmatch(word)
    return (match[1] if match else word) or None
