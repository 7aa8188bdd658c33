"""What may lie between two latencies: what each side had of it, and how much of the factor it makes where that can be
computed."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from convert.common.errors import listing
from convert.families.spec import is_number
from convert.precision.table import FP32
from reports.compare import machine_speed
from reports.compare.match import Pair, changed
from reports.explain.choose import V100_CARD, V100_OTHER, Side
from reports.load import machines
from reports.load.reach import ceiling
from reports.tables.standing import median, ran_as, runtime_name
from runtimes.bench.ceiling.believed import images_per_s, macs_run
from runtimes.records.parts import CountsInfo, Effective, ModelInfo
from runtimes.system.environment import section

# What a latency of the bench is (`runtimes.records.kinds.Latency`).
_TIMED = "images in memory to logits in memory, without preprocessing"
_SECTIONS: Mapping[str, tuple[str, tuple[str, ...] | None]] = {
    "versions": ("packages", None),
    "variables": ("variables", None),
    "kernel": ("os", ("kernel",)),
}


@dataclass(frozen=True)
class Cause:
    """What may lie between two numbers. run, published: what each side had; None where that is not known.

    times: how many times as long the run takes for it; None where that cannot be computed. note: a clause about it.
    """

    name: str
    run: str | None
    published: str | None
    times: float | None = None
    note: str = ""

    @property
    def known(self) -> bool:
        return self.run is not None and self.published is not None


@dataclass(frozen=True)
class Explanation:
    """Two latencies and what may lie between them."""

    run: Side
    published: Side
    causes: tuple[Cause, ...]

    @property
    def times(self) -> float:
        """How many times as long the run takes."""
        return median(self.run.cell) / median(self.published.cell)

    @property
    def counted(self) -> float:
        """How many times as long it would take by all that can be computed."""
        return math.prod(cause.times for cause in self.causes if cause.times is not None)


def explain(run: Side, published: Side) -> Explanation:
    """All causes, those of which nothing is known included."""
    here = machines.key(run.environment)
    same_machine = here is not None and here == machines.key(published.environment)

    def of(name: str, text: Callable[[Side], str | None], times: float | None = None) -> Cause:
        return Cause(name, text(run), text(published), times)

    found = [
        of("timed call", _timed),
        of("image", _image),
        _work(run, published),
        of("batch", lambda side: _text(side.cell.batch), _ratio(run.cell.batch, published.cell.batch)),
        of("precision that ran", _precision),
        of("operators that fell back", _fell_back),
        of("runtime", _runtime),
        _threads(run, published),
        of("machine", lambda side: None if side.machine.startswith(machines.UNKNOWN) else side.machine),
        _ceiling(run, published, same_machine),
        of("clocks", _clocks),
        of("speed probe", _probe, _slower(run, published) if same_machine else None),
        of("other programs", _disturbed),
    ]
    differing = [] if published.page else [_section(name, run, published) for name in _SECTIONS]
    return Explanation(run, published, (*found, *differing))


def _ratio(run: float | None, published: float | None) -> float | None:
    return run / published if run and published else None


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _effective(side: Side) -> Effective:
    return side.cell.effective or Effective()


def _facts(side: Side) -> ModelInfo:
    return side.cell.model_info or ModelInfo()


def _device(side: Side) -> str:
    return _effective(side).device or side.cell.device or "CPU"


def _timed(side: Side) -> str | None:
    if side.page or _device(side) == "CPU":
        return None if side.page else _TIMED
    times = side.cell.device_times_ms
    copies = [one for one in (times.h2d_ms, times.d2h_ms) if one is not None] if times else []
    return f"{_TIMED}, copies to and from the device included" + (f": {sum(copies):.3g} ms" if copies else "")


def _image(side: Side) -> str | None:
    image = _facts(side).preprocessing
    return f"{image.shape[0]} x {image.shape[1]} pixels" if image and image.shape else None


def _macs(run: Side, published: Side) -> tuple[int | None, int | None]:
    """Multiply-accumulates for an image: of what ran, or as PaddleClas' page counts them where it tells no more."""
    told = [_facts(side).macs or CountsInfo() for side in (run, published)]
    ran = macs_run(told[0], run.cell), macs_run(told[1], published.cell)
    return (told[0].published, told[1].published) if published.page and ran[1] is None else ran


def _work(run: Side, published: Side) -> Cause:
    counts = _macs(run, published)
    texts = [None if count is None else f"{count / 1e9:.4g} GMACs for an image" for count in counts]
    return Cause("work", texts[0], texts[1], _ratio(*counts))


def _precision(side: Side) -> str | None:
    return f"{FP32} (a V100 has no TF32)" if side.page else ran_as(side.cell)


