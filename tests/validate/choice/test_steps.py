"""Steps of the race as they are: what going on believes, and accuracy, where a part of the images drops who clearly
fails and all of them decide."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from convert.artifact import Artifact
from convert.common import typed
from convert.datasets.options import SetOptions
from runtimes import registry
from runtimes.base import Options
from runtimes.bench import command as bench
from runtimes.bench.ceiling import kept
from runtimes.bench.ceiling.reach import Ceiling
from runtimes.bench.plan import estimate, matrix
from runtimes.bench.plan.matrix import Cell
from runtimes.bench.plan.settings import Policy
from runtimes.records import store
from runtimes.records.kinds import Accuracy, Latency
from runtimes.records.parts import ModelInfo
from tests.runtimes.records.made import record
from tests.validate.choice.made_up import latency
from validate.accuracy.outcomes import Predictions
from validate.choice import race
from validate.choice.budget import parse
from validate.choice.candidates import Candidates
from validate.choice.runner import ACCURACY, PART, Runner
from validate.choice.steps import LOOKED, PARTS, RealSteps

IMAGES = 500
PADDLE = "1" * 400 + "0" * 100


def accuracy(outcomes: str, keep: float = 0.99, **fields: Any) -> Accuracy:
    top1, reference = Predictions(outcomes).top1, 0.8
    passed = top1 is not None and top1 >= keep * reference
    shown = {"outcomes": outcomes, "images": len(outcomes), "top1": top1, "keep": keep, "passed": passed}
    return record(Accuracy, **{**shown, "reference_top1": reference, **fields})


Judge = Callable[..., tuple[list[Runner], list[str]]]


@pytest.fixture
def judge(toy_artifact: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Judge:
    """Judge int8 with these outcomes under a budget; what came of both of its runners, and which sets were used."""

    def made(
        outcomes: str,
        budget: str = "top1>=-2",
        images: int = IMAGES,
        measured: Any = None,
        smooth: Any = (None, None),
        **fields: Any,
    ) -> tuple[list[Runner], list[str]]:
        names = [str(at) for at in range(images)]

        def load(self: SetOptions, *classes: object) -> object:
            step = 1 if self.limit is None else images // self.limit
            return SimpleNamespace(names=names[::step], labels=[0] * len(names[::step]))

        used: list[str] = []

        def made_up(self: RealSteps, runner: Runner, dataset: Any, settings: Any, name: str) -> Accuracy:
            used.append(name)
            mine = "".join(outcomes[int(one)] for one in dataset.names)
            return accuracy(mine, float(settings.bar), **fields)

        monkeypatch.setattr(SetOptions, "load", load)
        monkeypatch.setattr(RealSteps, "_accuracy", measured or made_up)
        monkeypatch.setattr(RealSteps, "_paddle", lambda self, settings: accuracy(PADDLE[:images]))
        runners = tuple(Runner("ort-cpu", "int8", 2 - at, smooth=one) for at, one in enumerate(smooth))
        cells = tuple(
            Cell("toy", toy_artifact, registry.get("ort-cpu"), "int8", Options("int8", threads=one.threads), 1)
            for one in runners
        )
        candidates = Candidates(runners, cells, ())
        steps = RealSteps(candidates, parse(budget), SetOptions(Path("images")), tmp_path, False, 0.0)
        steps.judge(runners[0])
        return list(runners), used

    return made


@dataclass
class Benches:
    """A bench whose records are made up. asked: of each run its folder, its cells, whether it goes on, and the samples
    that it wants. efforts: how hard it tries."""

    records: Callable[[Cell], Latency]
    asked: list[tuple[str, int, bool, int]] = field(default_factory=list)
    efforts: list[Policy] = field(default_factory=list)

    def plan(self, cells: Sequence[Cell], effort: Policy, *rest: Any) -> tuple[Sequence[Cell], Policy]:
        return cells, effort

    def carry_out(
        self, plan: tuple[Sequence[Cell], Policy], machine: str, folder: Path, resume: bool, prove: object
    ) -> list[Latency]:
        cells, effort = plan
        self.asked.append((folder.name, len(cells), resume, effort.min_count))
        self.efforts.append(effort)
        made = [replace(self.records(cell), key=matrix.key(cell, machine)) for cell in cells]
        for one in made:
            store.append(folder, one)
        return made


@pytest.fixture
def benches(monkeypatch: pytest.MonkeyPatch) -> Benches:
    found = Benches(lambda cell: latency(10.0))
    monkeypatch.setattr(estimate, "plan", found.plan)
    monkeypatch.setattr(bench, "carry_out", found.carry_out)
    return found


def field_of(artifact: Artifact, *threads: int) -> Candidates:
    runtime = registry.get("ort-cpu")
    cells = tuple(Cell("toy", artifact, runtime, "fp32", Options(threads=count), 1) for count in threads)
    return Candidates(tuple(Runner("ort-cpu", "fp32", count) for count in threads), cells, ())


def race_of(artifact: Artifact, folder: Path, budget: str, minutes: float = 0.0, *threads: int) -> RealSteps:
    return RealSteps(field_of(artifact, *(threads or (2, 1))), parse(budget), None, folder, True, minutes)


def hard(steps: RealSteps) -> list[str]:
    """Look at all and measure them hard; what the time limit cost."""
    steps.look(steps.candidates.runners)
    steps.measure(steps.candidates.runners, 1)
    assert all(one.final for one in steps.candidates.runners)
    return steps.limited


def test_going_on_believes_no_final_of_less_effort(toy_artifact: Artifact, tmp_path: Path, benches: Benches) -> None:
    def race(budget: str, minutes: float = 0.0) -> tuple[int, bool]:
        """How many finals were measured for it, and whether time was short."""
        before = len(benches.asked)
        limited = hard(race_of(toy_artifact, tmp_path, budget, minutes))
        return sum(name != LOOKED for name, *_ in benches.asked[before:]), bool(limited)

    assert race("p50<50ms") == (1, False)
    assert race("p50<40ms") == (0, False), "the same samples tell of another limit"
    assert race("p99<50ms") == (1, False)
    assert benches.asked[-1][-1] == 662
    assert race("p99<50ms", minutes=0.5) == (1, True), "cut short"
    assert race("p99<50ms", minutes=0.5) == (0, True)
    assert race("p99<50ms", minutes=0.7) == (1, True), "more minutes are more samples"
    assert race("p99<50ms", minutes=60) == (0, False), "which is what a race without an end had"


@pytest.mark.parametrize(("load_ms", "processes"), [(1.0, 2), (9000.0, 1)])
def test_a_final_that_is_cut_short_fits_into_what_is_left(
    toy_artifact: Artifact, tmp_path: Path, benches: Benches, load_ms: float, processes: int
) -> None:
    """Two cells of half a second want minutes for p99; what every cell gets at least has to fit into half a minute."""
    benches.records = lambda cell: latency(500.0, load_ms=load_ms)
    (said,) = hard(race_of(toy_artifact, tmp_path, "p99<5s", minutes=0.5))
    assert re.search(r"measured for 0\.5 minutes instead of 1[2-9]\.\d \(--minutes\)$", said), said
    effort = benches.efforts[-1]
    assert effort.processes == processes
    assert 2 * effort.most_s <= 30
    assert effort.min_s <= effort.most_s
    assert effort.patience_s == 0


def test_a_limit_that_is_over_with_the_look_is_said(toy_artifact: Artifact, tmp_path: Path, benches: Benches) -> None:
    first, second = hard(race_of(toy_artifact, tmp_path, "p50<50ms", minutes=1e-5))
    assert first == "everything up to the look took 0.0 minutes, and --minutes is 1e-05"
    assert "(--minutes)" in second


def test_an_accuracy_ends_where_its_time_does_and_says_so(judge: Judge, monkeypatch: pytest.MonkeyPatch) -> None:
    def followed(self: RealSteps, *asked: object) -> Accuracy:
        with self.report.progress(["toy"], IMAGES) as tell:
            tell("toy", 64)
        return accuracy(PADDLE)

    monkeypatch.setattr(RealSteps, "out_of_time", lambda self: True)
    runners, _ = judge(PADDLE, measured=followed)
    assert [(one.step, one.holds) for one in runners] == [(ACCURACY, None)] * 2
    assert runners[0].fell == "its accuracy was broken off after 64 of 500 images: no time was left"


def test_rivals_are_measured_together_where_not_all_of_them_were(
    toy_artifact: Artifact, tmp_path: Path, benches: Benches
) -> None:
    hard(race_of(toy_artifact, tmp_path, "", 0.0, 2))
    benches.asked.clear()
    steps = race_of(toy_artifact, tmp_path, "")
    steps.look(steps.candidates.runners)
    assert benches.asked == [(LOOKED, 2, False, 7)], "both of them, and no visit from before"


def test_one_that_failed_is_not_measured_again_alone(toy_artifact: Artifact, tmp_path: Path, benches: Benches) -> None:
    failed = record(Latency, status="failed", reason="it crashed")
    benches.records = lambda cell: failed if cell.options.threads == 1 else latency(10.0)
    for _ in range(2):
        steps = race_of(toy_artifact, tmp_path, "")
        steps.look(steps.candidates.runners)
        assert [one.look and one.look.status for one in steps.candidates.runners] == ["ok", "failed"]
    assert len(benches.asked) == 1


def test_who_holds_is_judged_by_all_images_and_for_both_numbers_of_threads(judge: Judge) -> None:
    runners, used = judge("0" * 5 + PADDLE[5:])
    assert used == [PARTS, ""]
    assert [one.holds for one in runners] == [True, True]
    assert [one.fell for one in runners] == [None, None]
    assert runners[1].top1.startswith("-1.00 points to Paddle's (")


def test_a_part_of_the_images_is_enough_for_who_clearly_fails(judge: Judge) -> None:
    runners, used = judge("0" * IMAGES, reference_top1=None)  # a part has none: no reference is measured on it alone
    assert used == [PARTS]
    assert [one.accuracy and one.accuracy.reference_top1 for one in runners] == [0.8, 0.8]
    assert {(one.step, one.holds) for one in runners} == {(PART, False)}
    assert all(one.fell and "clearly too low" in one.fell for one in runners)


def test_who_fails_by_little_fails_by_all_images(judge: Judge) -> None:
    runners, used = judge("0" * 11 + PADDLE[11:])
    assert used == [PARTS, ""]
    assert {(one.step, one.holds) for one in runners} == {(ACCURACY, False)}
    assert all(one.fell and "misses top1>=-2: top-1 -2.20 points" in one.fell for one in runners)
    runners, _ = judge("0" * 10 + PADDLE[10:])
    assert runners[0].holds, "two points and no more"


def test_few_images_are_not_looked_at_in_part(judge: Judge) -> None:
    assert judge(PADDLE, images=300)[1] == [""]


def test_one_that_fails_falls_with_its_reason_and_ends_nothing(judge: Judge) -> None:
    runners, _ = judge(PADDLE, status="failed", reason="it crashed")
    assert all(one.fell == "accuracy failed: it crashed" for one in runners)


def test_an_accuracy_is_of_one_smoothing(judge: Judge) -> None:
    """Threads change no answer, and how much is smoothed does."""
    runners, _ = judge(PADDLE, smooth=(0.5, 0.0))
    assert [one.holds for one in runners] == [True, None]


def test_a_speed_above_the_ceiling_is_refused_like_a_failed_parity(
    toy_artifact: Artifact, tmp_path: Path, benches: Benches, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = typed.read(ModelInfo, typed.table({"macs": toy_artifact.manifest.macs}))
    work = 2 * (toy_artifact.manifest.macs.total or 0)  # of an image in 10 ms
    for gflops, refused in ((work / 1e9 / 0.01 / 20, True), (work / 1e9 / 0.01, False)):
        monkeypatch.setattr(kept, "read", partial(made_ceiling, gflops))
        benches.records = lambda cell: latency(10.0, model_info=info)
        steps = race_of(toy_artifact, tmp_path / str(refused), "")
        decision = race.run(steps.candidates.runners, steps.budget, steps)
        one = steps.candidates.runners[0]
        assert (decision.chosen is None) is refused
        assert (one.look and one.look.status) == ("refused" if refused else "ok")
        assert bool(one.fell and one.fell.startswith("faster than the machine can be: ")) is refused
        assert (one.pace == math.inf) is refused, "its speed is shown nowhere"
        environment = json.loads((tmp_path / str(refused) / "environment.json").read_text())
        assert environment["ceiling"]["gflops"] == {"fp32": gflops}, "the report of the folder checks it too"


def made_ceiling(gflops: float) -> Ceiling:
    return Ceiling(
        gflops={"fp32": gflops}, how={}, unmeasured={}, gpus=(), threads=2, foreign_load=0.0, time_utc="", occasions=3
    )
