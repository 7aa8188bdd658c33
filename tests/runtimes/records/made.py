"""Records of each kind with nothing in them but what they need."""

from __future__ import annotations

from typing import Any, TypeVar

from runtimes.records.kinds import Record

R = TypeVar("R", bound=Record)


def record(kind: type[R], **fields: Any) -> R:
    common = {"model": "m", "precision": "fp32", "runtime": "ort-cpu", "device": "CPU", "artifact": "a"}
    return kind(**{**common, "status": "ok", "reason": None, "effective": None, "command": "", **fields})
