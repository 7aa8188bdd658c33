"""What must be said of a record where a processor may have computed another model, or in another instruction set."""

from __future__ import annotations

from convert.precision.portability import PORTABLE
from runtimes.probe.neighbours import SATURATED
from runtimes.records.kinds import Record
from runtimes.records.parts import ModelInfo


def of(record: Record) -> list[str]:
    """Sentences; none where nothing ran."""
    if record.effective is None:
        return []
    details, facts = record.effective.details, (record.model_info or ModelInfo()).saturation
    found = []
    if doubt := details.get("isa_not_read_back"):
        found.append(f"not read back: {doubt}")
    if details.get("int8_sums") == SATURATED and (facts is None or facts.result != PORTABLE):
        known = facts.sentence if facts else "whether that changes the model was not looked at"
        found.append(f"two products of int8 were added in 16 bits here, without VNNI: {known}")
    return found
