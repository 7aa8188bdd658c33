"""bisect and profile as functions, see api.py."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from convert import cli
from convert.artifact import Artifact
from convert.common.errors import InputError
from runtimes.options import precisions, select
from validate.bisect.bisection import JudgedTensor
from validate.bisect.run import Bisected, bisections
from validate.parity.inputs import InputOptions
from validate.profile.run import ProfiledCell, able
from validate.profile.run import profile as profiles
from validate.profile.show import sentence
from vitbench.asking import PathLike, joined, path, several
from vitbench.outcome import BisectOutcome, ProfileOutcome


def bisect(
    artifact: Artifact,
    images: PathLike | None = None,
    *,
    runtimes: Sequence[str] | None = None,
    precision: str | None = None,
    onnx: PathLike | None = None,
    limit: int = 4,
    device: str | None = None,
    threads: int | None = None,
    options: Iterable[str] = (),
) -> BisectOutcome:
    """Find the first operator of a converted model that leaves its bound, as `vitbench bisect` does.

    images: photos, as `--inputs` takes them; seeded images without. limit: of them, which go through as one batch.
    runtimes: all available ones that read ONNX, without. precision: of the arithmetic, where it is not the artifact's.
    onnx: a file, or the folder of an artifact, that is held against this artifact's Paddle program.

    `passed` is False where something is out of bounds; `found` has the fault. The tables `blocks` and `operators` have
    absolute errors. InputError for an artifact without a Paddle program, and for runtimes that do not read the file;
    CheckFailed where Paddle or a runtime does not run the model.
    """
    chosen = select(joined("runtimes", runtimes), device, threads, pairs=options)
    wanted = InputOptions(path(images), limit)
    found = [
        one
        for name in precisions(precision or artifact.precision)
        for one in bisections(artifact, name, chosen, wanted, path(onnx))
    ]
    problems = tuple(f"{one.name}: {one.found.fault.sentence()}" for one in found if one.found.fault)
    rows = {
        "blocks": [_row(one, "Block", row) for one in found for row in one.found.blocks],
        "operators": [_row(one, "Operator", row) for one in found for row in one.found.operators],
    }
    return BisectOutcome(not problems, problems, rows, found=tuple(found))


def _row(one: Bisected, what: str, row: JudgedTensor) -> dict[str, Any]:
    judged = row.judgement
    return {
        "Runtime": f"{one.runtime.name} {one.options.precision}",
        what: row.name,
        "Max abs error": judged.errors.get("max"),
        "Allowed": judged.bounds.get("max"),
        "Of the bound": judged.excess,
        "Within": not judged.bad,
    }


def profile(
    artifacts: Artifact | Iterable[Artifact],
    *,
    runtimes: Sequence[str] | None = None,
    batches: Sequence[int] | None = None,
    runs: int = 30,
    device: str | None = None,
    threads: int | None = None,
    options: Iterable[str] = (),
) -> ProfileOutcome:
    """Show where the milliseconds of an inference go, by block and by operator, as `vitbench profile` does.

    artifacts: of any models and precisions. runtimes: all available ones with a profiler, without. batches: sizes, 1
    without. runs: of each session.

    Times of the tables `blocks`, `operators` and `cells` are in ms of one run, shares from 0 to 1. `passed` is False
    where a runtime could not be profiled, and `problems` says why. InputError for a wrong input.
    """
    found = several(artifacts)
    chosen = select(joined("runtimes", runtimes), device, threads, pairs=options)
    cells: list[ProfiledCell] = []
    failed: list[str] = []
    for model in dict.fromkeys(one.model for one in found):
        by_precision = {one.precision: one for one in found if one.model == model}
        if len(by_precision) < sum(one.model == model for one in found):
            raise InputError(f"{model}: two artifacts of one precision; profile them one after the other")
        sizes = cli.batches(next(iter(by_precision.values())), tuple(batches or (1,)), batches is not None)
        cells += profiles(by_precision, able(chosen, list(by_precision)), chosen, sizes, runs, failed.append)
    rows: dict[str, list[dict[str, Any]]] = {
        "blocks": [{**_cell(cell), **asdict(row)} for cell in cells for row in cell.times.blocks],
        "operators": [{**_cell(cell), **asdict(row)} for cell in cells for row in cell.times.operators],
        "cells": [
            {
                **_cell(cell),
                "layers_ms": cell.times.total.ms,
                "outside_ms": cell.times.outside_ms,
                "run_ms": cell.times.profile.run_ms,
                "plain_ms": cell.times.profile.plain_ms,
            }
            for cell in cells
        ],
    }
    said = tuple(
        f"{cell.artifact.model} on {cell.name} at batch {cell.batch}: {sentence(cell.times)}" for cell in cells
    )
    return ProfileOutcome(False if failed else None, tuple(failed), rows, said, cells=tuple(cells))


def _cell(cell: ProfiledCell) -> dict[str, Any]:
    return {"model": cell.artifact.model, "runtime": cell.name, "batch": cell.batch}
