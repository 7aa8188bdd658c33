"""The tables of latencies: medians side by side, each one in detail, and how steady each was."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from convert.zoo import PUBLISHED
from reports import energy
from reports.language import mark, say
from reports.load.results import Results, machine_of, runtime_order
from reports.numbers import NONE, milliseconds, own_interval
from reports.tables import columns, standing
from reports.tables.columns import BATCH, MODEL, RAN_AS, RUNTIME, STATUS, Column, Row, number_column, range_column
from reports.tables.table import Entry, Heading, Shows, Subject, Table
from runtimes.records.kinds import Latency
from runtimes.records.parts import DeviceMedians, Disturbance, IntervalMethod

V100 = mark("published: V100, TensorRT fp32")

_NOTHING = mark("No latency was measured in these results.")
_LATENCY_NOTES = (
    standing.BATCH_NOTE,
    mark(
        "Bold: the fastest of a model at a batch size. Where none is bold, the first ones cannot be told apart, or "
        "there is only one. Unstable: other programs ran so much that the samples do not tell a quiet machine's "
        "median, or the interval is wider than was asked for; the footnote says which. Where accuracy failed or cannot "
        "be told, the cell takes no part, nor does a lowered precision that is slower than fp32 on its runtime."
    ),
    mark(
        "Unproven: measured, but without a parity check that passed, or faster than the machine can be, so no speed is "
        "shown. -: not measured."
    ),
)
_PUBLISHED_NOTE = mark(
    "The published columns are PaddleClas' own figures, measured on another machine, a V100 with TensorRT 8.0.3.4: for "
    "orientation only."
)
_DETAIL_NOTE = mark(
    "A percentile is given only where the number of samples carries it. Ran as: precision and device as read back "
    "from the runtime."
)


def latency(results: Results) -> Table:
    """Medians in ms: a row per model; per batch a column for each runtime and precision, and the published figure."""
    cells = results.of(Latency)
    timed = {(machine_of(cell), cell.model) for cell in cells}
    footnotes: list[str] = []
    rows = [
        Row(results, Subject((model,), machine=machine), footnotes, None)
        for machine, model in standing.machines_and_models(results)
        if (machine, model) in timed
    ]
    batches = sorted({cell.batch for cell in cells if cell.batch})
    shown: list[Column[Row[None]]] = [MODEL, *(one for batch in batches for one in _medians(results, batch))]
    of_page = [_PUBLISHED_NOTE] * any(column.heading.name == V100 for column in shown)
    notes = (*_LATENCY_NOTES, *of_page, standing.spread_note(results)) if cells else (_NOTHING,)
    table = columns.build("latency", mark("Latency"), results, shown, rows, *notes, records=cells)
    return replace(table, together=say("Median in ms"))


def _medians(results: Results, batch: int) -> Iterator[Column[Row[None]]]:
    """The columns of a batch size: a runtime and precision each, and PaddleClas' figures where there are some."""
    over, short = say("Batch {batch}, median in ms", batch=batch), say("bs={batch}", batch=batch)
    cells: dict[str, dict[tuple[str, str], Latency]] = {}
    for cell in sorted(results.of(Latency, batch=batch), key=runtime_order):
        cells.setdefault(standing.label(results, cell), {})[machine_of(cell), cell.model] = cell
    rankings = (
        standing.ranking(results, results.of(Latency, machine=machine, model=model, batch=batch))
        for machine, model in standing.machines_and_models(results)
    )
    fastest = [winners[0] for verdict, winners in rankings if verdict.startswith("fastest")]
    for name, of_name in cells.items():
        first = next(iter(of_name.values()))
        about = Subject(runtime=first.runtime, precision=first.precision, batch=batch)
        heading = Heading(name, Shows.NUMBER, over=over, short=short, subject=about)
        yield Column(heading, _median_of(of_name, fastest))
    published = {model: PUBLISHED[model].v100_ms.get(batch) for model in results.models if model in PUBLISHED}
    if any(figure is not None for figure in published.values()):
        heading = Heading(V100, Shows.NUMBER, over=over, short=short)
        yield Column(heading, lambda row: columns.formatted(published.get(row.subject.models[0]), ".2f"))


def _median_of(cells: dict[tuple[str, str], Latency], fastest: list[Latency]) -> Callable[[Row[None]], Entry]:
    """The entry of a row in the column that has these cells, by machine and model."""

    def of_row(row: Row[None]) -> Entry:
        cell = cells.get((row.subject.machine, row.subject.models[0]))
        return columns.entry(None) if cell is None else _median(row, cell, any(cell is one for one in fastest))

    return of_row


