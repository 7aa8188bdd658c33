"""The first five classes that a runtime gave each image, in a file that grows as they come.

The file is the memory of a run: after a kill the next one goes on behind its last whole line. A first line of JSON says
what the rest depends on; then one line an image: `17,3 8 2 5 9`, number 17 of the set and its classes, the likeliest
first, or `17,x` where the logits were not all finite; then a comma and the CRC-32 of what stands before it, which lines
of earlier versions do not have. A line `@` with a machine in words and its checksum says which one gave the answers
below it.
"""

from __future__ import annotations

import json
import os
import re
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from convert.common.disk.files import append, sha256_json, write_text
from convert.common.errors import InputError
from validate.accuracy.outcomes import AMONG_FIVE, FIRST, NOT_FINITE, UNREADABLE, WRONG

PLACES = 5
NONE, NO_CLASS = -1, -2  # in place of a class: nothing is known; the logits were not finite

_LINE = re.compile(
    r"(?P<image>0|[1-9][0-9]{0,8}),(?P<classes>x|[0-9]{1,9}(?: [0-9]{1,9}){0,4})(?P<crc>,[0-9a-f]{8})?", re.ASCII
)

_MACHINE = re.compile(r"@(?P<machine>[^\n]+)(?P<crc>,[0-9a-f]{8})")

# The classes of an image from first to fifth; None when its logits are not all finite.
Ranking = Sequence[int] | None


def rank(logits: np.ndarray) -> list[list[int] | None]:
    """The first five classes of each row of logits (batch, classes). Equal logits rank by index, the lower first."""
    order = np.argsort(-logits, axis=1, kind="stable")[:, :PLACES].tolist()
    return [row if finite else None for row, finite in zip(order, np.isfinite(logits).all(axis=1), strict=True)]


