"""What a server costs over computing in process."""

from __future__ import annotations

import statistics

from reports.language import mark
from reports.load.results import Results
from reports.tables.columns import (
    BATCH,
    MODEL,
    RUNTIME,
    STATUS,
    Column,
    Row,
    build,
    gain,
    number_column,
    rows_of,
    text_column,
)
from reports.tables.table import Entry, Table
from runtimes.records.kinds import Latency
from runtimes.records.parts import Effective, ServerTimes

# The runtime that computes in process what a server's backend does, by the backend's name.
_IN_PROCESS = {"onnxruntime": ("ort-cpu", "ort-cuda"), "openvino": ("openvino",), "tensorrt": ("tensorrt",)}


def serving(results: Results) -> Table:
    """What a server counted of the latencies that were measured through it, and how many times the same takes in it as
    in process."""
    columns: list[Column[Row[Latency]]] = [
        *(MODEL, RUNTIME, BATCH, STATUS),
        number_column("Median (ms)", lambda row: (row.record.median_ms, row.record.ci95_ms) if row.shown else None),
        number_column("In the server (ms)", lambda row: _times(row).total_ms),
        number_column("Queue (ms)", lambda row: _times(row).queue_ms),
        number_column("Compute (ms)", lambda row: _times(row).compute_ms),
        number_column("On the way (ms)", _on_the_way),
        text_column("In process", lambda row: base.runtime if (base := in_process(row.results, row.record)) else None),
        number_column("Times the latency in process", _cost),
    ]
    note = mark(
        "In the server: means over all requests of the visits, by its own statistics: waiting for an instance of the "
        "model, computing, and the rest of its work. On the way: the mean of the samples less that, which is the "
        "client, the protocol and the network. In process: the runtime of the server's backend at the same batch and "
        "threads; how many times its latency the server takes is estimated from turns side by side where there were "
        "such."
    )
    rows = rows_of(results, through_servers(results))
    return build("serving", mark("What serving costs"), results, columns, rows, note)


def through_servers(results: Results) -> list[Latency]:
    """The latencies that were measured through a server that counts."""
    return [cell for cell in results.of(Latency) if cell.server_times]


def in_process(results: Results, cell: Latency) -> Latency | None:
    """The proven latency of the runtime behind a server's backend, on the same machine and at the same batch and
    threads; None where there is none."""
    if cell.elsewhere:
        return None
    names = _IN_PROCESS.get(str((cell.effective or Effective()).details.get("backend")), ())
    for one in results.of(Latency, machine=cell.machine, model=cell.model, batch=cell.batch):
        same = (one.precision, one.device, one.threads) == (cell.precision, cell.device, cell.threads)
        if one.runtime in names and same and not one.settings and one.measured and not results.doubt(one):
            return one
    return None


def _times(row: Row[Latency]) -> ServerTimes:
    return (row.record.server_times if row.shown else None) or ServerTimes()


def _on_the_way(row: Row[Latency]) -> float | None:
    inside = _times(row).total_ms
    left = statistics.fmean(row.record.samples_ms) - inside if inside is not None and row.record.samples_ms else -1.0
    return left if left >= 0 else None


def _cost(row: Row[Latency]) -> Entry | None:
    base = in_process(row.results, row.record) if row.shown else None
    return gain(row.record, base) if base else None