def _median(row: Row[None], cell: Latency, best: bool) -> Entry:
    """A median, or the mark of why there is none."""
    results, remarks = row.results, row.note(*standing.why(row.results, cell))
    status = standing.shown_status(results, cell)
    if not cell.measured or results.doubt(cell):
        return replace(columns.status_entry(status, remarks), status=status)
    text = milliseconds(cell.median_ms, cell.ci95_ms)
    if missed := standing.missed_accuracy(results, cell):
        text, best = say("{text} ({what})", text=text, what=missed), False
    elif status != "ok":
        text = say("{text} ({what})", text=text, what=say(status))
    return Entry(cell.median_ms, text, remarks, best, status=status)


def _time(name: str) -> Callable[[Row[Latency]], columns.Measured]:
    """A time (ms) that is shown where the cell's parity passed, and the median's interval, which carries its digits."""
    return lambda row: (getattr(row.record, name), row.record.ci95_ms) if row.shown else (None, None)


def _on_device(name: str) -> Callable[[Row[Latency]], float | None]:
    """A median (ms) by the device's own events, beside the wall time that the median is of."""
    return lambda row: getattr(row.record.device_times_ms or DeviceMedians(), name) if row.shown else None


def detail(results: Results) -> Table:
    """Every latency cell with its percentiles; times in ms. What it cost and how steady it was stand elsewhere."""
    cells = results.of(Latency)
    shown: list[Column[Row[Latency]]] = [
        *(MODEL, RUNTIME, BATCH),
        number_column("Threads", "threads", once=True),
        *(RAN_AS, STATUS),
        number_column("Samples", "count"),
        number_column("Median (ms)", _time("median_ms")),
        range_column("95 % interval (ms)", _time("median_ms")),
        number_column("p90 (ms)", _time("p90_ms")),
        number_column("p95 (ms)", _time("p95_ms")),
        number_column("p99 (ms)", _time("p99_ms")),
    ]
    if any(cell.device_times_ms for cell in cells):
        shown += [
            number_column("To the device (ms)", _on_device("h2d_ms")),
            number_column("On the device (ms)", _on_device("compute_ms")),
            number_column("From the device (ms)", _on_device("d2h_ms")),
        ]
    of_energy, about_energy = energy.columns(cells)
    notes = (standing.BATCH_NOTE, standing.spread_note(results), _DETAIL_NOTE, *about_energy) if cells else (_NOTHING,)
    title, rows = mark("Each latency in detail"), columns.rows_of(results, cells)
    return columns.build("latency-detail", title, results, [*shown, *of_energy], rows, *notes)


def steadiness(results: Results) -> Table:
    """Processes, samples and the variation of each latency cell that records of format 2 tell, in percent."""
    shown: list[Column[Row[Latency]]] = [
        *(MODEL, RUNTIME, BATCH, STATUS),
        number_column("Processes", lambda row: None if (own := row.record.processes) is None else len(own)),
        number_column("Samples", "count"),
        range_column("Warm-up runs", _warmups),
        number_column("CV inside (%)", lambda row: _percent(row.record.cv), form=".2f"),
        number_column("CV between (%)", lambda row: _percent(_method(row).between_cv), form=".2f"),
        number_column("Outliers", "outliers"),
        number_column("Half interval (%)", _half_interval, form=".2f"),
        number_column("Slow-down (%)", lambda row: _percent(_disturbance(row).slowdown), form=".2f"),
    ]
    note = mark(
        "CV: coefficient of variation, inside the processes (their median) and between the processes' medians. "
        "Outliers: samples further than 3 scaled median absolute deviations from their process' median. Half "
        "interval: half of the run's own 95 % interval against the median. Slow-down: how much slower than at its "
        "best the machine's speed probe was around the worst visit. -: not recorded."
    )
    title, rows = mark("How steady the latencies were"), columns.rows_of(results, results.of(Latency))
    return columns.build("steadiness", title, results, shown, rows, note)


def _method(row: Row[Latency]) -> IntervalMethod:
    return row.record.interval or IntervalMethod()


def _disturbance(row: Row[Latency]) -> Disturbance:
    return row.record.disturbance or Disturbance()


def _warmups(row: Row[Latency]) -> Entry:
    """`12`, or `12–30` where they differ."""
    counts = [one.warmup_count for one in row.record.processes or () if one.warmup_count is not None]
    if not counts:
        return Entry(None, NONE)
    low, high = min(counts), max(counts)
    return Entry(counts, str(low) if low == high else f"{low}–{high}")


def _half_interval(row: Row[Latency]) -> float | None:
    interval, median = own_interval(row.record), row.record.median_ms
    return 100 * (interval[1] - interval[0]) / 2 / median if interval and median else None


def _percent(share: float | None) -> float | None:
    return None if share is None else 100 * share
