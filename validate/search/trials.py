"""A search as a function, which the command and `import vitbench` call: rungs are made, measured and judged."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

from convert import artifact as artifacts
from convert import cli, identity
from convert.artifact import Artifact
from convert.build import Request, obtain_variant
from convert.cli import Asked
from convert.common import typed
from convert.common.console import print_table, printer, say
from convert.common.disk.files import sha256_json
from convert.common.errors import CheckFailed, InputError
from convert.datasets import LabelledSet
from convert.model_options import ModelOptions
from convert.precision import share, variant
from convert.precision.make import LEAST_DB
from convert.precision.table import INT8
from runtimes import registry
from runtimes.base import Runtime
from runtimes.records import store
from runtimes.records.kinds import Accuracy
from validate.accuracy import calibration_overlap, run
from validate.accuracy.console import Reporter
from validate.accuracy.dataset import load_for
from validate.accuracy.evaluation import REFERENCE, REFERENCE_PRECISION, Settings, images_key, make
from validate.search import ladder as ladders
from validate.search.ladder import Ladder, Rung
from validate.search.strategy import Judge, Recipe, Strength, search


@dataclass(frozen=True)
class Trials:
    """Where and on what the rungs are tried. request: of the int8 artifact, with its calibration."""

    request: Request
    runtimes: Sequence[Runtime]
    dataset: LabelledSet
    settings: Settings
    folder: Path
    report: Reporter

    @property
    def target(self) -> Path:
        return self.folder / "trial"

    def reference(self, base: Artifact) -> Accuracy:
        """Paddle's accuracy in FP32: what the verdicts are held against."""
        (record,) = self._measure(base, [registry.get(REFERENCE)], REFERENCE_PRECISION)
        return record

    def rung(self, recipe: Recipe) -> Rung:
        """Try it. What was measured before an interruption is taken from the results folder.

        CheckFailed or InputError when a runtime gives no accuracy: then there is no verdict either way.
        """
        artifact, _ = obtain_variant(self._request(recipe), self.target, say)
        records = self._measure(artifact, self.runtimes, self.request.precision)
        top1 = {record.runtime: record.top1 or 0.0 for record in records}
        lowered = artifact.manifest.multiplying.lowered if artifact.manifest.multiplying else 0
        return Rung(*recipe, lowered, artifact.sha256, top1, all(record.reached for record in records))

    def looked(self, smooth: float) -> Artifact:
        """With a strength of the smoothing and nothing kept in FP32, for what int8 costs each operator so."""
        return obtain_variant(self._request(Recipe(smooth, ())), self.target, say)[0]

    def final(self, rung: Rung) -> Artifact:
        """Make a rung the int8 artifact of the model."""
        return cli.obtain_loudly(self._request(rung.recipe))[0]

    def _request(self, recipe: Recipe) -> Request:
        return replace(self.request, keep_fp32=recipe.kept, smooth=recipe.smooth)

    def newest(self, rung: Rung) -> None:
        """Make a rung's records the newest of the results folder, which is what reports show of an evaluation."""
        measured = [
            record
            for record in store.read(self.folder)
            if isinstance(record, Accuracy) and record.precision == self.request.precision
        ]
        wanted = {record.runtime: record for record in measured if record.artifact == rung.artifact}
        newest = {record.runtime: record for record in measured}
        for name, record in wanted.items():
            if newest[name].artifact != rung.artifact:
                store.append(self.folder, record)

    def _measure(self, artifact: Artifact, runtimes: Iterable[Runtime], precision: str) -> list[Accuracy]:
        said = ModelOptions(**{one.name: getattr(self.request, one.name) for one in fields(ModelOptions)})
        asked = Asked(self.request.model, said, artifact)
        evaluations = [make(asked, runtime, precision, self.dataset, self.settings) for runtime in runtimes]
        records = list(run.measure(evaluations, self.settings, run.Storage(self.folder, resume=True), self.report))
        for record in records:
            if record.status != "ok":
                kind = InputError if record.status in ("refused", "unavailable") else CheckFailed
                raise kind(f"{record.model} {precision} on {record.runtime} {record.status}: {record.reason}")
        return records


@dataclass(frozen=True)
class SearchResult:
    """What a search tried. artifact: the int8 model that holds; failure: why there is none. One of them is None."""

    ladder: Ladder
    artifact: Artifact | None
    failure: str | None

    @property
    def rung(self) -> Rung | None:
        """The one that holds, with the fewest operators in FP32."""
        return self.ladder.rung(self.ladder.chosen)


