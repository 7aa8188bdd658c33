"""Energy of the processor by RAPL, the counters that Linux shows as files.

A zone `intel-rapl:N` is a package, `intel-rapl:N:M` a part of it, and one named psys is more than the packages (Linux,
Documentation/power/powercap/powercap.rst). AMD's processors since Zen have the same names.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from runtimes.base import UnavailableError

ROOT = Path("/sys/class/powercap")
_ZONES = "intel-rapl:*"  # and not intel-rapl-mmio:*, which counts the same packages again
# More than any package takes. The counter begins anew after a minute or more (Intel, Software Developer's Manual,
# volume 3B, MSR_PKG_ENERGY_STATUS): that it did so once can be told, that it did so twice cannot.
_MOST_W = 1000.0


@dataclass(frozen=True)
class PackageCounter:
    """Microjoules of one package at a moment. After range_uj the counter begins anew."""

    zone: str
    energy_uj: int
    range_uj: int


def read(root: Path = ROOT) -> tuple[PackageCounter, ...]:
    """The counters of all packages now. UnavailableError says why there are none, and what to do."""
    zones = [zone for zone in sorted(root.glob(_ZONES)) if _name(zone).startswith("package")]
    if not zones:
        raise UnavailableError(
            "the system shows no energy counter of its processor (RAPL), as is usual in containers and on virtual "
            "machines (elsewhere on Linux, as root: modprobe intel_rapl_msr)"
        )
    try:
        return tuple(
            PackageCounter(zone.name, _number(zone / "energy_uj"), _number(zone / "max_energy_range_uj"))
            for zone in zones
        )
    except PermissionError:
        raise UnavailableError(
            "only root may read the processor's energy counter, which tells others what is computed (CVE-2020-8694): "
            f"where nobody else uses the machine, sudo chmod a+r {root / _ZONES}/energy_uj, until it starts again"
        ) from None
    except (OSError, ValueError) as error:
        raise UnavailableError(f"the processor's energy counter cannot be read: {error}") from None


def joules(before: Sequence[PackageCounter], after: Sequence[PackageCounter], seconds: float) -> float:
    """What all packages together used between two readings. UnavailableError where that cannot be told."""
    if [one.zone for one in before] != [one.zone for one in after]:
        raise UnavailableError("the processor's energy counters became others meanwhile")
    total = 0
    for first, last in zip(before, after, strict=True):
        if seconds * _MOST_W * 1e6 >= first.range_uj:
            raise UnavailableError(
                f"in a window of {seconds:.0f} s the processor's energy counter may have begun anew more than once: "
                "measure for less in each process (--min-seconds)"
            )
        used = last.energy_uj - first.energy_uj
        total += used if used >= 0 else used + first.range_uj
    return total / 1e6


def _name(zone: Path) -> str:
    try:
        return (zone / "name").read_text(encoding="ascii").strip()
    except (OSError, ValueError):  # a container that hides the counters leaves links to nowhere
        return ""


def _number(file: Path) -> int:
    return int(file.read_text(encoding="ascii"))
