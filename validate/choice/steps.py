"""The steps of the race as they are: the bench's looks and hard measurements, and accuracies. Folders below the results
folder keep what each found, so that a race that was broken off goes on where it was."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from convert.artifact import Artifact
from convert.cli import Asked
from convert.common.console import say
from convert.common.disk.files import sha256_json
from convert.common.errors import CheckFailed
from convert.datasets import LabelledSet
from convert.datasets.options import SetOptions
from runtimes import registry
from runtimes.bench import command as bench
from runtimes.bench.ceiling import believed, kept
from runtimes.bench.plan import estimate, matrix
from runtimes.bench.plan.matrix import Cell
from runtimes.bench.plan.plan import CellCost
from runtimes.bench.plan.settings import Policy
from runtimes.bench.schedule import aggregate
from runtimes.bench.schedule.turns import TURN_S
from runtimes.options import Selection
from runtimes.records import store
from runtimes.records.kinds import Accuracy, TimedRecord
from runtimes.statistics import carries
from runtimes.system import environment
from validate.accuracy import calibration_overlap
from validate.accuracy import run as accuracies
from validate.accuracy.console import Reporter
from validate.accuracy.dataset import classes_of, load_for
from validate.accuracy.evaluation import REFERENCE, REFERENCE_PRECISION, Settings, make
from validate.accuracy.outcomes import UNREADABLE
from validate.choice import figures
from validate.choice.budget import Limits
from validate.choice.candidates import Candidates
from validate.choice.deadline import TimedReporter, TimeOverError
from validate.choice.runner import ACCURACY, PART, Runner
from validate.parity.run import prove

LOOKED, PARTS = "look", "part"  # folders
# Seven: of fewer samples none bounds the true median from below with 99 % confidence, and nobody would fall by it.
_LOOK = Policy(processes=1, min_s=1.0, min_count=7, target=0.5, max_s=10.0, patience_s=0.0, repeats=0)
# Of the time, for whoever is left at the end to be measured.
_SHARE_OF_FINAL = 0.35
_FINAL_MINUTES_EACH, _LEAST_MINUTES = 0.5, 0.05
_TARGET = 0.02
# A first pass over fewer images tells nothing, and one that is not much shorter than the whole saves nothing.
_PART_IMAGES, _PART_SHARE, _PART_PAYS = 100, 0.05, 4
_CLEARLY = 0.99


@dataclass
class RealSteps:
    """candidates: who takes part. labelled: None without images. folder: of the results. minutes: of the whole race; 0
    for no end. finals: the folder of each group that was measured together."""

    candidates: Candidates
    budget: Limits
    labelled: SetOptions | None
    folder: Path
    resume: bool
    minutes: float
    report: Reporter = field(init=False)
    began_s: float = field(default_factory=time.monotonic)
    limited: list[str] = field(default_factory=list)
    finals: dict[int, Path] = field(default_factory=dict)
    _reference: Accuracy | None = None

    def __post_init__(self) -> None:
        self.report = TimedReporter(self.out_of_time)

    def out_of_time(self) -> bool:
        """See Steps."""
        return self.minutes > 0 and self._left() < _SHARE_OF_FINAL * self.minutes

    def over(self) -> bool:
        """See Steps."""
        return self.minutes > 0 and self._left() <= 0

    def _left(self) -> float:
        """Minutes."""
        return self.minutes - (time.monotonic() - self.began_s) / 60

    def look(self, runners: Sequence[Runner]) -> None:
        """See Steps: one process of a second or so each, in turns."""
        say(f"a look at {len(runners)} candidates")
        for one, record in zip(runners, self._bench(runners, _LOOK, LOOKED), strict=True):
            one.look = record
        environment.save(self.folder, **kept.stated())  # by now the bench has it
        if self.over():
            took = self.minutes - self._left()
            self.limited.append(f"everything up to the look took {took:.1f} minutes, and --minutes is {self.minutes:g}")

    def measure(self, finalists: Sequence[Runner], group: int) -> None:
        """See Steps: rivals in turns, with as many samples as the budget's percentile needs."""
        say(f"measured hard: {', '.join(one.name for one in finalists)}")
        wanted = _FINAL_MINUTES_EACH * len(finalists) + self._sampling_minutes(finalists)
        count = samples(self.budget.percentile)
        effort = Policy(
            min_count=count,
            target=_TARGET,
            max_s=max(60.0, 120 * self._sampling_minutes(finalists)),
            patience_s=min(30.0, 10 * wanted),
            minutes=wanted,
        )
        costs = self._costs(finalists, effort)
        needed = max(wanted + _starts_s(costs) / 60, sum(cost.seconds for cost in costs) / 60)
        short = self.minutes > 0 and self._left() < needed
        if short:
            left = max(self._left(), _LEAST_MINUTES)
            effort = self._within(replace(effort, minutes=left), finalists)
            names = ", ".join(one.name for one in finalists)
            self.limited.append(f"{names}: measured for {left:.1f} minutes instead of {needed:.1f} (--minutes)")
        # Others than before are others to compare with, and less effort than is wanted now proves nothing: a folder is
        # of one field and one effort.
        cut = self.minutes if short else None
        name = f"final-{sha256_json([sorted(one.name for one in finalists), count, cut])[:8]}"
        self.finals[group] = self.folder / name
        for one, record in zip(finalists, self._bench(finalists, effort, name), strict=True):
            one.final = record

    def _within(self, effort: Policy, finalists: Sequence[Runner]) -> Policy:
        """Less effort, so that it is over when its minutes are. Every cell gets its processes however late it is, so
        that what they measure has to fit in, and starting them too: one each where two take most of the time."""
        left_s = 60 * effort.minutes
        for processes in (effort.processes, 1):
            tried = replace(effort, processes=processes)
            costs = self._costs(finalists, tried)
            room_s = left_s - _starts_s(costs)
            if room_s > left_s / 2:
                break
        each_s = max(room_s / len(finalists), TURN_S)
        # Mode throughput measures so long at each point of its search too.
        search = self.candidates.cell(finalists[0]).mode == "throughput"
        points = max(cost.measured_s for cost in costs) / tried.min_s if search else 1.0
        least_s, most_s = min(tried.min_s, each_s / points), min(tried.most_s, each_s)
        return replace(tried, min_s=least_s, max_s=most_s, patience_s=0.0)

    def _costs(self, finalists: Sequence[Runner], effort: Policy) -> list[CellCost]:
        """What the bench expects of each, by its look."""
        return [estimate.cost(self.candidates.cell(one), effort, one.look) for one in finalists]

    def _sampling_minutes(self, finalists: Sequence[Runner]) -> float:
        """What as many samples as the budget's percentile needs take of all of them."""
        return samples(self.budget.percentile) * sum(one.pace for one in finalists) / 60e3

    def _bench(self, runners: Sequence[Runner], effort: Policy, name: str) -> list[TimedRecord]:
        """The record of each. Where the race goes on, those of the folder are taken if it has all of them, of those
        that failed too, and its visits if it has no number yet: rivals are told apart by turns that they had together.
        """
        machine, folder = environment.setting_key(environment.describe()), self.folder / name
        cells = [self.candidates.cell(one) for one in runners]
        keys = [matrix.key(cell, machine) for cell in cells]
        found = store.known(folder) if self.resume else []
        known = {one.key: one for one in found if isinstance(one, TimedRecord) and one.key}
        if not set(keys) <= set(known):
            resume = self.resume and not set(keys) & set(store.measured(found))
            plan = estimate.plan(cells, effort, machine, folder, 0, resume)
            records = bench.carry_out(plan, machine, folder, resume, prove)
            known = {one.key: one for one in records if one.key}
        here = kept.stated()
        return [_possible(known[key], cell, effort, here) for key, cell in zip(keys, cells, strict=True)]

    def judge(self, runner: Runner) -> None:
        """See Steps: a part of the images drops who clearly fails, all of them decide."""
        together = [one for one in self.candidates.runners if _shares(one, runner) and one.fell is None]
        try:
            step, reason = self._judged(runner)
        except TimeOverError as error:
            step, reason = ACCURACY, f"its accuracy was broken off after {error}: no time was left"
            self.limited.append(f"{runner.name}: its accuracy was broken off after {error} (--minutes)")
        for one in together:
            one.holds, one.top1, one.accuracy = runner.holds, runner.top1, runner.accuracy
            one.step, one.fell = step, reason

    def _judged(self, runner: Runner) -> tuple[str, str | None]:
        """Where it falls and why; None where it holds."""
        assert self.labelled, "a lowered precision takes part with images only"
        cell = self.candidates.cell(runner)
        settings = Settings(self._selection(runner), self.labelled)
        reference = self._paddle(settings)
        if reference.status != "ok":
            return ACCURACY, f"there is no accuracy of Paddle's to hold it to: {reference.reason}"
        right = Fraction(round((reference.top1 or 0.0) * (reference.images or 1)), reference.images or 1)
        settings = replace(settings, keep=str(self.budget.top1.keep(right)))
        dataset = self._dataset(settings)
        count = max(_PART_IMAGES, round(_PART_SHARE * len(dataset.labels)))
        if _PART_PAYS * count <= len(dataset.labels):
            part = replace(settings, labelled=replace(self.labelled, limit=count))
            few = part.labelled.load(*classes_of(cell.artifact))
            found = self._accuracy(runner, few, part, PARTS)
            if found.status != "ok":
                return PART, f"accuracy {found.status}: {found.reason}"
            expected = dict(zip(dataset.names, reference.outcomes or "", strict=True))
            # A part of all images is none of a part that --limit took: what Paddle did not see is left out.
            of_paddle = "".join(expected.get(name, UNREADABLE) for name in few.names)
            value, low, high = figures.paired(found.outcomes or "", of_paddle, _CLEARLY)
            if high < float((settings.bar - 1) * right):
                runner.holds, runner.accuracy = False, replace(found, reference_top1=float(right))
                runner.top1 = f"{_points(value, low, high)} on {len(few.names)} images"
                return PART, f"misses {self.budget.top1.text}: top-1 {runner.top1}, clearly too low"
        found = self._accuracy(runner, dataset, settings, "")
        if found.status != "ok":
            return ACCURACY, f"accuracy {found.status}: {found.reason}"
        difference = figures.paired(found.outcomes or "", reference.outcomes or "")
        runner.holds, runner.accuracy = found.reached, found
        runner.top1 = f"{_points(*difference)} on {found.images} images"
        return ACCURACY, None if runner.holds else f"misses {self.budget.top1.text}: top-1 {runner.top1}"

    def _selection(self, runner: Runner) -> Selection:
        """As the bench has it, with every core: threads change no answer."""
        chosen = self.candidates.cell(runner).selection
        return replace(chosen, threads=None)

    def _paddle(self, settings: Settings) -> Accuracy:
        """Paddle's own top-1, which the others are held against; measured when it is needed first."""
        if self._reference is None:
            artifacts = [cell.artifact for cell in self.candidates.cells]
            base = artifacts[0].fp32
            dataset = load_for(base, settings, self.report)
            calibration_overlap.refuse(artifacts, dataset)
            runtime = registry.get(REFERENCE)
            own = replace(settings, selection=Selection([runtime], True))
            evaluation = make(_asked(self.candidates.cells[0], base), runtime, REFERENCE_PRECISION, dataset, own)
            storage = accuracies.Storage(self.folder, resume=True)
            (found,) = accuracies.measure([evaluation], own, storage, self.report)
            if found.doubt and not base.seeded:
                raise CheckFailed(f"{base.model}: there is no accuracy to keep: {found.doubt}")
            self._reference = found
        return self._reference

    def _dataset(self, settings: Settings) -> LabelledSet:
        return settings.labelled.load(*classes_of(self.candidates.cells[0].artifact))

    def _accuracy(self, runner: Runner, dataset: LabelledSet, settings: Settings, name: str) -> Accuracy:
        cell = self.candidates.cell(runner)
        evaluation = make(_asked(cell, cell.artifact), cell.runtime, cell.precision, dataset, settings)
        storage = accuracies.Storage(self.folder / name, resume=True)
        (found,) = accuracies.measure([evaluation], settings, storage, self.report)
        return found


def _possible(record: TimedRecord, cell: Cell, effort: Policy, here: Mapping[str, Any]) -> TimedRecord:
    """A record, refused as one without parity is where its machine cannot be so fast. here: as `kept.stated`."""
    why = believed.too_fast(here, record) if record.measured else None
    return replace(aggregate.blank(cell, record.key or "", effort), status="refused", reason=why) if why else record


def _asked(cell: Cell, artifact: Artifact) -> Asked:
    return Asked(cell.argument, cell.chosen, artifact)


def _starts_s(costs: Sequence[CellCost]) -> float:
    """Seconds that starting all processes takes, loading and warming up included."""
    return sum(cost.fixed_s * cost.visits for cost in costs)


def samples(percentile: int) -> int:
    """How many a percentile needs of a cell."""
    return next(n for n in range(Policy.min_count, 10**4) if carries(n, percentile))


def _shares(one: Runner, other: Runner) -> bool:
    return (one.runtime, one.precision, one.smooth) == (other.runtime, other.precision, other.smooth)


def _points(value: float, low: float, high: float) -> str:
    """`-0.60 points to Paddle's (-1.7 to 0.5)`."""
    return f"{100 * value:+.2f} points to Paddle's ({100 * low:.1f} to {100 * high:.1f})"
