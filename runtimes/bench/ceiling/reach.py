"""What a machine reaches at its best, and the better of two measurements of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, TypeVar

from convert.common.typed import about

BANDWIDTH = "bandwidth_gb_s"  # its name in `how` and `unmeasured`


@dataclass(frozen=True)
class Number:
    """name: a precision (GFLOP/s of a matrix product) or BANDWIDTH. value: None where `how` says why there is none."""

    name: str
    value: float | None
    how: str


@dataclass(frozen=True, kw_only=True)
class Reach:
    """What a processor or a GPU reaches."""

    device: Annotated[str, about("as options name it: CPU, GPU, GPU.1")] = "CPU"
    gflops: Annotated[Mapping[str, float | None], about("of a matrix product, by precision; int8: GOP/s")]
    bandwidth_gb_s: Annotated[float | None, about("of the processor's memory, 10^9 bytes")] = None
    how: Annotated[Mapping[str, str], about("of each number: which library, shape and count")]
    unmeasured: Annotated[Mapping[str, str], about("why a number is null")]


@dataclass(frozen=True, kw_only=True)
class Ceiling(Reach):
    """What a machine reaches; the numbers of its processor are its own fields."""

    gpus: tuple[Reach, ...]
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
    gpus = {gpu.device: gpu for gpu in kept.gpus}
    return replace(
        better(kept, new),
        gpus=tuple(better(gpus.get(gpu.device, gpu), gpu) for gpu in new.gpus),
        occasions=kept.occasions + new.occasions,
        tries=kept.tries + new.tries,
    )
