"""Who takes part: every runtime that is here in every precision that it has, with every core and with half of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from convert import build, cli, identity
from convert.artifact import Artifact
from convert.build import Request
from convert.common.console import say
from convert.common.errors import CheckFailed, InputError
from convert.model_options import ModelOptions
from convert.precision import variant
from convert.precision.table import FP32, INT8, PRECISIONS
from runtimes import registry
from runtimes.base import usable_cores
from runtimes.bench.plan import matrix
from runtimes.bench.plan.matrix import Cell
from runtimes.bench.plan.settings import Matrix
from runtimes.options import precisions
from validate.choice.budget import LATENCY, THROUGHPUT
from validate.choice.runner import Runner, kind

BATCHES = (1, 4, 8)  # that mode throughput searches among, as the bench does


@dataclass(frozen=True)
class Question:
    """What may be chosen among, as the user said it. threads: None for every core and half of them.
    strengths: of int8's smoothing, the preferred one first; None for that of the artifact that is there, and on or off.
    price: euros per hour of this machine, for the objective cost.
    """

    model: str
    chosen: ModelOptions
    precision: str
    root: Path
    objective: str
    runtime: str | None = None
    device: str | None = None
    threads: tuple[int, ...] | None = None
    streams: int | None = None
    cache: Path | None = None
    pairs: tuple[str, ...] = ()
    calibration: Path | None = None
    strengths: tuple[float, ...] | None = None
    price: float | None = None

    @property
    def mode(self) -> str:
        """What the bench measures: at one price per hour, what an image costs goes by the rate."""
        return LATENCY if self.objective == LATENCY else THROUGHPUT


@dataclass(frozen=True)
class Candidates:
    """cells: of the runners, by their places. out: what takes no part and why, a clause each."""

    runners: tuple[Runner, ...]
    cells: tuple[Cell, ...]
    out: tuple[str, ...]

    def cell(self, runner: Runner) -> Cell:
        return self.cells[next(place for place, one in enumerate(self.runners) if one is runner)]


def gather(question: Question, judged: bool) -> Candidates:
    """The candidates, their models converted. judged: whether there are images to judge a lowered precision on.

    InputError where no precision can take part, with each one's reason; it and CheckFailed as `matrix.cells`.
    """
    wanted, out = [], list[str]()
    for name in precisions(question.precision):
        reason = _refused(question, name, judged)
        if reason:
            out.append(f"{name}: {reason}")
        else:
            wanted.append(name)
    if not wanted:
        raise InputError(f"--precision {question.precision}: {'; '.join(out)}")
    found = Matrix(
        model=(question.model,),
        runtime=None if question.runtime is None else (question.runtime,),
        precision=tuple(wanted),
        mode=(question.mode,),
        device=(question.device,),
        option=question.pairs,
        batch=BATCHES if question.mode == THROUGHPUT else (1,),
        threads=_threads(question),
        streams=(question.streams,),
        artifacts=str(question.root),
        cache=str(question.cache) if question.cache else None,
        **question.chosen.arguments(),
    )
    unmade = list[str]()
    cells = matrix.cells([found], None, unmade)
    out += [*matrix.cannot_exist([found]), *unmade]
    variants = _smoothed(question, [cell.artifact for cell in cells if cell.precision == INT8], out)
    pairs = [
        (_runner(cell, artifact, later), replace(cell, artifact=artifact))
        for cell in cells
        for later, artifact in enumerate(variants if cell.precision == INT8 else [cell.artifact])
    ]
    if not pairs:
        raise InputError(f"--precision {question.precision}: {'; '.join(out)}")
    return Candidates(tuple(one for one, _ in pairs), tuple(cell for _, cell in pairs), tuple(out))


def _runner(cell: Cell, artifact: Artifact, later: int) -> Runner:
    threads, place = cell.options.thread_count(), registry.names().index(cell.runtime.name)
    return Runner(cell.runtime.name, cell.precision, threads, place, identity.of(artifact).smooth, later)


def _smoothed(question: Question, present: Sequence[Artifact], out: list[str]) -> list[Artifact]:
    """int8 with each strength of the smoothing, the preferred one first. present: the one that is there; none where
    int8 takes no part. out: gets why one cannot be made."""
    found = list[Artifact]()
    if not present or present[0].form:  # a folder to ship is taken as it is
        return list(present[:1])
    for strength in question.strengths or variant.strengths(present[0]):
        try:
            found.append(build.beside(asked(question), present[0], strength, say))
        except (InputError, CheckFailed) as error:
            out.append(f"{kind('', INT8, strength).strip()}: {error.message}")
    return found


def asked(question: Question) -> Request:
    """int8 of the model, as it is there."""
    return Request(question.model, precision=INT8, root=question.root, **question.chosen.arguments())


def _refused(question: Question, precision: str, judged: bool) -> str | None:
    """Why a precision takes no part, before anything is made of it; None where it does. int8 is made here, with its
    calibration images; one that is there and was calibrated on files stays as it is."""
    if precision == FP32:
        return None
    if not judged:
        return "its accuracy cannot be judged without --images"
    if not PRECISIONS[precision].calibrated:
        return None
    request = asked(question)
    there = None if question.calibration else cli.there(request)
    if question.calibration:
        cli.obtain_loudly(replace(request, calibration=question.calibration))
    elif not (there and there.manifest.calibration and there.manifest.calibration.files_sha256):
        return "it needs images to calibrate on (--calibration)"
    return None


def _threads(question: Question) -> tuple[int | None, ...]:
    if question.threads:
        return question.threads
    if question.mode == THROUGHPUT:
        return (None,)
    half = usable_cores() // 2
    return (None, half) if half else (None,)