class Ranked:
    """What is known of each of `images` images, in memory and in the file.

    key: everything that the answers depend on. The file is begun anew with the first answer when it has another key, or
    without `resume`; None keeps them in memory only. classes: of the model. top: (images, 5) int32, NONE where a place
    is not known or not there, and NO_CLASS in the first place of logits that were not finite. machines: those that gave
    the answers, in words.
    """

    def __init__(self, file: Path | None, key: dict[str, Any], images: int, classes: int, resume: bool) -> None:
        self.file, self._key, self._classes = file, key, classes
        self._places = min(PLACES, classes)
        self.top = np.full((images, PLACES), NONE, dtype=np.int32)
        self.count = 0  # of the images that have an answer
        self.machines: list[str] = []
        self._from = np.full(images, -1, dtype=np.int32)  # the place of its machine among them; -1: not known
        self._machine = -1  # whose answers the file has at its end
        self._begun = resume and self._read()

    @property
    def known(self) -> np.ndarray:
        """(images,) bool: which ones have an answer."""
        known: np.ndarray = self.top[:, 0] != NONE
        return known

    def knows(self, position: int) -> bool:
        return bool(self.top[position, 0] != NONE)

    def forget_nonfinite(self) -> None:
        """Take images with NaN or infinite logits for unknown: a runtime that failed on them is asked again."""
        self.forget(np.flatnonzero(self.top[:, 0] == NO_CLASS))

    def forget(self, positions: Sequence[int] | np.ndarray) -> None:
        """Take images for unknown."""
        self.top[positions] = NONE
        self.count = int(self.known.sum())

    def shares(self) -> dict[str, int]:
        """How many answers are of which machine, by its name; those of a machine that is not known are in none."""
        counts = np.bincount(self._from[self.known & (self._from >= 0)], minlength=len(self.machines))
        return {name: int(count) for name, count in zip(self.machines, counts, strict=True) if count}

    def add(self, positions: Sequence[int], rankings: Sequence[Ranking], machine: str | None = None) -> None:
        """Answers of a batch, in one write, so that a kill cuts at most one line. InputError when the disk is full.

        machine: that gave them, in words.
        """
        lines = []
        if machine is not None and (self._machine < 0 or self.machines[self._machine] != machine):
            self._answering(machine)
            lines.append(f"@{machine},{_crc(f'@{machine}')}\n")
        for position, ranking in zip(positions, rankings, strict=True):
            self._set(position, ranking)
            line = f"{position},{'x' if ranking is None else ' '.join(map(str, ranking))}"
            lines.append(f"{line},{_crc(line)}\n")
        if self.file is None:
            return
        try:
            if not self._begun:
                write_text(self.file, json.dumps(self._key, sort_keys=True) + "\n")
                self._begun = True
            append(self.file, "".join(lines).encode(), sync=False)
        except OSError as error:
            raise InputError(f"{error}; --resume goes on from here") from None

    def outcomes(self, labels: Iterable[int]) -> str:
        """A letter for each image (see outcomes.py): those without an answer count as unreadable."""
        own = np.fromiter(labels, dtype=np.int64, count=len(self.top))[:, None]
        letters = np.where(self.top[:, 0] == NONE, UNREADABLE, WRONG)
        letters[(self.top == own).any(axis=1)] = AMONG_FIVE
        letters[self.top[:, 0] == own[:, 0]] = FIRST
        letters[self.top[:, 0] == NO_CLASS] = NOT_FINITE
        return "".join(letters)

    def _set(self, position: int, ranking: Ranking) -> None:
        self.count += not self.knows(position)
        self.top[position] = NONE
        self._from[position] = self._machine
        if ranking is None:
            self.top[position, 0] = NO_CLASS
        else:
            self.top[position, : self._places] = ranking

    def _answering(self, machine: str) -> None:
        if machine not in self.machines:
            self.machines.append(machine)
        self._machine = self.machines.index(machine)

    def _read(self) -> bool:
        """Take over what the file holds and cut off what is damaged. False when it holds nothing of use."""
        if self.file is None:
            return False
        try:
            data = self.file.read_bytes()
        except FileNotFoundError:
            return False
        head, end, _ = data.partition(b"\n")
        try:
            if not end or json.loads(head) != self._key:
                return False
        except (ValueError, RecursionError):
            return False
        sound = len(head) + 1
        for line in data[sound:].splitlines(keepends=True):
            if not self._take(line):
                os.truncate(self.file, sound)
                break
            sound += len(line)
        return True

    def _take(self, line: bytes) -> bool:
        if line.startswith(b"@"):
            said = _MACHINE.fullmatch(line[:-1].decode("utf-8", "replace")) if line.endswith(b"\n") else None
            if not said or said["crc"][1:] != _crc(f"@{said['machine']}"):
                return False
            self._answering(said["machine"])
            return True
        match = _LINE.fullmatch(line[:-1].decode("ascii", "replace")) if line.endswith(b"\n") else None
        if not match or (match["crc"] and match["crc"][1:] != _crc(match[0].removesuffix(match["crc"]))):
            return False
        ranking = None if match["classes"] == "x" else [int(word) for word in match["classes"].split()]
        if ranking is not None and (
            len(ranking) != self._places or len(set(ranking)) != len(ranking) or max(ranking) >= self._classes
        ):
            return False
        if int(match["image"]) < len(self.top):  # a longer part of the same set may have run before
            self._set(int(match["image"]), ranking)
        return True


def _crc(line: str) -> str:
    return f"{zlib.crc32(line.encode()):08x}"


def load(file: Path, images: int, classes: int) -> Ranked | None:
    """What a finished run left in a file, whatever it depended on; None when it is not there or no such file."""
    try:
        with file.open("rb") as stream:
            key = json.loads(stream.readline())
    except (OSError, ValueError, RecursionError):
        return None
    return Ranked(file, key, images, classes, resume=True)


def file_name(model: str, precision: str, runtime: str, key: dict[str, Any]) -> str:
    """`<model>-<precision>-<runtime>.<hash of the key>.top5`."""
    return f"{model}-{precision}-{runtime}.{sha256_json(key)[:12]}.top5"
