"""The tables of what a model takes: compute and parameters, its share of the machine, memory and time to load."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

from reports.language import mark, say
from reports.load.environment import ceilings
from reports.load.results import Results, machine_of
from reports.numbers import measured
from reports.tables.accuracy import figure, published
from reports.tables.columns import (
    BATCH,
    MODEL,
    RAN_AS,
    RUNTIME,
    Measured,
    SubjectLine,
    TimedLine,
    build,
    commands,
    number_column,
    record_table,
)
from reports.tables.standing import median
from reports.tables.table import Column, Entry, Footnotes, Subject, Table, fill
from runtimes.records.kinds import Latency
from runtimes.records.parts import Memory


def size(results: Results) -> Table:
    """Multiply-accumulates in G and parameters in M, as published and as counted."""
    lines = [SubjectLine(results, Subject((model,)), Footnotes()) for model in results.models]
    columns: list[Column[SubjectLine]] = [
        MODEL,
        number_column("FLOPs (G), published", published(lambda one: one.gmacs, 2)),
        number_column("FLOPs (G), counted that way", _macs("published")),
        number_column("GMACs, all", _macs("total")),
        number_column("Params (M), published", published(lambda one: one.mparams, 2)),
        number_column("Params (M), counted that way", _parameters("published")),
        number_column("Params (M), all", _parameters("total")),
    ]
    note = mark(
        "Per image. What PaddleClas publishes as FLOPs are multiply-accumulates (MACs) of the convolution and "
        "the linear layers only; all: with both matrix products of the attention. One MAC is two floating-point "
        "operations. Its Params leave out the position embedding and the class token; all: with them."
    )
    notes = [f"{model}: {note}." for model in results.models for note in results.facts(model).notes]
    again = commands(results.source(model) for model in results.models)
    return Table(
        "size", say("Compute and parameters"), *fill(columns, lines), notes=(say(note), *notes), commands=again
    )


def _macs(name: str) -> Callable[[SubjectLine], Entry]:
    return lambda line: _scaled(getattr(line.results.macs(line.subject.models[0]), name), 1e9)


def _parameters(name: str) -> Callable[[SubjectLine], Entry]:
    return lambda line: _scaled(getattr(line.results.parameters(line.subject.models[0]), name), 1e6)


def _scaled(count: int | None, scale: float) -> Entry:
    return figure(None if count is None else count / scale, 2)


@dataclass(frozen=True)
class ComputeLine(TimedLine[Latency]):
    """What a row is made from. mflop: 2 x MACs of the graph x batch, in 10^6; by ms that is GFLOP/s."""

    mflop: float

    @property
    def rate(self) -> float:
        """Achieved GFLOP/s."""
        return self.mflop / median(self.record)

    @property
    def rate_interval(self) -> tuple[float, float] | None:
        """Its 95 % interval."""
        ends = self.record.ci95_ms
        return (self.mflop / ends[1], self.mflop / ends[0]) if ends and ends[0] > 0 else None

    @cached_property
    def ceiling(self) -> tuple[float | None, str | None]:
        """See `ceiling`."""
        return ceiling(self.results, self.record)


def compute(results: Results) -> Table:
    """Achieved GFLOP/s of each proven latency: 2 x MACs of the graph x batch / median, and its share of the machine's
    ceiling for the precision that it ran in (`ceiling` of environment.json).

    Paddle computes the whole model; the ONNX graph leaves out what its last block has no use for (`macs.computed`).
    """
    notes = Footnotes()
    lines = [
        ComputeLine(results, cell, notes, 2 * macs * (cell.batch or 1) / 1e6)
        for cell, macs in ((cell, _macs_run(results, cell)) for cell in results.of(Latency))
        if macs is not None and cell.measured and not results.doubt(cell)
    ]
    columns: list[Column[ComputeLine]] = [
        *(MODEL, RUNTIME, BATCH, RAN_AS),
        number_column("Work (GFLOP)", lambda line: line.mflop / 1e3),
        number_column("Achieved (GFLOP/s)", lambda line: (line.rate, line.rate_interval)),
        number_column("Ceiling (GFLOP/s)", _ceiling),
        number_column("Share (%)", _share),
    ]
    note = mark(
        "Work: two floating-point operations per MAC, both products of the attention included, times the batch. "
        "Ceiling: a large matrix product in the precision that the cell ran in, measured on the same machine."
    )
    nothing = mark("No latency is proven whose work is known: there is nothing to compute.")
    records = [line.record for line in lines]
    said = note if lines else nothing
    return build("compute", mark("Compute achieved"), results, columns, lines, said, footnotes=notes, records=records)


def _macs_run(results: Results, cell: Latency) -> int | None:
    """Multiply-accumulates for one image of what ran: the model's, or the graph's as it was written."""
    macs = results.macs(cell.model)
    return macs.total if cell.runtime == "paddle" else macs.computed or macs.total


def _ceiling(line: ComputeLine) -> Entry:
    value, doubt = line.ceiling
    return Entry(value, measured(value), (line.notes.number(doubt),) if doubt else ())


def _share(line: ComputeLine) -> Measured | None:
    peak, ends = line.ceiling[0], line.rate_interval
    if peak is None:
        return None
    return 100 * line.rate / peak, ends and (100 * ends[0] / peak, 100 * ends[1] / peak)


def ceiling(results: Results, cell: Latency) -> tuple[float | None, str | None]:
    """GFLOP/s of a large matrix product in the precision and on the device that a cell ran in.

    Beside it a sentence where there is something to say: why there is none, or why it may be too low.
    """
    effective = cell.effective
    precision = (effective and effective.precision) or cell.precision
    found = ceilings(results.environments.get(machine_of(cell), {}))
    if found is None:
        return None, say("the machine's ceiling was not measured")
    place = found
    if ((effective and effective.device) or cell.device or "CPU") != "CPU":
        if len(found.gpus) != 1:
            return None, say("there is no ceiling of the device that it ran on")
        place = found.gpus[0]
    if precision in place.gflops:
        doubt = found.disturbed
        return place.gflops[precision], say("the ceiling is doubtful: {reason}", reason=doubt) if doubt else None
    reason = place.unmeasured.get(precision) or say("no reason recorded")
    return None, say("no ceiling in {precision}: {reason}", precision=precision, reason=reason)


def cost(results: Results) -> Table:
    """Memory in MB (10^6 bytes) and the times until the first answer in ms, of each latency cell."""
    cells = [cell for cell in results.of(Latency) if cell.measured]
    columns: list[Column[TimedLine[Latency]]] = [
        *(MODEL, RUNTIME, BATCH),
        number_column("Model (MB)", lambda line: _megabytes(_memory(line).model_bytes), form=".0f"),
        number_column("Process (MB)", lambda line: _megabytes(_memory(line).process_bytes), form=".0f"),
        number_column("Device (MB)", lambda line: _megabytes(_memory(line).device_bytes), form=".0f"),
        number_column("Load (ms)", lambda line: line.record.load_ms if line.shown else None),
        number_column("First inference (ms)", lambda line: line.record.first_ms if line.shown else None),
    ]
    note = mark(
        "MB: 10^6 bytes of resident memory. Model: the peak less what the process held before it loaded the model. "
        "Process: the peak, the runtime's import included. Load and first inference have no interval: they happen "
        "once in each process, and the median over the processes is given."
    )
    nothing = mark("Nothing ran: neither memory nor load time is known.")
    title = mark("Memory and load time")
    return record_table("cost", title, results, TimedLine, cells, columns, note if cells else nothing)


def _memory(line: TimedLine[Latency]) -> Memory:
    """The memory of a cell; early records know the peak alone."""
    memory, peak = line.record.memory or Memory(), line.record.peak_memory_bytes
    return memory if memory.process_bytes else replace(memory, process_bytes=peak)


def _megabytes(value: int | None) -> float | None:
    return None if value is None else value / 1e6
