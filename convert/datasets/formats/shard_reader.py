"""Images out of parquet shards, a few rows at a time: memory is that of some hundred images and one page of a shard."""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import Any

from convert.images.preprocess import UnreadableImage

PIECE = 32  # rows that are decoded together
PIECES = 8  # pieces that are kept: threads that read ahead are never so far apart


@dataclass(frozen=True)
class RowGroup:
    """Rows of a shard that its writer laid down together. first: the number in the shard of the first one."""

    file: Path
    number: int
    first: int
    rows: int


@dataclass
class ShardReader:
    """Encoded images by their row in the whole set; callable from any thread.

    Row groups are gone through in pieces of PIECE rows, of which the last PIECES are kept. Going
    forwards costs each piece once, going back to one that is no longer kept the row group from its start on.
    """

    groups: list[RowGroup]
    column: str = "image"
    pieces: dict[tuple[int, int], Any] = field(default_factory=dict)
    decoded: int = 0  # pieces, so far

    def __post_init__(self) -> None:
        self._starts = [0, *accumulate(group.rows for group in self.groups)]
        self._lock = threading.Lock()
        self._group: int | None = None  # the one that is being gone through, and its next piece
        self._next = 0
        self._batches: Iterator[Any] = iter(())

    def __call__(self, index: int) -> bytes:
        """The bytes in the column of a row, its value or that value's `bytes`.

        UnreadableImage: there are none, or the shard is damaged there.
        """
        group = bisect_right(self._starts, index) - 1
        row = index - self._starts[group]
        place = self.groups[group].file / f"row {self.groups[group].first + row}"
        with self._lock:
            try:
                image = self._piece(group, row // PIECE)[row % PIECE].as_py()
            except Exception as error:  # pyarrow raises many kinds; the rest of the set may be sound
                self._group = None
                raise UnreadableImage(place, f"cannot be read ({' '.join(str(error).split())[:200]})") from None
        data = image.get("bytes") if isinstance(image, dict) else image
        if data is None:
            raise UnreadableImage(place, "has no bytes in the shard")
        return bytes(data)

    def _piece(self, group: int, number: int) -> Any:
        wanted = group, number
        if wanted not in self.pieces:
            if group != self._group or number < self._next:
                self._open(group)
            while self._next <= number:
                piece = next(self._batches).column(0)
                if len(piece) != min(PIECE, self.groups[group].rows - self._next * PIECE):
                    raise ValueError(f"{len(piece)} rows where others were announced")
                self.pieces[group, self._next] = piece
                self._next += 1
                self.decoded += 1
                # The oldest goes. By last use instead, a thread that is behind would keep the wrong ones.
                if len(self.pieces) > PIECES:
                    del self.pieces[next(iter(self.pieces))]
        return self.pieces[wanted]

    def _open(self, group: int) -> None:
        import pyarrow.parquet as pq

        where = self.groups[group]
        # Without pre_buffer=False and a buffer size pyarrow takes the whole row group into memory first.
        shard = pq.ParquetFile(where.file, pre_buffer=False, buffer_size=1 << 20)
        self._batches = shard.iter_batches(PIECE, row_groups=[where.number], columns=[self.column], use_threads=False)
        self._group, self._next = group, 0
