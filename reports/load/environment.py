"""What environment.json says beside the records, read with care: any version may have written it, or a stranger."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from reports.load.reading import is_number


@dataclass(frozen=True)
class Ceilings:
    """What a machine, or one of its GPUs, could do at most.

    gflops: precision -> GFLOP/s of a large matrix product. unmeasured: precision -> why there is none. disturbed: what
    makes them doubtful, in a sentence.
    """

    gflops: Mapping[str, float] = field(default_factory=dict)
    unmeasured: Mapping[str, str] = field(default_factory=dict)
    bandwidth_gb_s: float | None = None
    disturbed: str | None = None
    gpus: tuple[Ceilings, ...] = ()


def section(environment: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """A section of an environment; empty where there is none."""
    found = environment.get(name)
    return found if isinstance(found, Mapping) else {}


def ceilings(environment: Mapping[str, Any]) -> Ceilings | None:
    """The ceilings of an environment's machine; None where they were not measured."""
    return _ceilings(environment["ceiling"]) if isinstance(environment.get("ceiling"), Mapping) else None


def _ceilings(found: Mapping[str, Any]) -> Ceilings:
    gpus, bandwidth, disturbed = (found.get(name) for name in ("gpus", "bandwidth_gb_s", "disturbed"))
    return Ceilings(
        {name: float(peak) for name, peak in section(found, "gflops").items() if _positive(peak)},
        {name: str(reason) for name, reason in section(found, "unmeasured").items() if reason},
        bandwidth if _positive(bandwidth) else None,
        str(disturbed) if disturbed else None,
        tuple(_ceilings(gpu) for gpu in gpus if isinstance(gpu, Mapping)) if isinstance(gpus, list) else (),
    )


def _positive(value: Any) -> bool:
    return is_number(value) and value > 0
