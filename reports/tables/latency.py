"""The tables of latencies: medians side by side, each one in detail, and how steady each was."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from convert.zoo import PUBLISHED
from reports.language import mark, say
from reports.load.results import Results, runtime_order
from reports.numbers import NONE, measured, own_interval
from reports.tables.columns import (
    BATCH,
    MODEL,
    RAN_AS,
    RUNTIME,
    STATUS,
    Measured,
    TimedLine,
    build,
    formatted,
    number_column,
    range_column,
    record_table,
    status_entry,
)
from reports.tables.standing import (
    BATCH_NOTE,
    label,
    machines_and_models,
    only_wide,
    ranking,
    shown_status,
    spread_note,
    why,
)
from reports.tables.table import Column, Entry, Footnotes, Heading, Shows, Subject, Table, TableRow, entry
from runtimes.records.kinds import Latency
from runtimes.records.parts import DeviceMedians, Disturbance, IntervalMethod

V100 = mark("published: V100, TensorRT fp32")

_NOTHING = mark("No latency was measured in these results.")
_LATENCY_NOTES = (
    BATCH_NOTE,
    mark(
        "Bold: the fastest of a model at a batch size; its 95 % interval overlaps no other. Where none is bold, the "
        "first ones cannot be told apart, or there is only one. Cells marked unstable take no part; those marked "
        "wide are undisturbed, and take part with an interval wider than was asked for. Where accuracy failed, the "
        "cell takes no part either."
    ),
    mark("Unproven: measured, but without a parity check that passed, so no speed is shown. -: not measured."),
    mark(
        "The published columns are PaddleClas' own figures, measured on another machine, a V100 with TensorRT 8.0.3.4: "
        "for orientation only."
    ),
)
_DETAIL_NOTE = mark(
    "A percentile is given only where the number of samples carries it. Ran as: precision and device as read back "
    "from the runtime."
)

LatencyLine = TimedLine[Latency]


@dataclass(frozen=True)
class MediansLine:
    """What a row of the table of medians is made from. entries: by the heading over a column and its name."""

    results: Results
    subject: Subject
    entries: dict[tuple[str, str], Entry] = field(default_factory=dict)


def latency(results: Results) -> Table:
    """Medians in ms: a row per model; per batch a column for each runtime and precision, and the published figure."""
    notes = Footnotes()
    cells = results.of(Latency)
    batches = sorted({cell.batch for cell in cells if cell.batch})
    timed = {(cell.machine, cell.model) for cell in cells}
    lines = [
        _model_line(results, machine, model, batches, notes)
        for machine, model in machines_and_models(results)
        if (machine, model) in timed
    ]
    model: list[Column[MediansLine]] = [MODEL]
    texts = (*_LATENCY_NOTES, spread_note(results)) if cells else (_NOTHING,)
    table = build("latency", mark("Latency"), results, model, lines, *texts, footnotes=notes, records=cells)
    medians = [heading for batch in batches for heading in _headings(results, batch)]
    rows = [
        TableRow(row.subject, (*row.entries, *(line.entries.get((one.over, one.name), entry(None)) for one in medians)))
        for row, line in zip(table.rows, lines, strict=True)
    ]
    return replace(table, columns=(*table.columns, *medians), rows=tuple(rows), together=say("Median in ms"))


def _headings(results: Results, batch: int) -> list[Heading]:
    """The columns of a batch size: a runtime and precision each, and PaddleClas' figures where there are some."""
    over, short = say("Batch {batch}, median in ms", batch=batch), say("bs={batch}", batch=batch)
    found = {
        label(results, cell): Subject(runtime=cell.runtime, precision=cell.precision, batch=batch)
        for cell in sorted(results.of(Latency, batch=batch), key=runtime_order)
    }
    headings = [Heading(name, Shows.NUMBER, over=over, short=short, subject=about) for name, about in found.items()]
    if any(batch in PUBLISHED[model].v100_ms for model in results.models if model in PUBLISHED):
        headings.append(Heading(say(V100), Shows.NUMBER, over=over, short=short))
    return headings


def _model_line(results: Results, machine: str, model: str, batches: list[int], notes: Footnotes) -> MediansLine:
    line = MediansLine(results, Subject((model,), machine=machine))
    for batch in batches:
        over = say("Batch {batch}, median in ms", batch=batch)
        cells = results.of(Latency, machine=machine, model=model, batch=batch)
        verdict, winners = ranking(results, cells)
        for cell in cells:
            best = verdict == "fastest" and cell is winners[0]
            line.entries[over, label(results, cell)] = _median(results, cell, notes, best)
        figure = PUBLISHED[model].v100_ms.get(batch) if model in PUBLISHED else None
        line.entries[over, say(V100)] = formatted(figure, ".2f")
    return line


