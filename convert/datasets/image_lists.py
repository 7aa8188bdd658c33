"""Lists of images, as PaddleClas' `val_list.txt`: a path in each line and mostly a label, whatever the labels mean."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from convert.common.errors import InputError
from convert.datasets.image_kinds import is_image_name

LIST_FILE = "val_list.txt"

_NUMBER = re.compile(r"-?[0-9]{1,18}", re.ASCII)
# The path may hold spaces, so the label is what follows the last blank. Nineteen digits and more are no label.
_BLANK = re.compile(r"(?P<path>.*[^ \t])[ \t]+(?P<label>-?[0-9]{1,18}|n[0-9]{8})[ \t]*", re.ASCII)
_COMMA = re.compile(r"(?P<path>.*[^ \t,])[ \t]*,[ \t]*(?P<label>-?[0-9]{1,18}|n[0-9]{8})[ \t]*", re.ASCII)
# A label that is a word is told from a part of the path only by what stands between them.
_WORD = re.compile(r"(?P<path>[^\t]*[^\t ]) *\t[ \t]*(?P<label>[^\t]*[^\t ])[ \t]*")
_COMMA_WORD = re.compile(r"(?P<path>.*[^ \t,])[ \t]*,[ \t]*(?P<label>[^,]*[^,\s])[ \t]*")


@dataclass(frozen=True)
class LabelledList:
    """The lines of a list, in its order. source: what InputError calls it. lines: their numbers in it, from 1.

    names: the paths as they are written. words: the labels as they are written, None where a line has none.
    """

    source: str
    lines: list[int]
    names: list[str]
    words: list[str | None]

    @cached_property
    def labels(self) -> list[int]:
        """The labels as numbers. ValueError where they are none."""
        return [int(word or "") for word in self.words]

    @property
    def numbered(self) -> bool:
        """True where each line has a whole number as its label."""
        return all(word is not None and is_number(word) for word in self.words)

    def where(self, index: int) -> str:
        """The place of an image, for messages."""
        return f"{self.source}, line {self.lines[index]}"

    def refuse_duplicates(self, names: Iterable[str]) -> None:
        """InputError for a name that was there before: its image would count twice. names: as they are compared."""
        seen: dict[str, int] = {}
        for index, name in enumerate(names):
            before = seen.setdefault(name, index)
            if before != index:
                raise InputError(f"{self.where(index)}: {shortened(name)} is in line {self.lines[before]} already")

    def refuse_unlabelled(self) -> None:
        """InputError when there is no line, or one without a label."""
        if not self.names:
            raise InputError(f"{self.source}: the list is empty; `path label` lines are expected")
        for index, word in enumerate(self.words):
            if word is None:
                line = self.names[index]
                hint = "; a ground truth without names goes to --ground-truth" if is_number(line) else ""
                raise InputError(
                    f"{self.where(index)}: {shortened(line)} is not `path label` with a whole number or a WordNet id"
                    f" as label{hint}"
                )


def parse_lines(text: str, source: str) -> LabelledList:
    """Every line that is not blank, with its label where it has one. Comments (`# ...`) at the start are passed over,
    but what has a label is an image, whatever its name begins with.

    What stands between path and label: blanks, a tab or a comma.
    """
    found = LabelledList(source, [], [], [])
    for number, line in enumerate(text.split("\n"), start=1):  # splitlines would also cut at U+2028 and its like
        line = line.rstrip("\r\x1a")
        if not line.strip():
            continue
        name, word = _split(line)
        if not found.names and word is None and name.startswith("#") and not is_image_name(name):
            continue
        found.lines.append(number)
        found.names.append(name)
        found.words.append(word)
    return found


def _split(line: str) -> tuple[str, str | None]:
    match = _BLANK.fullmatch(line) or _COMMA.fullmatch(line)
    if match is None:
        match = _WORD.fullmatch(line) or _COMMA_WORD.fullmatch(line)
        if match and not is_image_name(unquoted(match["path"])):
            match = None
    return (match["path"], match["label"]) if match else (line.strip(), None)


def parse(text: str, source: str) -> LabelledList:
    """`parse_lines`, where each must have a label. InputError for one that has none, and for none at all."""
    found = parse_lines(text, source)
    found.refuse_unlabelled()
    return found


def unquoted(name: str) -> str:
    return name[1:-1] if len(name) > 2 and name[0] == name[-1] and name[0] in "\"'" else name


def is_number(line: str) -> bool:
    """True for a line that is a whole number and nothing else."""
    return _NUMBER.fullmatch(line.strip(" \t\r")) is not None


def shortened(line: str) -> str:
    """A line as it goes into a message."""
    return repr(line if len(line) <= 80 else line[:77] + "...")
