"""Mode latency: one request at a time, in turns with the sessions of other cells."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from runtimes.base import DeviceTimes
from runtimes.bench.worker import numbers
from runtimes.bench.worker.energy import Mark, Meter
from runtimes.bench.worker.numbers import LatencyNumbers, TurnOf
from runtimes.bench.worker.warmup import WarmUp
from runtimes.system import contention, disturbance
from runtimes.system.contention import Contention, Moment

# The first inference after other sessions had their turn finds caches full of their data. It counts only where it takes
# so long that this is nothing to it.
LONG_S = 0.5
# Counters tick, and reading them takes a tenth of a millisecond: shorter samples share a reading.
_READ_EVERY_S = 0.05


@dataclass
class Stopwatch:
    """Times the inferences of a session, and keeps what each of them met.

    infer: runs one. on_device: the device's own times of the last one, None where there are none. others: processes
    that compute for this one. kept_ms, met,
    device_times: of the samples that count. spans: of the machine's counters around each turn. meter: counts the energy
    of what the turns keep.
    """

    infer: Callable[[], object]
    on_device: Callable[[], DeviceTimes | None]
    device: str = "CPU"
    clock: Callable[[], float] = time.perf_counter
    look: Callable[[], Moment] = contention.now
    others: tuple[int, ...] = ()
    meter: Meter = field(default_factory=Meter)
    warmup_ms: tuple[float, ...] = ()
    steady: bool = False
    kept_ms: list[float] = field(default_factory=list)
    met: list[Contention | None] = field(default_factory=list)
    turns: list[TurnOf] = field(default_factory=list)
    device_times: list[DeviceTimes] = field(default_factory=list)
    spans: list[tuple[disturbance.Counters, disturbance.Counters]] = field(default_factory=list)

    def warm_up(self, max_s: float) -> None:
        """Run until the times are steady, or for max_s seconds. The samples that prove it are kept."""
        warmup, begin = WarmUp(max_s), self.clock()
        length: int | None = None

        def over(times_ms: list[float]) -> bool:
            nonlocal length
            length = warmup.length(times_ms, self.clock() - begin)
            return length is not None

        with self._watched():
            series = self._series(over)
        self.warmup_ms, self.steady = tuple(series.times_ms[:length]), warmup.settled
        self._keep("", series, length or 0)

    def turn(self, name: str, seconds: float) -> None:
        """Measure for so many seconds, and one sample at least."""
        with self._watched():
            first = self._series(lambda _: True)
            if first.times_ms[0] >= 1e3 * LONG_S:
                self._keep(name, first)
            else:
                self._keep(name, self._series(lambda times_ms: sum(times_ms) >= 1e3 * seconds))

    def numbers(self) -> LatencyNumbers:
        """What was measured so far."""
        known = tuple(one for one in self.met if one is not None)
        return LatencyNumbers(
            samples_ms=tuple(self.kept_ms),
            warmup_ms=self.warmup_ms,
            steady=self.steady,
            met=known if len(known) == len(self.met) else (),
            turns=tuple(self.turns),
            device_times_ms=numbers.device_medians(self.device_times),
            energy=self.meter.windows(),
        )

    def _series(self, over: Callable[[list[float]], bool]) -> _Series:
        series, mark, unread = _Series(self.meter.mark()), self.look(), 0
        while True:
            start = self.clock()
            self.infer()
            end = self.clock()
            series.times_ms.append(1e3 * (end - start))
            series.device_times.append(self.on_device())
            unread += 1
            last = over(series.times_ms)
            if last or end - mark.clock_s >= _READ_EVERY_S:
                now = self.look()
                series.met += [contention.between(mark, now)] * unread
                mark, unread = now, 0
            if last:
                series.end = self.meter.mark()
                return series

    def _keep(self, name: str, series: _Series, start: int = 0) -> None:
        self.kept_ms += series.times_ms[start:]
        self.met += series.met[start:]
        self.device_times += [one for one in series.device_times[start:] if one]
        self.turns.append(TurnOf(name, len(series.times_ms) - start))
        if name:  # while it warms up, clocks and caches are not yet what they will be
            self.meter.add(series.begin, series.end, len(series.times_ms))

    @contextmanager
    def _watched(self) -> Iterator[None]:
        """The machine's counters around a turn, in which the garbage collector rests, so that it strikes no sample."""
        gc.collect()
        gc.disable()
        before = disturbance.read(self.device, self.others)
        try:
            yield
        finally:
            self.spans.append((before, disturbance.read(self.device, self.others)))
            gc.enable()


@dataclass
class _Series:
    """Inferences one after the other. begin, end: of the energy counter. device_times: None for each without."""

    begin: Mark | None = None
    end: Mark | None = None
    times_ms: list[float] = field(default_factory=list)
    met: list[Contention | None] = field(default_factory=list)
    device_times: list[DeviceTimes | None] = field(default_factory=list)