def _median(results: Results, cell: Latency, notes: Footnotes, best: bool) -> Entry:
    """A median, or the mark of why there is none."""
    status = shown_status(results, cell)
    remarks = why(results, cell, notes)
    if not cell.measured or status == "unproven":
        return status_entry(status, remarks)
    text = measured(cell.median_ms, cell.ci95_ms)
    if results.accurate(cell) is False:
        return Entry(cell.median_ms, say("{text} (accuracy failed)", text=text), remarks)
    if only_wide(cell):
        return Entry(cell.median_ms, say("{text} (wide)", text=text), remarks, best)
    if status == "unstable":
        return Entry(f"{text} (unstable)", say("{text} (unstable)", text=text), remarks)
    return Entry(cell.median_ms, text, remarks, best)


def _time(value: Callable[[Latency], float | None]) -> Callable[[LatencyLine], Measured]:
    """A time (ms) that is shown where the cell's parity passed, and the median's interval, which carries its digits."""
    return lambda line: (value(line.record), line.record.ci95_ms) if line.shown else (None, None)


def _on_device(value: Callable[[DeviceMedians], float | None]) -> Callable[[LatencyLine], float | None]:
    """A median (ms) by the device's own events, beside the wall time that the median is of."""
    return lambda line: value(line.record.device_times_ms or DeviceMedians()) if line.shown else None


def detail(results: Results) -> Table:
    """Every latency cell with its percentiles; times in ms. What it cost and how steady it was stand elsewhere."""
    cells = results.of(Latency)
    columns: list[Column[LatencyLine]] = [
        *(MODEL, RUNTIME, BATCH),
        number_column("Threads", lambda line: line.record.threads, once=True),
        *(RAN_AS, STATUS),
        number_column("Samples", lambda line: line.record.count),
        number_column("Median (ms)", _time(lambda cell: cell.median_ms)),
        range_column("95 % interval (ms)", _time(lambda cell: cell.median_ms)),
        number_column("p90 (ms)", _time(lambda cell: cell.p90_ms)),
        number_column("p95 (ms)", _time(lambda cell: cell.p95_ms)),
        number_column("p99 (ms)", _time(lambda cell: cell.p99_ms)),
    ]
    if any(cell.device_times_ms for cell in cells):
        columns += [
            number_column("To the device (ms)", _on_device(lambda times: times.h2d_ms)),
            number_column("On the device (ms)", _on_device(lambda times: times.compute_ms)),
            number_column("From the device (ms)", _on_device(lambda times: times.d2h_ms)),
        ]
    notes = (BATCH_NOTE, spread_note(results), _DETAIL_NOTE) if cells else (_NOTHING,)
    title = mark("Each latency in detail")
    return record_table("latency-detail", title, results, TimedLine, cells, columns, *notes)


def steadiness(results: Results) -> Table:
    """Processes, samples and the variation of each latency cell that records of format 2 tell, in percent."""
    columns: list[Column[LatencyLine]] = [
        *(MODEL, RUNTIME, BATCH, STATUS),
        number_column("Processes", _processes),
        number_column("Samples", lambda line: line.record.count),
        range_column("Warm-up runs", _warmups),
        number_column("CV inside (%)", lambda line: _percent(line.record.cv), form=".2f"),
        number_column("CV between (%)", lambda line: _percent(_method(line).between_cv), form=".2f"),
        number_column("Outliers", lambda line: line.record.outliers),
        number_column("Half interval (%)", _half_interval, form=".2f"),
        number_column("Slow-down (%)", lambda line: _percent(_disturbance(line).slowdown), form=".2f"),
    ]
    note = mark(
        "CV: coefficient of variation, inside the processes (their median) and between the processes' medians. "
        "Outliers: samples further than 3 scaled median absolute deviations from their process' median. Half "
        "interval: half of the run's own 95 % interval against the median. Slow-down: how much slower than at its "
        "best the machine's speed probe was around the worst visit. -: not recorded."
    )
    title = mark("How steady the latencies were")
    return record_table("steadiness", title, results, TimedLine, results.of(Latency), columns, note)


def _method(line: LatencyLine) -> IntervalMethod:
    return line.record.interval or IntervalMethod()


def _disturbance(line: LatencyLine) -> Disturbance:
    return line.record.disturbance or Disturbance()


def _processes(line: LatencyLine) -> int | None:
    return None if line.record.processes is None else len(line.record.processes)


def _warmups(line: LatencyLine) -> Entry:
    """`12`, or `12–30` where they differ."""
    counts = [one.warmup_count for one in line.record.processes or () if one.warmup_count is not None]
    if not counts:
        return Entry(None, NONE)
    low, high = min(counts), max(counts)
    return Entry(counts, str(low) if low == high else f"{low}–{high}")


def _half_interval(line: LatencyLine) -> float | None:
    interval, median = own_interval(line.record), line.record.median_ms
    return 100 * (interval[1] - interval[0]) / 2 / median if interval and median else None


def _percent(share: float | None) -> float | None:
    return None if share is None else 100 * share
