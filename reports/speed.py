"""The tables of speed: latencies side by side and each one in detail, and throughput."""

from __future__ import annotations

from convert.zoo import PUBLISHED
from reports.cells import BATCH_NOTE, SPREAD_NOTE, label, number, ranking, shown_status, why
from reports.frames import Cell, Footnotes, Table, commands, frame, model_cell, ran_as, runtime_name
from reports.numbers import NONE, measured, spread
from reports.results import MEASURED, Results, runtime_order
from runtimes.bench.store import Record

V100 = "published: V100, TensorRT fp32"

_NOTHING = "No latency was measured in these results."
_LATENCY_NOTES = (
    BATCH_NOTE,
    "Bold: the fastest of a model at a batch size; its 95 % interval overlaps no other. Where none is bold, the first "
    "ones cannot be told apart, or there is only one. Cells marked unstable take no part.",
    "Unproven: measured, but without a parity check that passed, so no speed is shown. -: not measured.",
    f'A column "{V100}" is PaddleClas\' own, measured on another machine with TensorRT 8.0.3.4: for orientation only.',
)
_DETAIL_NOTES = (
    BATCH_NOTE,
    SPREAD_NOTE,
    "A percentile is given only where the number of samples carries it. Ran as: precision and device as read back from "
    "the runtime. Load and first run happened once and have no interval. MB: 10^6 bytes.",
)
# Medians by the device's own events, beside the wall time that the median is of.
_ON_DEVICE = {"h2d_ms": "To the device (ms)", "compute_ms": "On the device (ms)", "d2h_ms": "From the device (ms)"}


def latency(results: Results) -> Table:
    """Medians in ms: a row per model; per batch a column for each runtime and precision, and the published figure."""
    notes = Footnotes()
    cells = results.of("latency")
    batches = sorted({cell["batch"] for cell in cells if cell.get("batch")})
    columns = [("", "Model")]
    for batch in batches:
        beside = sorted(results.of("latency", batch=batch), key=runtime_order)
        columns += dict.fromkeys((_heading(batch), label(results, cell)) for cell in beside)
        if any(batch in PUBLISHED[model].v100_ms for model in results.models if model in PUBLISHED):
            columns.append((_heading(batch), V100))
    rows = []
    for model in dict.fromkeys(cell["model"] for cell in cells):
        shown: dict[tuple[str, str], Cell] = {("", "Model"): model_cell(results, model)}
        for batch in batches:
            beside = results.of("latency", model=model, batch=batch)
            verdict, winners = ranking(results, beside)
            for cell in beside:
                best = verdict == "fastest" and cell is winners[0]
                shown[_heading(batch), label(results, cell)] = _speed(results, cell, notes, best)
            figure = PUBLISHED[model].v100_ms.get(batch) if model in PUBLISHED else None
            shown[_heading(batch), V100] = Cell(figure, NONE if figure is None else f"{figure:.2f}")
        rows.append([shown.get(column) for column in columns])
    return Table(
        "latency",
        "Latency",
        frame(columns, rows),
        _LATENCY_NOTES if cells else (_NOTHING,),
        tuple(notes.texts),
        commands(cells),
        short={_heading(batch): f"bs={batch}" for batch in batches},
        together="Median in ms",
    )


def detail(results: Results) -> Table:
    """Every latency cell with its statistics; times in ms, memory in MB (10^6 bytes)."""
    notes = Footnotes()
    rows = []
    on_device = _ON_DEVICE if any(cell.get("device_times_ms") for cell in results.of("latency")) else {}
    for cell in results.of("latency"):
        status = shown_status(results, cell)
        times = cell if status in MEASURED else {}  # without a parity that passed no time is shown, of whatever kind
        median, interval = times.get("median_ms"), times.get("ci95_ms")
        memory = None if cell.get("peak_memory_bytes") is None else cell["peak_memory_bytes"] / 1e6
        rows.append(
            [
                model_cell(results, cell["model"]),
                runtime_name(cell),
                cell.get("batch"),
                cell.get("threads"),
                ran_as(cell),
                Cell(status, status, why(results, cell, notes)),
                cell.get("count"),
                number(median, interval),
                Cell(interval, spread(median, interval)),
                *(number(times.get(name), interval) for name in ("p90_ms", "p95_ms", "p99_ms")),
                *(number((times.get("device_times_ms") or {}).get(name)) for name in on_device),
                *(number(times.get(name)) for name in ("load_ms", "first_ms")),
                Cell(memory, NONE if memory is None else f"{memory:.0f}"),
            ]
        )
    columns = (
        *("Model", "Runtime", "Batch", "Threads", "Ran as", "Status", "Samples", "Median (ms)", "95 % interval (ms)"),
        *("p90 (ms)", "p95 (ms)", "p99 (ms)", *on_device.values()),
        *("Load (ms)", "First run (ms)", "Peak memory (MB)"),
    )
    return Table(
        "latency-detail",
        "Each latency in detail",
        frame(columns, rows),
        _DETAIL_NOTES if rows else (_NOTHING,),
        tuple(notes.texts),
        commands(results.of("latency")),
        once=("Threads",),
    )


def throughput(results: Results) -> Table:
    """Images per second, measured back to back."""
    notes = Footnotes()
    rows = []
    for cell in results.of("throughput"):
        status = shown_status(results, cell)
        rate = cell.get("images_per_s") if status in MEASURED else None
        rows.append(
            [
                model_cell(results, cell["model"]),
                runtime_name(cell),
                cell.get("batch"),
                cell.get("streams"),
                Cell(status, status, why(results, cell, notes)),
                number(rate),
                number(cell.get("duration_s")),
            ]
        )
    columns = ("Model", "Runtime", "Batch", "Streams", "Status", "Images per second", "Measured for (s)")
    return Table(
        "throughput",
        "Throughput",
        frame(columns, rows),
        ("Measured back to back over the whole duration, never derived from a latency.",),
        tuple(notes.texts),
        commands(results.of("throughput")),
    )


def _speed(results: Results, cell: Record, notes: Footnotes, best: bool) -> Cell:
    """A median, or the mark of why there is none."""
    status = shown_status(results, cell)
    remarks = why(results, cell, notes)
    if status not in MEASURED:
        return Cell(status, status, remarks)
    text = measured(cell["median_ms"], cell.get("ci95_ms"))
    if status == "unstable":
        return Cell(f"{text} (unstable)", f"{text} (unstable)", remarks)
    return Cell(cell["median_ms"], text, remarks, best)


def _heading(batch: int) -> str:
    return f"Batch {batch}, median in ms"
