"""The bytes of a pickle: read where they are instructions, passed over where they are the contents of arrays.

What is kept is held to a budget.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

from convert.weights.files.index import NotReadError, Span
from convert.weights.files.stand_ins import Blob, Text

_SHORT = 1024  # bytes; a longer text stays in the file
_LONGEST_LINE = 4096  # of protocol 0, but for texts
_CHUNK = 1 << 20


@dataclass
class Budget:
    """What is left for reading a file: a checkpoint with its optimizer takes a hundredth of it."""

    instructions: int = 1_000_000
    text: int = 64 << 20  # bytes
    copies: int = 1_000_000  # of items

    def step(self) -> None:
        self.instructions -= 1
        if self.instructions < 0:
            raise NotReadError("a pickle of more instructions than any checkpoint has")

    def keep(self, size: int) -> None:
        self.text -= size
        if self.text < 0:
            raise NotReadError("a pickle with more text than any checkpoint has")

    def copy(self, items: int) -> None:
        self.copies -= items
        if self.copies < 0:
            raise NotReadError("a pickle that copies more than any checkpoint does")


class Reader:
    """The pickles of a part of a file, one after another.

    start, end: the part, in bytes. persistent: what a persistent id stands for; without it there must be none.
    unread: the names that became inert objects, after reading.
    """

    def __init__(
        self,
        stream: BinaryIO,
        start: int,
        end: int,
        budget: Budget,
        persistent: Callable[[object], object] | None = None,
    ) -> None:
        self.stream, self.at, self.end, self.budget, self.persistent = stream, start, end, budget, persistent
        self.unread: dict[str, None] = {}

    def read(self, size: int) -> bytes:
        if size > self.end - self.at:
            raise NotReadError("it ends within an array" if size > _SHORT else "it ends too early")
        self.at += size
        return self.stream.read(size)

    def line(self) -> bytes:
        found = self.stream.readline(min(_LONGEST_LINE, self.end - self.at))
        if not found.endswith(b"\n"):
            raise NotReadError("a line without an end")
        self.at += len(found)
        return found[:-1]

    def skip(self, size: int, codec: str) -> Span:
        """Bytes that stay where they are."""
        if size > self.end - self.at:
            raise NotReadError("it ends within an array")
        span = Span(self.at, size, codec)
        self.at += size
        self.stream.seek(self.at)
        return span

    def text(self, size: int, codec: str) -> Text | Blob:
        """A text of so many bytes, if it is short, and what stands for it if it is long."""
        if size > _SHORT:
            return Blob(self.skip(size, codec))
        start = self.at
        return self._kept(self.read(size), start, codec)

    def text_line(self, codec: str) -> Text | Blob:
        start, first = self.at, b""
        while True:
            chunk = self.stream.readline(min(_CHUNK, self.end - self.at))
            if not chunk:
                raise NotReadError("a line without an end")
            first = first or chunk
            self.at += len(chunk)
            if chunk.endswith(b"\n"):
                break
        size = self.at - start - 1
        return Blob(Span(start, size, codec)) if size > _SHORT else self._kept(first[:-1], start, codec)

    def _kept(self, data: bytes, start: int, codec: str) -> Text:
        self.budget.keep(len(data))
        if codec == "utf-8":
            found = Text(data, "utf-8", "surrogatepass")
        elif codec == "escaped":
            found = Text(data, "raw-unicode-escape")
        elif codec == "python2":
            found = Text(data[1:-1], "unicode-escape")
        else:
            found = Text(data, "latin1")
        found.place = (start, len(data), codec)
        return found
