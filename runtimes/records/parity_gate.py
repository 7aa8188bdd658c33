"""Whether a speed may be shown: what the stored parity records say of a cell."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

from convert.common import typed
from runtimes.records.kinds import Parity, TimedRecord

# A check of another artifact, or of the runtime in another version or with other settings, says nothing of this one.
_SUBJECT = ("model", "artifact", "runtime", "runtime_version", "precision", "device", "settings")


@dataclass(frozen=True)
class Gate:
    """passed: None when parity was not checked, or not at the cell's batch size. reason: why not, in a sentence."""

    passed: bool | None
    reason: str = ""


def gate(cell: TimedRecord, parities: Iterable[Parity]) -> Gate:
    """What parity records (oldest first) say of a cell with a batch size.

    The newest check counts for each set of inputs and batches, and all of them have to pass: one on seeded images does
    not make up for a failure on photos. A record that does not say at which batches it checked speaks for all.
    """
    newest = {
        json.dumps([typed.table(record.inputs), record.batches]): record
        for record in parities
        if record.artifact and all((getattr(record, n) or None) == (getattr(cell, n) or None) for n in _SUBJECT)
    }
    if not newest:
        return Gate(None, "there is no parity check of this model, runtime, precision and artifact")
    for record in newest.values():
        if record.passed is not True:
            status = "failed" if record.status == "ok" else record.status
            return Gate(False, f"parity {status}: {record.reason or 'no reason recorded'}")
    if not any(record.batches is None or cell.batch in record.batches for record in newest.values()):
        return Gate(None, f"parity was not checked at batch {cell.batch}")
    return Gate(True)
