"""Tables behind the speed: what a precision costs and gains, compute against the machine, memory, and serving."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from reports.language import names, say
from reports.load.results import MEASURED, Results
from reports.numbers import NONE, measured, spread
from reports.tables import ceilings, cells
from reports.tables.cells import gain, number, shown_status, spread_note, why
from reports.tables.frames import (
    Cell,
    Footnotes,
    Table,
    commands,
    frame,
    identity,
    machine_column,
    ran_as,
)
from runtimes.records.store import Record


def precision(results: Results) -> Table:
    """Per latency of a runtime with several precisions or an accuracy: top-1, its change, and the gain over fp32.

    Gain: median of fp32 / median, on one machine, runtime, device, settings, batch and number of threads.
    """
    notes = Footnotes()
    rows, used = [], []
    several = _several_precisions(results)
    for cell in results.of("latency"):
        shown = shown_status(results, cell) in MEASURED
        found = results.accuracies(cell)
        accuracy: Record = next((r for r in found if r.get("passed") is False), found[-1] if found else {})
        if not accuracy and _subject(cell) not in several:
            continue
        top1, interval, p = accuracy.get("top1"), accuracy.get("top1_ci95"), accuracy.get("mcnemar_p")
        reference = accuracy.get("reference_top1")
        change = None if top1 is None or reference is None else top1 - reference
        status = shown_status(results, cell)
        rows.append(
            [
                *identity(results, cell),
                cell.get("batch"),
                cells.accuracy(results, cell),
                number(top1, interval),
                Cell(interval, spread(top1, interval)),
                Cell(change, NONE if change is None else f"{change:+.4f}"),
                Cell(p, NONE if p is None else f"{p:.2g}"),
                Cell(status, say(status), why(results, cell, notes)),
                number(cell["median_ms"], cell.get("ci95_ms")) if shown else None,
                _gain_over_fp32(results, cell) if shown else None,
            ]
        )
        used += [cell, accuracy] if accuracy else [cell]
    columns = names(
        *("Model", "Runtime", "Batch", "Accuracy", "Top-1", "95 % interval of top-1", "Change of top-1", "McNemar p"),
        *("Status", "Median (ms)", "Gain over fp32"),
    )
    return Table(
        "precision",
        say("Precision against accuracy and speed"),
        frame((*machine_column(results), *columns), rows),
        names(
            "Accuracy: whether top-1 held against the reference over the same images; where it was not measured, "
            "parity alone speaks for a precision. Change of top-1: against that reference; p is that of McNemar's test "
            "in pairs. Gain: the median of fp32 on the same runtime at the same batch, divided by this median.",
            spread_note(results),
        ),
        tuple(notes.texts),
        commands(used),
    )


def compute(results: Results) -> Table:
    """Achieved GFLOP/s of each proven latency: 2 x MACs of the graph x batch / median, and its share of the machine's
    ceiling for the precision that it ran in (`ceiling` of environment.json).

    Paddle computes the whole model; the ONNX graph leaves out what its last block has no use for (`macs.computed`).
    """
    notes = Footnotes()
    rows, used = [], []
    for cell in results.of("latency"):
        macs = results.count(cell["model"], "macs", "total")
        if cell["runtime"] != "paddle":
            macs = results.count(cell["model"], "macs", "computed") or macs
        if macs is None or shown_status(results, cell) not in MEASURED:
            continue
        work = 2 * macs * cell["batch"] / 1e6  # FLOP / ms is 1e-6 GFLOP/s
        low_high = cell.get("ci95_ms")
        rate = work / cell["median_ms"]
        interval = (work / low_high[1], work / low_high[0]) if low_high and low_high[0] > 0 else None
        ceiling, absent = ceilings.ceiling(results, cell)
        share = None if ceiling is None else 100 * rate / ceiling
        scaled = None if ceiling is None or interval is None else tuple(100 * end / ceiling for end in interval)
        rows.append(
            [
                *identity(results, cell),
                cell["batch"],
                ran_as(cell),
                number(work / 1e3),
                number(rate, interval),
                Cell(ceiling, measured(ceiling), (notes.number(absent),) if absent else ()),
                Cell(share, measured(share, scaled)),
            ]
        )
        used.append(cell)
    columns = names(
        *("Model", "Runtime", "Batch", "Ran as", "Work (GFLOP)", "Achieved (GFLOP/s)", "Ceiling (GFLOP/s)"),
        "Share (%)",
    )
    return Table(
        "compute",
        say("Compute achieved"),
        frame((*machine_column(results), *columns), rows),
        names(
            "Work: two floating-point operations per MAC, both products of the attention included, times the batch. "
            "Ceiling: a large matrix product in the precision that the cell ran in, measured on the same machine."
            if rows
            else "No latency is proven whose work is known: there is nothing to compute."
        ),
        tuple(notes.texts),
        commands(used),
    )


def cost(results: Results) -> Table:
    """Memory in MB (10^6 bytes) and the times until the first answer in ms, of each latency cell."""
    rows = []
    measured_cells = [cell for cell in results.of("latency") if cell["status"] in MEASURED]
    for cell in measured_cells:
        memory, shown = cell.get("memory") or {}, not results.doubt(cell)
        rows.append(
            [
                *identity(results, cell),
                cell.get("batch"),
                _megabytes(memory.get("model_bytes")),
                _megabytes(memory.get("process_bytes") or cell.get("peak_memory_bytes")),
                _megabytes(memory.get("device_bytes")),
                *(number(cell.get(name) if shown else None) for name in ("load_ms", "first_ms")),
            ]
        )
    columns = names(
        *("Model", "Runtime", "Batch", "Model (MB)", "Process (MB)", "Device (MB)"),
        *("Load (ms)", "First inference (ms)"),
    )
    return Table(
        "cost",
        say("Memory and load time"),
        frame((*machine_column(results), *columns), rows),
        names(
            "MB: 10^6 bytes of resident memory. Model: the peak less what the process held before it loaded the model. "
            "Process: the peak, the runtime's import included. Load and first inference have no interval: they happen "
            "once in each process, and the median over the processes is given."
            if rows
            else "Nothing ran: neither memory nor load time is known.",
        ),
        commands=commands(measured_cells),
    )


def server(results: Results) -> Table:
    """Latencies at each rate of queries, and the largest rate that keeps its bound, of each cell served by LoadGen."""
    notes = Footnotes()
    rows = []
    for cell in results.of("server"):
        status = shown_status(results, cell)
        shown = status in MEASURED
        percentile = cell.get("percentile")
        head = [
            *identity(results, cell),
            Cell(status, say(status), why(results, cell, notes)),
            Cell(percentile, NONE if percentile is None else f"p{percentile:g}"),
            number(cell.get("latency_bound_ms")),
            number(cell.get("qps_max") if shown else None),
        ]
        for point in (cell.get("points") if shown else None) or [{}]:
            met = point.get("met") if point.get("valid") else None
            rows.append(
                [
                    *head,
                    number(point.get("qps_target")),
                    *(number(point.get(name)) for name in ("p50_ms", "p90_ms", "p99_ms")),
                    point.get("count"),
                    Cell(met, NONE if met is None else say("yes") if met else say("no")),
                ]
            )
    columns = names(
        *("Model", "Runtime", "Status", "Percentile", "Bound (ms)", "Most queries/s", "Rate (queries/s)"),
        *("p50 (ms)", "p90 (ms)", "p99 (ms)", "Queries", "Kept the bound"),
    )
    return Table(
        "server",
        say("Server"),
        frame((*machine_column(results), *columns), rows),
        names(
            "Queries of one image arrive at random (Poisson), from MLPerf LoadGen. Most queries/s: the largest rate "
            "tried whose percentile kept the bound, as completed; -: none did. A percentile is given only where the "
            "number of queries carries it. Kept the bound: - where it does not."
        ),
        tuple(notes.texts),
        commands(results.of("server")),
    )


def _same(record: Record, *names: str) -> dict[str, Any]:
    return {name: record.get(name) for name in names}


def _subject(cell: Record) -> tuple[str, ...]:
    return cell["machine"], cell["model"], cell["runtime"]


def _several_precisions(results: Results) -> set[tuple[str, ...]]:
    """The runtimes of a model, on a machine, of which latencies in more than one precision were asked for."""
    found: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for cell in results.of("latency"):
        found[_subject(cell)].add(cell["precision"])
    return {subject for subject, precisions in found.items() if len(precisions) > 1}


def _gain_over_fp32(results: Results, cell: Record) -> Cell:
    names = ("machine", "model", "runtime", "device", "settings", "batch", "threads")
    found = [
        other
        for other in results.of("latency", precision="fp32", **_same(cell, *names))
        if shown_status(results, other) in MEASURED
    ]
    if not found or cell["precision"] == "fp32":
        return Cell(None, NONE)
    return gain(found[0], cell)


def _megabytes(value: float | None) -> Cell:
    scaled = None if value is None else value / 1e6
    return Cell(scaled, NONE if scaled is None else f"{scaled:.0f}")
