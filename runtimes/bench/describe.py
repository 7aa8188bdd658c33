"""What people read of a record, a time and a size, in a line."""

from __future__ import annotations

import math
from collections.abc import Sequence

from runtimes.bench.worker.server import needed
from runtimes.records.kinds import Latency, Server, Throughput, TimedRecord
from runtimes.records.parts import Interval, ServerPoint

GIB = 1 << 30
LEAST_MS = 0.1  # a shorter time is told in microseconds


def name(record: TimedRecord) -> str:
    """The cell of a record, for people."""
    what = f"batch {record.batch}" if isinstance(record, Latency) else record.kind
    threads = f", {record.threads} thread{'s' * (record.threads != 1)}" if record.threads else ""
    return f"{record.model} {record.precision} on {record.runtime}, {what}{threads}"


def tells(interval: Interval | Sequence[float]) -> bool:
    """Whether an interval says anything: where its ends are ten times apart, as two processes that differ give it, not
    even the first digit is known."""
    return interval[1] < 10 * interval[0]


def outcome(record: TimedRecord) -> str:
    """What came of a cell, in a line."""
    trouble = "" if record.status == "ok" else f"{record.status}: {record.reason}"
    found = _figure(record)
    return f"{found}{found and trouble and ', '}{trouble}"


def _figure(record: TimedRecord) -> str:
    if isinstance(record, Latency) and record.median_ms is not None:
        factor, unit = (1, "ms") if record.median_ms >= LEAST_MS else (1000, "µs")
        median, *ends = (f"{factor * one:.1f}" for one in (record.median_ms, *(record.ci95_ms or ())))
        interval = f"[{', '.join(ends)}]" if ends else "(too few for an interval)"
        if record.ci95_ms and not tells(record.ci95_ms):
            interval = "(interval unknown)"
        return ", ".join([f"median {median} {unit} {interval}", f"{record.count} sample{'s' * (record.count != 1)}"])
    if isinstance(record, Throughput) and record.images_per_s is not None:
        rate = record.ci95_images_per_s
        shown = " [{:.1f}, {:.1f}]".format(*rate) if rate else ""
        if rate and not tells(rate):
            shown = " (interval unknown)"
        return f"{record.images_per_s:.1f} images/s{shown} at batch {record.batch}, streams {record.streams or 1}"
    if isinstance(record, Server) and record.points:
        rate_found = "no rate" if record.qps_max is None else f"{record.qps_max:.1f} requests/s"
        known = " known" if record.unknown else ""
        return f"{rate_found}{known} with p{record.percentile} within {record.latency_bound_ms:.4g} ms"
    return ""


def not_carried(record: Server) -> list[str]:
    """Why it is not known which rate keeps the bound, what to do, and what was measured at the lowest and the highest
    of those rates, in clauses; none where it is known."""
    if not record.unknown:
        return []
    rates = sorted(record.uncarried, key=lambda point: point.qps_target or 0.0)
    lowest, count = rates[0].qps_target or 0.0, needed(record.percentile or 0)
    need_s = math.ceil(count / lowest)
    return [
        f"p{record.percentile} not carried at {len(rates)} of {len(record.points or ())} rates: {count} requests need"
        f" {need_s} s at {lowest:.3g} requests/s: raise --max-seconds to {need_s}, or leave it out",
        *dict.fromkeys(map(_lower_percentiles, (rates[0], rates[-1]))),
    ]


def _lower_percentiles(point: ServerPoint) -> str:
    """What a rate whose percentile was not carried tells all the same."""
    known = [f"p{p} {ms:.4g} ms" for p, ms in ((50, point.p50_ms), (90, point.p90_ms)) if ms is not None]
    found = " and ".join(known) or "nothing"
    return f"{point.count} requests at {point.qps_target or 0:.3g} requests/s carry {found}"


def duration(seconds: float) -> str:
    """`45 s`, `3 min 20 s`, `2 h 5 min`."""
    minutes, rest_s = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    parts = ((hours, "h"), (minutes, "min"), (0 if hours else rest_s, "s"))
    return " ".join(f"{count} {unit}" for count, unit in parts if count) or "0 s"


def size(count: int) -> str:
    """`350 MiB`, `1.2 GiB`."""
    return f"{count / GIB:.1f} GiB" if count >= GIB else f"{count / (1 << 20):.0f} MiB"
