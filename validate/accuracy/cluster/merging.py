"""The answers of all nodes become those of one machine, image by image. Nothing here knows of Ray."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from convert.images.preprocess import UnreadableImage
from runtimes.base import discrepancy
from runtimes.records.kinds import Status
from runtimes.records.parts import Effective
from validate.accuracy.feeding.passes import LeftOut, Listener, Measurement


class Merging:
    """The evaluations of a pass and what comes of them on all nodes. Safe from any thread."""

    def __init__(self, measurements: Sequence[Measurement], max_unreadable: int, listener: Listener) -> None:
        self.measurements, self._listener = measurements, listener
        self._left_out = LeftOut(max_unreadable, listener)
        self._unreadable: dict[int, UnreadableImage] = {}  # as this machine found them
        self._ended: dict[int, dict[str, tuple[Status, str]]] = {}
        self._lock = threading.Lock()

    def opened(self, evaluation: int, effective: Effective) -> tuple[str | None, list[int] | None]:
        """A node has loaded it. Returns why its answers do not belong to those of the others, in a sentence, or None;
        and of the first node the numbers of the batches that are lacking."""
        one = self.measurements[evaluation]
        with self._lock:
            if wrong := discrepancy(one.evaluation.runtime.name, effective, one.evaluation.options):
                return wrong, None
            if one.effective is not None:
                return _another(one.effective, effective), None
            one.begin(effective)
            self._listener.opened(one)
            lacking = np.flatnonzero(~one.known) // one.evaluation.batch
            return None, sorted({int(number) for number in lacking})

    def unreadable(self, position: int, error: UnreadableImage) -> None:
        """An image whose bytes cannot be had here."""
        with self._lock:
            self._unreadable[position] = error

    def add(self, evaluation: int, found: Mapping[str, Any], machine: str) -> None:
        """What a node answered (`node_side.answered`); images that have an answer keep it. InputError for more
        unreadable images than allowed, and for a full disk."""
        one = self.measurements[evaluation]
        with self._lock:
            assert one.ranked
            for position, reason in found["unreadable"]:
                name = one.evaluation.dataset.names[position]
                error = self._unreadable.get(position) or UnreadableImage(name, reason)
                if position not in one.unreadable:
                    one.unreadable.append(position)
                self._left_out.add(position, error)
            new = [(position, classes) for position, classes in found["answers"] if not one.ranked.knows(position)]
            if new:
                one.ranked.add([position for position, _ in new], [classes for _, classes in new], machine)
            self._listener.progress(one)

    def ended(self, evaluation: int, node: str, status: Status, reason: str) -> None:
        """An evaluation that a node does not do any more."""
        with self._lock:
            self._ended.setdefault(evaluation, {})[node] = (status, reason)

    def conclude(self, evaluation: int) -> None:
        """An evaluation that no node is left for has ended: refused where all refuse, else failed."""
        one, ends = self.measurements[evaluation], self._ended.get(evaluation, {})
        reasons = dict.fromkeys(reason for _, reason in ends.values())
        one.status = "failed" if any(status == "failed" for status, _ in ends.values()) else "refused"
        named = "; ".join(f"{node}: {reason}" for node, (_, reason) in ends.items())
        one.reason = next(iter(reasons)) if len(reasons) == 1 else named
        self._listener.ended(one, "")


def _another(first: Effective, effective: Effective) -> str | None:
    ran = [(one.precision, one.device) for one in (first, effective)]
    if ran[0] == ran[1]:
        return None
    (theirs, there), (precision, device) = ran
    return f"it computed in {precision} on {device}, and the others in {theirs} on {there}"