def _fell_back(side: Side) -> str | None:
    """Operators that ran on another device, or in a higher precision than the lowest."""
    effective, arithmetic = _effective(side), _effective(side).arithmetic
    elsewhere = effective.details.get("nodes_elsewhere")
    found = [str(one) for one in elsewhere] if isinstance(elsewhere, (list, tuple)) else []
    found += arithmetic.higher if arithmetic else ()
    told = elsewhere is not None or (arithmetic is not None and arithmetic.shares is not None)
    # There is nothing higher, and nowhere else.
    plain = (effective.precision, effective.device) == (FP32, "CPU")
    return listing(found, 3) if found else "none" if told or plain else None


def _runtime(side: Side) -> str:
    version = side.cell.runtime_version
    return f"{runtime_name(side.cell)}, version {version}" if version else runtime_name(side.cell)


def _threads(run: Side, published: Side) -> Cause:
    """By how much more of its cores the other side used, were speed to grow with them."""
    sides = run, published
    counts = [side.cell.threads_readback or side.cell.threads for side in sides]
    cores = [section(side.environment, "machine").get("cores_usable") for side in sides]
    shares = [count / of for count, of in zip(counts, cores, strict=True) if count and is_number(of) and of > 0]
    texts = [
        f"{count} on {of} core{'s' * (of != 1)}" if count and is_number(of) else _text(count)
        for count, of in zip(counts, cores, strict=True)
    ]
    if len(shares) < 2 or any(_device(side) != "CPU" for side in sides):
        return Cause("threads", texts[0], texts[1])
    if max(shares) > 1:
        note = "more threads than cores wait for each other, by as much as nobody can compute"
        return Cause("threads", texts[0], texts[1], None, note)
    note = "" if shares[0] == shares[1] else "at the most: were the speed to grow with them"
    return Cause("threads", texts[0], texts[1], shares[1] / shares[0], note)


def _ceiling(run: Side, published: Side, same_machine: bool) -> Cause:
    """By how much the other machine is the faster one, in the precision that ran there."""
    sides = run, published
    found = [ceiling(side.environment, side.cell) for side in sides]
    ran = [_effective(side).precision or side.cell.precision for side in sides]
    texts: list[str | None] = []
    for side, (peak, why), precision, count in zip(sides, found, ran, _macs(run, published), strict=True):
        text = f"{peak:,.0f} GFLOP/s in {precision}" if peak else None
        if text and side.page:
            text = f"{text} by NVIDIA's data sheet of {V100_CARD}"
        if text and peak and count and not why:
            text = f"{text}, {2e-9 * count * images_per_s(side.cell) / peak:.0%} of it reached"
        texts.append(text)
    whys = dict.fromkeys(why for _, why in found if why)
    # A machine has one ceiling in a precision, however often it was measured. One that is doubtful is too low, by as
    # much as nobody knows.
    alike = same_machine and ran[0] == ran[1]
    times = 1.0 if alike else None if whys else _ratio(found[1][0], found[0][0])
    which = ["the page does not say which V100", V100_OTHER] if published.page else []
    return Cause("machine's ceiling", texts[0], texts[1], times, "; ".join([*whys, *which]))


def _clocks(side: Side) -> str | None:
    met = side.cell.disturbance
    of_gpu = met and met.gpu and met.gpu.get("clock_sm_mhz")
    if isinstance(of_gpu, (list, tuple)) and of_gpu and is_number(of_gpu[-1]) and _device(side) != "CPU":
        return f"{of_gpu[-1]:,.0f} MHz"
    clock = met and met.frequency_mhz and met.frequency_mhz.median
    return f"{clock:,.0f} MHz" if clock else None


def _probe(side: Side) -> str | None:
    found = machine_speed.readings(side.cell)
    return f"{statistics.median(found):.3g} ms" if found else None


def _slower(run: Side, published: Side) -> float | None:
    """By how much the machine itself was slower, as `vitbench compare` has it."""
    shift = machine_speed.of([Pair(published.cell, run.cell)])
    return None if shift is machine_speed.UNKNOWN or shift.too_large else math.exp(shift.log)


def _disturbed(side: Side) -> str | None:
    return side.cell.disturbed or ("none to speak of" if side.cell.disturbance else None)


def _section(name: str, run: Side, published: Side) -> Cause:
    """What differs in a section of both environments."""
    part, only = _SECTIONS[name]
    if part not in run.environment or part not in published.environment:
        return Cause(name, None, None)
    found = list(changed(part, published.environment, run.environment, only))
    now = ", ".join(f"{entry} {text}" for entry, _, text in found)
    before = ", ".join(f"{entry} {text}" for entry, text, _ in found)
    return Cause(name, now or "the same", before or "the same")
