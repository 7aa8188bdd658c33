"""The tables of what a model takes: compute and parameters, its share of the machine, memory and time to load."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from convert.zoo import PUBLISHED
from reports.language import mark, say
from reports.load.reach import ceiling
from reports.load.results import Results, machine_of
from reports.numbers import measured
from reports.tables.accuracy import any_published, figure, published
from reports.tables.columns import BATCH, MODEL, RAN_AS, RUNTIME, Column, Measured, Row, build, number_column, rows_of
from reports.tables.standing import median
from reports.tables.table import Entry, Subject, Table
from runtimes.bench.ceiling.believed import macs_run
from runtimes.records.kinds import Latency, Record
from runtimes.records.parts import CountsInfo, Memory

ModelRow = Row[Record | None]  # None: no record tells the facts about the model


def size(results: Results) -> Table:
    """Multiply-accumulates in G and parameters in M, as published and as counted."""
    rows = [Row(results, Subject((model,)), [], results.source(model)) for model in results.models]
    known = any_published(results)
    of_page: list[list[Column[ModelRow]]] = [
        [number_column("FLOPs (G), published", published(lambda one: one.gmacs, 2))] if known else [],
        [number_column("Params (M), published", published(lambda one: one.mparams, 2))] if known else [],
    ]
    columns: list[Column[ModelRow]] = [
        MODEL,
        *of_page[0],
        number_column(
            "FLOPs (G), counted that way" if known else "FLOPs (G), as PaddleClas counts", _counted_as_published
        ),
        number_column("GMACs, all", _counted(Results.macs, "total", 1e9)),
        *of_page[1],
        number_column(
            "Params (M), counted that way" if known else "Params (M), as PaddleClas counts",
            _counted(Results.parameters, "published", 1e6),
        ),
        number_column("Params (M), all", _counted(Results.parameters, "total", 1e6)),
    ]
    note = mark(
        "Per image. What PaddleClas publishes as FLOPs are multiply-accumulates (MACs) of the convolution and "
        "the linear layers only; all: with both matrix products of the attention. One MAC is two floating-point "
        "operations. Its Params leave out the position embedding and the class token; all: with them."
    )
    attention = mark(
        "{model}: its page quotes the FLOPs of the authors, which have both matrix products of the attention in them."
    )
    authors = [model for model in results.models if model in PUBLISHED and PUBLISHED[model].with_attention]
    notes = [say(attention, model=model) for model in authors]
    notes += [f"{model}: {note}." for model in results.models for note in results.facts(model).notes]
    title = mark("Compute and parameters")
    return build("size", title, results, columns, rows, note, *notes, by_machine=False)


def _counted_as_published(row: ModelRow) -> Entry:
    known = PUBLISHED.get(row.subject.models[0])
    return _counted(Results.macs, "total" if known and known.with_attention else "published", 1e9)(row)


def _counted(of: Callable[[Results, str], CountsInfo], name: str, unit: float) -> Callable[[ModelRow], Entry]:
    """A number of MACs or parameters, in so large units."""
    return lambda row: figure(_per(getattr(of(row.results, row.subject.models[0]), name), unit), 2)


def _per(value: int | None, unit: float) -> float | None:
    return None if value is None else value / unit


def compute(results: Results) -> Table:
    """Achieved GFLOP/s of each proven latency: 2 x MACs of the graph x batch / median, and its share of the machine's
    ceiling for the precision that it ran in (`ceiling` of environment.json). No rows where no work is known.

    Paddle computes the whole model; the ONNX graph leaves out what its last block has no use for (`macs.computed`).
    """
    rows = [row for row in rows_of(results, results.of(Latency)) if row.shown and _macs(row) is not None]
    columns: list[Column[Row[Latency]]] = [
        *(MODEL, RUNTIME, BATCH, RAN_AS),
        number_column("Work (GFLOP)", lambda row: _mflop(row) / 1e3),
        number_column("Achieved (GFLOP/s)", _rate),
        number_column("Ceiling (GFLOP/s)", _ceiling),
        number_column("Share (%)", _share),
    ]
    note = mark(
        "Work: two floating-point operations per MAC, both products of the attention included, times the batch. "
        "Ceiling: a large matrix product in the precision that the cell ran in, measured on the same machine."
    )
    return build("compute", mark("Compute achieved"), results, columns, rows, note)


def _macs(row: Row[Latency]) -> int | None:
    return macs_run(row.results.macs(row.record.model), row.record)


def _mflop(row: Row[Latency]) -> float:
    """2 x MACs of the graph x batch, in 10^6; by ms that is GFLOP/s."""
    return 2 * (_macs(row) or 0) * (row.record.batch or 1) / 1e6


def _rate(row: Row[Latency]) -> Measured:
    """Achieved GFLOP/s."""
    mflop, ends = _mflop(row), row.record.ci95_ms
    return mflop / median(row.record), (mflop / ends[1], mflop / ends[0]) if ends and ends[0] > 0 else None


def _ceiling(row: Row[Latency]) -> Entry:
    value, doubt = _of_machine(row)
    return Entry(value, measured(value), row.note(*filter(None, [doubt])))


def _share(row: Row[Latency]) -> Measured | None:
    (peak, doubt), (rate, ends) = _of_machine(row), _rate(row)
    if peak is None or rate is None or doubt:  # of a ceiling that is too low it would be 300 % as well
        return None
    return 100 * rate / peak, ends and (100 * ends[0] / peak, 100 * ends[1] / peak)


def _of_machine(row: Row[Latency]) -> tuple[float | None, str | None]:
    return ceiling(row.results.environments.get(machine_of(row.record), {}), row.record)


def cost(results: Results) -> Table:
    """Memory in MB (10^6 bytes) and the times until the first answer in ms, of each latency cell."""
    cells = [cell for cell in results.of(Latency) if cell.measured]
    columns: list[Column[Row[Latency]]] = [
        *(MODEL, RUNTIME, BATCH),
        number_column("Model (MB)", lambda row: _per(_memory(row).model_bytes, 1e6), form=".0f"),
        number_column("Process (MB)", lambda row: _per(_memory(row).process_bytes, 1e6), form=".0f"),
        number_column("Device (MB)", lambda row: _per(_memory(row).device_bytes, 1e6), form=".0f"),
        number_column("Load (ms)", lambda row: row.record.load_ms if row.shown else None),
        number_column("First inference (ms)", lambda row: row.record.first_ms if row.shown else None),
    ]
    note = mark(
        "MB: 10^6 bytes of resident memory. Model: the peak less what the process held before it loaded the model. "
        "Process: the peak, the runtime's import included. Load and first inference have no interval: they happen "
        "once in each process, and the median over the processes is given."
    )
    nothing = mark("Nothing ran: neither memory nor load time is known.")
    title = mark("Memory and load time")
    return build("cost", title, results, columns, rows_of(results, cells), note if cells else nothing)


def _memory(row: Row[Latency]) -> Memory:
    """The memory of a cell; early records know the peak alone."""
    memory, peak = row.record.memory or Memory(), row.record.peak_memory_bytes
    return memory if memory.process_bytes else replace(memory, process_bytes=peak)
