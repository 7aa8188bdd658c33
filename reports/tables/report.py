"""A report: every table of a results folder, and what has to be said before the first one."""

from __future__ import annotations

from dataclasses import dataclass, replace

from reports.choice import choice, ladder
from reports.language import current, mark, say, stored
from reports.load.results import Results
from reports.tables import standing
from reports.tables.accuracy import accuracy, precision
from reports.tables.answer import answer, machines
from reports.tables.compute import compute, cost, size
from reports.tables.environment import environment, summary
from reports.tables.latency import detail, latency, steadiness
from reports.tables.missing import missing
from reports.tables.parity import parity
from reports.tables.serving import serving, through_servers
from reports.tables.table import Table
from reports.tables.throughput import rates, server, throughput
from runtimes.records.kinds import Accuracy, Choice, Latency, Parity, Server, Throughput
from runtimes.records.parts import WeightsInfo

SEEDED_NOTE = mark("† seeded weights: the accuracy means nothing; speed and parity do.")
_REASONS_NOTE = mark("Reasons that are not of vitbench's own words, as those of a runtime, stand as they were stored.")


@dataclass(frozen=True)
class Report:
    """What all writers get.

    summary: when and where it was measured, in sentences. weights: model -> kind of its weights (pretrained, file,
    seeded, unknown). seeded: model -> where its seeded weights come from. unvouched: the sentence of the summary on
    models for which nothing vouches; empty where there are none.
    """

    name: str
    summary: str
    weights: dict[str, str]
    seeded: dict[str, str]
    tables: tuple[Table, ...]
    unvouched: str


def build(results: Results) -> Report:
    """The tables of some results that have something to say."""
    latencies, served, driven = results.of(Latency), results.of(Server), results.of(Throughput)
    compared, lacking, computed = precision(results), missing(results), compute(results)
    about_speed = [latency(results), *([throughput(results)] if driven else []), *([server(results)] if served else [])]
    tables = [
        *([choice(results), ladder(results)] if results.of(Choice) else []),
        *([answer(results)] if latencies or not (driven or served or results.of(Accuracy)) else []),
        *([machines(results)] if latencies and _of_machines(results) else []),
        *([rates(results)] if driven or served else []),
        *(about_speed if latencies else about_speed[1:]),
        *([serving(results)] if through_servers(results) else []),
        *([compared] if compared.rows else []),
        *([cost(results)] if latencies else []),
        *([computed] if computed.rows else []),
        *([accuracy(results)] if results.of(Accuracy) else []),
        size(results),
        *([parity(results)] if results.of(Parity) else []),
        *([lacking] if lacking.rows or lacking.notes else []),
        *([detail(results)] if latencies else []),
        *([steadiness(results)] if any(cell.processes for cell in latencies) else []),
        environment(results),
    ]
    # What has to be said of a report that is not in the language of its records.
    about_language = [] if current() == "en" else [say(_REASONS_NOTE)]
    return Report(
        results.name,
        " ".join([*standing.unvouched_note(results), *summary(results), *about_language]),
        {
            model: "seeded" if results.seeded(model) else _stored_weights(results, model).kind or "unknown"
            for model in results.models
        },
        {model: _origin(results, model) for model in results.models if results.seeded(model)},
        tuple(_with_seeded_note(results, table) for table in tables),
        " ".join(standing.unvouched_note(results)),
    )


def _of_machines(results: Results) -> bool:
    """Whether there is a choice of machines, or a price of one."""
    return results.several_machines or any("price_per_hour" in one for one in results.environments.values())


def _origin(results: Results, model: str) -> str:
    """Where seeded weights come from and why: the source and the note of the model's facts."""
    weights = _stored_weights(results, model)
    return stored("; ".join(filter(None, (weights.source, weights.note)))) or say("seed not recorded")


def _stored_weights(results: Results, model: str) -> WeightsInfo:
    return results.facts(model).weights or WeightsInfo()


def _with_seeded_note(results: Results, table: Table) -> Table:
    marked = any(results.seeded(model) for row in table.rows for model in row.subject.models)
    return replace(table, notes=(*table.notes, say(SEEDED_NOTE))) if marked else table
