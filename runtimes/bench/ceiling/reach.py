"""What a machine reaches at its best, and the better of two measurements of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, TypeVar

from convert.common.typed import about

BANDWIDTH = "bandwidth_gb_s"  # its name in `how` and `unmeasured`


@dataclass(frozen=True, kw_only=True)
class Product:
    """How fast a library multiplied in a precision: its fastest repetition over all shapes."""

    precision: str
    library: str
    gflops: float
    count: Annotated[int, about("repetitions, of all shapes")]
    shape: Annotated[tuple[int, int, int], about("m, k, n of the fastest: m x k times k x n")]
    how: Annotated[str, about("what computed it, as read back")]


@dataclass(frozen=True, kw_only=True)
class Reach:
    """What a processor or a GPU reaches."""

    gflops: Annotated[Mapping[str, float | None], about("of a matrix product, by precision; int8: GOP/s")]
    bandwidth_gb_s: Annotated[float | None, about("of memory, 10^9 bytes")]
    how: Annotated[Mapping[str, str], about("of each number: which library, shape and count")]
    unmeasured: Annotated[Mapping[str, str], about("why a number is null, or doubtful")]


@dataclass(frozen=True, kw_only=True)
class GpuReach(Reach):
    """What one GPU reaches."""

    device: Annotated[str, about("CUDA's: GPU, GPU.1")]


@dataclass(frozen=True, kw_only=True)
class Kernels:
    """Memory bandwidth of each of STREAM's kernels."""

    kernels_gb_s: Mapping[str, float]
    array_bytes: int


@dataclass(frozen=True, kw_only=True)
class PaperPeak:
    """The peak on paper: cores x clock x operations per cycle."""

    flop_per_cycle: Annotated[Mapping[str, int] | None, about("of one core, by precision")]
    clock_mhz: float | None
    gflops: Annotated[Mapping[str, float] | None, about("of all cores, by precision")]
    reason: Annotated[str | None, about("why there are none")]


@dataclass(frozen=True, kw_only=True)
class Ceiling(Reach):
    """What a machine reaches; the numbers of its processor are its own fields."""

    bandwidth: Kernels
    products: tuple[Product, ...]
    peak: PaperPeak
    gpus: tuple[GpuReach, ...]
    threads: int
    foreign_load: Annotated[float | None, about("share of the cores that others took meanwhile, 0 to 1")]
    time_utc: str
    occasions: Annotated[int, about("measurements during which others took little")]
    tries: Annotated[int, about("measurements")] = 1
    disturbed: Annotated[str | None, about("why cells may exceed it, in a sentence")] = None


R = TypeVar("R", bound=Reach)


def better(kept: R, new: R) -> R:
    """The better of both in each number, with how it was reached; all else is the new one's."""
    old, now = ({**one.gflops, BANDWIDTH: one.bandwidth_gb_s} for one in (kept, new))
    higher = [name for name, value in old.items() if (value or 0.0) > (now.get(name) or 0.0)]
    now |= {name: old[name] for name in higher}
    return replace(
        new,
        bandwidth_gb_s=now.pop(BANDWIDTH),
        gflops=now,
        how={**new.how, **{name: kept.how[name] for name in higher}},
        unmeasured={name: why for name, why in new.unmeasured.items() if name not in higher},
    )


def merge(kept: Ceiling, new: Ceiling) -> Ceiling:
    """The better of two measurements of a machine in each number."""
    gpus, found = {gpu.device: gpu for gpu in kept.gpus}, better(kept, new)
    return replace(
        found,
        bandwidth=new.bandwidth if found.bandwidth_gb_s == new.bandwidth_gb_s else kept.bandwidth,
        gpus=tuple(better(gpus.get(gpu.device, gpu), gpu) for gpu in new.gpus),
        occasions=kept.occasions + new.occasions,
        tries=kept.tries + new.tries,
    )
