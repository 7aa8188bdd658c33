"""Lists of images whose every line has a label, as in PaddleClas' `val_list.txt`, whatever the labels mean."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from convert.common.errors import InputError
from convert.images import sources

LIST_FILE = "val_list.txt"

_NUMBER = re.compile(r"-?[0-9]{1,18}", re.ASCII)


@dataclass(frozen=True)
class LabelledList:
    """The lines of a list, in its order. source: what InputError calls it. lines: their numbers in it, from 1."""

    source: str
    lines: list[int]
    names: list[str]
    images: list[Path]
    labels: list[int]

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


def parse(text: str, source: str, folder: Path = Path()) -> LabelledList:
    """Every line that is not blank; paths are relative to the folder. InputError for one without a label."""
    found = LabelledList(source, [], [], [], [])
    for image in sources.parse_list(text, folder):
        assert image.line
        if image.label is None:
            line = text.split("\n")[image.line - 1].rstrip("\r")
            hint = "; a ground truth without names goes to --ground-truth" if is_number(line) else ""
            raise InputError(
                f"{source}, line {image.line}: {shortened(line)} is not `path label` with a whole number as label{hint}"
            )
        found.lines.append(image.line)
        found.names.append(image.name)
        found.images.append(image.path)
        found.labels.append(image.label)
    if not found.lines:
        raise InputError(f"{source}: the list is empty; `path label` lines are expected")
    return found


def is_number(line: str) -> bool:
    """True for a line that is a whole number and nothing else."""
    return _NUMBER.fullmatch(line.strip(" \t\r")) is not None


def shortened(line: str) -> str:
    """A line as it goes into a message."""
    return repr(line if len(line) <= 80 else line[:77] + "...")
