"""The tables of speed: latencies side by side and each one in detail, and throughput."""

from __future__ import annotations

from convert.zoo import PUBLISHED
from reports.language import mark, names, say
from reports.load.results import MEASURED, Results, runtime_order
from reports.numbers import NONE, measured, spread
from reports.tables.cells import BATCH_NOTE, label, number, only_wide, ranking, shown_status, spread_note, subjects, why
from reports.tables.frames import (
    Cell,
    Footnotes,
    Table,
    commands,
    frame,
    identity,
    machine_column,
    model_cell,
    plain,
    ran_as,
)
from runtimes.records.store import Record

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
# Medians by the device's own events, beside the wall time that the median is of.
_ON_DEVICE = {
    "h2d_ms": mark("To the device (ms)"),
    "compute_ms": mark("On the device (ms)"),
    "d2h_ms": mark("From the device (ms)"),
}


def latency(results: Results) -> Table:
    """Medians in ms: a row per model; per batch a column for each runtime and precision, and the published figure."""
    notes = Footnotes()
    cells = results.of("latency")
    batches = sorted({cell["batch"] for cell in cells if cell.get("batch")})
    columns = [*(("", name) for name in machine_column(results)), ("", say("Model"))]
    groups: dict[str, str] = {}
    for batch in batches:
        beside = sorted(results.of("latency", batch=batch), key=runtime_order)
        columns += dict.fromkeys((_heading(batch), label(results, cell)) for cell in beside)
        groups |= {label(results, cell): cell["precision"] for cell in beside}
        if any(batch in PUBLISHED[model].v100_ms for model in results.models if model in PUBLISHED):
            columns.append((_heading(batch), say(V100)))
    rows = []
    timed = {(cell["machine"], cell["model"]) for cell in cells}
    for place, model in (subject for subject in subjects(results) if subject in timed):
        shown = {("", say("Model")): model_cell(results, model), ("", say("Machine")): plain(place)}
        for batch in batches:
            beside = results.of("latency", machine=place, model=model, batch=batch)
            verdict, winners = ranking(results, beside)
            for cell in beside:
                best = verdict == "fastest" and cell is winners[0]
                shown[_heading(batch), label(results, cell)] = _speed(results, cell, notes, best)
            figure = PUBLISHED[model].v100_ms.get(batch) if model in PUBLISHED else None
            shown[_heading(batch), say(V100)] = Cell(figure, NONE if figure is None else f"{figure:.2f}")
        rows.append([shown.get(column) for column in columns])
    return Table(
        "latency",
        say("Latency"),
        frame(columns, rows),
        names(*((*_LATENCY_NOTES, spread_note(results)) if cells else (_NOTHING,))),
        tuple(notes.texts),
        commands(cells),
        short={_heading(batch): say("bs={batch}", batch=batch) for batch in batches},
        together=say("Median in ms"),
        groups=groups,
    )


def detail(results: Results) -> Table:
    """Every latency cell with its percentiles; times in ms. What it cost and how steady it was stand elsewhere."""
    notes = Footnotes()
    rows = []
    on_device = _ON_DEVICE if any(cell.get("device_times_ms") for cell in results.of("latency")) else {}
    for cell in results.of("latency"):
        status = shown_status(results, cell)
        times = cell if status in MEASURED else {}  # without a parity that passed no time is shown, of whatever kind
        median, interval = times.get("median_ms"), times.get("ci95_ms")
        rows.append(
            [
                *identity(results, cell),
                cell.get("batch"),
                cell.get("threads"),
                ran_as(cell),
                Cell(status, say(status), why(results, cell, notes)),
                cell.get("count"),
                number(median, interval),
                Cell(interval, spread(median, interval)),
                *(number(times.get(name), interval) for name in ("p90_ms", "p95_ms", "p99_ms")),
                *(number((times.get("device_times_ms") or {}).get(name)) for name in on_device),
            ]
        )
    columns = names(
        *("Model", "Runtime", "Batch", "Threads", "Ran as", "Status", "Samples", "Median (ms)", "95 % interval (ms)"),
        *("p90 (ms)", "p95 (ms)", "p99 (ms)", *on_device.values()),
    )
    return Table(
        "latency-detail",
        say("Each latency in detail"),
        frame((*machine_column(results), *columns), rows),
        names(*((BATCH_NOTE, spread_note(results), _DETAIL_NOTE) if rows else (_NOTHING,))),
        tuple(notes.texts),
        commands(results.of("latency")),
        once=names("Threads"),
    )


def throughput(results: Results) -> Table:
    """Images per second, measured back to back."""
    notes = Footnotes()
    rows = []
    for cell in results.of("throughput"):
        status = shown_status(results, cell)
        rate = cell.get("images_per_s") if status in MEASURED else None
        interval = cell.get("ci95_images_per_s") if status in MEASURED else None
        rows.append(
            [
                *identity(results, cell),
                cell.get("batch"),
                cell.get("streams"),
                Cell(status, say(status), why(results, cell, notes)),
                number(rate, interval),
                Cell(interval, spread(rate, interval)),
                number(cell.get("duration_s")),
                None if cell.get("searched") is None else len(cell["searched"]),
            ]
        )
    columns = names(
        *("Model", "Runtime", "Batch", "Streams", "Status", "Images per second", "95 % interval", "Measured for (s)"),
        "Points searched",
    )
    return Table(
        "throughput",
        say("Throughput"),
        frame((*machine_column(results), *columns), rows),
        names(
            "Measured back to back over the whole duration, never derived from a latency. Points searched: pairs of "
            "batch and streams that were tried before this one was chosen. -: none, it was asked for."
        ),
        tuple(notes.texts),
        commands(results.of("throughput")),
    )


def _speed(results: Results, cell: Record, notes: Footnotes, best: bool) -> Cell:
    """A median, or the mark of why there is none."""
    status = shown_status(results, cell)
    remarks = why(results, cell, notes)
    if status not in MEASURED:
        return Cell(status, say(status), remarks)
    text = measured(cell["median_ms"], cell.get("ci95_ms"))
    if results.accurate(cell) is False:
        return Cell(cell["median_ms"], say("{text} (accuracy failed)", text=text), remarks)
    if only_wide(cell):
        return Cell(cell["median_ms"], say("{text} (wide)", text=text), remarks, best)
    if status == "unstable":
        return Cell(f"{text} (unstable)", say("{text} (unstable)", text=text), remarks)
    return Cell(cell["median_ms"], text, remarks, best)


def _heading(batch: int) -> str:
    return say("Batch {batch}, median in ms", batch=batch)
