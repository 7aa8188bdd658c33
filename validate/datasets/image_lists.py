"""Lists of images: `path label` lines, as in PaddleClas' `val_list.txt`, before anything is known of the labels."""

from __future__ import annotations

import re
from collections.abc import Iterable

from convert.common.errors import InputError

LIST_FILE = "val_list.txt"

# The path may hold spaces, so the label is what follows the last blank. Nineteen digits and more are no label.
_LINE = re.compile(r"(?P<path>.*[^ \t])[ \t]+(?P<label>-?[0-9]{1,18})[ \t]*", re.ASCII)
_NUMBER = re.compile(r"-?[0-9]{1,18}", re.ASCII)

Line = tuple[int, str, int]  # number in the file, path, label


def parse_list(text: str, source: str) -> list[Line]:
    """Every line that is not blank. source: what InputError calls the text."""
    lines = []
    for number, line in enumerate(text.split("\n"), start=1):  # splitlines would also cut at U+2028 and its like
        line = line.rstrip("\r")
        if not line.strip():
            continue
        match = _LINE.fullmatch(line)
        if not match:
            hint = "; a ground truth without names goes to --ground-truth" if is_number(line) else ""
            raise InputError(
                f"{source}, line {number}: {shortened(line)} is not `path label` with a whole number as label{hint}"
            )
        lines.append((number, match["path"], int(match["label"])))
    if not lines:
        raise InputError(f"{source}: the list is empty; `path label` lines are expected")
    return lines


def refuse_duplicates(names: Iterable[tuple[int, str]], source: str) -> None:
    """InputError for a name that was there before: its image would count twice. names: with their line numbers."""
    seen: dict[str, int] = {}
    for number, name in names:
        before = seen.setdefault(name, number)
        if before != number:
            raise InputError(f"{source}, line {number}: {shortened(name)} is in line {before} already")


def is_number(line: str) -> bool:
    """True for a line that is a whole number and nothing else."""
    return _NUMBER.fullmatch(line.strip(" \t\r")) is not None


def shortened(line: str) -> str:
    """A line as it goes into a message."""
    return repr(line if len(line) <= 80 else line[:77] + "...")