def find(
    request: Request,
    settings: Settings,
    folder: Path,
    evaluations: int,
    resume: bool,
    strengths: Sequence[float] | None = None,
) -> SearchResult:
    """Search, show what was tried, and make the artifact that holds.

    request: of the int8 artifact. folder: of the results. evaluations: models to try, at most. strengths: of the
    smoothing, the preferred one first; None for that of the artifact that is there and the other of on and off.
    CheckFailed where a runtime gives no accuracy, or Paddle's is in doubt; InputError for wrong input.
    """
    trials, first = _prepare(request, settings, folder)
    noise, fields = _fields(trials, first, variant.strengths(first) if strengths is None else strengths)
    ladder = _begin(trials, first, noise, resume)
    operators = len(first.manifest.signal_to_noise_db or {})

    def holds(recipe: Recipe) -> bool:
        rung = ladder.rung(recipe)
        if rung is None:
            rung = trials.rung(recipe)
            ladder.rungs.append(rung)
            ladder.write(folder)
        trials.report.say(ladder.line(rung, operators))
        return rung.holds

    ladder.chosen = search(fields, Judge(holds, evaluations))
    ladder.write(folder)
    shutil.rmtree(trials.target, ignore_errors=True)
    print_table(printer(), ladder.table(noise), ladders.SENTENCES)
    trials.report.say(f"ladder: {folder / ladders.LADDER}")
    found = ladder.rung(ladder.chosen)
    if found is None:
        return SearchResult(ladder, None, ladder.failure(operators, evaluations))
    trials.newest(found)
    artifact = trials.final(found)
    if artifact.sha256 != found.artifact:
        why = f"{artifact.path}: made again it is not what was tried: measure it with validate.accuracy"
        return SearchResult(ladder, None, why)
    return SearchResult(ladder, artifact, None)


def _fields(
    trials: Trials, first: Artifact, strengths: Sequence[float]
) -> tuple[dict[float, Mapping[str, float]], list[Strength]]:
    """By strength of the smoothing what int8 costs each operator (dB), the one that it costs most first, and what there
    is to try. first: int8 as it is made unasked."""
    noise, fields = dict[float, Mapping[str, float]](), list[Strength]()
    for smooth in strengths:
        made = first if identity.of(first).smooth == smooth else trials.looked(smooth)
        found = noise[smooth] = dict(made.manifest.signal_to_noise_db or {})
        candidates = share.keepable(list(found), made.manifest.macs_by_operator or {})
        start = sum(found[name] < LEAST_DB for name in candidates)
        fields.append(Strength(smooth, candidates, start, min(len(found) // 2, len(candidates))))
    return noise, fields


def _prepare(request: Request, settings: Settings, folder: Path) -> tuple[Trials, Artifact]:
    """What is wrong with the input is found before a long conversion. The artifact is int8 as it is made unasked."""
    runtimes = settings.selection.having(INT8)
    if not runtimes:
        raise InputError(f"no runtime here has {INT8}; `python -m runtimes` shows which do")
    _ = settings.bar
    settings.labelled.load(None)
    first, _ = cli.obtain_loudly(request)
    report = Reporter()
    dataset = load_for(first, settings, report)
    calibration_overlap.refuse([first], dataset)
    path = first.manifest.recipe.calibration if first.manifest.recipe else None
    settled = replace(request, calibration=Path(path) if path else None, int8_range=identity.of(first).int8_range)
    return Trials(settled, runtimes, dataset, settings, folder, report), first


def _begin(trials: Trials, first: Artifact, noise: Mapping[float, Mapping[str, float]], resume: bool) -> Ladder:
    """The ladder, new or as far as it got, with the reference measured. noise: as `_fields` has it."""
    assert first.manifest.base
    base = artifacts.load((first.path / first.manifest.base.path).resolve())
    facts = {
        "model": first.model,
        "precision": INT8,
        "keep": float(trials.settings.bar),
        "images": images_key(trials.dataset),
        "calibration": typed.table(first.manifest.calibration),
        "signal_to_noise_db": {f"{smooth:g}": found for smooth, found in noise.items()},
    }
    selection = {runtime.name: asdict(trials.settings.selection.options(runtime, INT8)) for runtime in trials.runtimes}
    key = sha256_json([base.sha256, facts, selection, trials.settings.batch, dict(first.manifest.tools)])
    ladder = ladders.begin(trials.folder, key, facts, resume)
    reference = trials.reference(base)
    if reference.doubt and not base.seeded:
        raise CheckFailed(f"{base.model}: there is no accuracy to keep: {reference.doubt}")
    ladder.facts = {**facts, "reference_top1": reference.top1, "images_counted": reference.images}
    return ladder
