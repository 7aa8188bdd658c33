"""`python -m validate.search`: which operators must stay FP32. Each rung of the ladder is made and measured."""

from __future__ import annotations

import functools
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import click

from convert import artifact as artifacts
from convert import cli
from convert.artifact import Artifact
from convert.build import Request, obtain_variant
from convert.common import typed
from convert.common.boundary import BoundedCommand, results_in
from convert.common.console import print_table, printer, say, say_json
from convert.common.disk.files import sha256_json
from convert.common.errors import CheckFailed, InputError
from convert.datasets import LabelledSet
from convert.datasets.options import SetOptions, set_options
from convert.model_options import ModelOptions
from convert.models import find_all
from convert.precision import share
from convert.precision.make import LEAST_DB
from convert.precision.table import INT8
from runtimes import registry
from runtimes.base import Runtime
from runtimes.options import Selection, resume_option, session_options
from runtimes.records import store
from runtimes.records.kinds import Accuracy
from validate.accuracy import calibration_overlap, run
from validate.accuracy.console import Reporter
from validate.accuracy.dataset import load_for
from validate.accuracy.evaluation import KEEP, REFERENCE, REFERENCE_PRECISION, Settings, images_key, make
from validate.search import ladder as ladders
from validate.search.ladder import Ladder, Rung
from validate.search.strategy import Judge, Kept, search

_EPILOG = """\b
Examples:
  python -m validate.search --model ViT_base_patch16_224 --limit 5000 \\
      --images ilsvrc2012/val_list.txt \\
      --calibration ilsvrc2012/train_list.txt
  python -m validate.search --images photos/ --keep 0.995 --runtime openvino

Each evaluation makes the model and runs all images on each runtime; after a kill, --resume goes on with the image that
was next. The results folder gets ladder.json: what was tried, in this order, and what came of it.

Exit status: 0 int8 holds, and the artifact is the one that does; 1 it does not, or a runtime failed; 2 the input or the
usage is wrong.
"""


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
        """The model being tried."""
        return self.folder / "trial"

    def reference(self, base: Artifact) -> Accuracy:
        """Paddle's accuracy in FP32: what the verdicts are held against."""
        (record,) = self._measure(base, [registry.get(REFERENCE)], REFERENCE_PRECISION)
        return record

    def rung(self, kept: tuple[str, ...]) -> Rung:
        """Try it. What was measured before an interruption is taken from the results folder.

        CheckFailed or InputError when a runtime gives no accuracy: then there is no verdict either way.
        """
        artifact, _ = obtain_variant(replace(self.request, keep_fp32=kept), self.target, say)
        records = self._measure(artifact, self.runtimes, self.request.precision)
        top1 = {record.runtime: record.top1 or 0.0 for record in records}
        lowered = artifact.manifest.multiplying.lowered if artifact.manifest.multiplying else 0
        return Rung(kept, lowered, artifact.sha256, top1, all(record.reached for record in records))

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
        evaluations = [
            make(artifact, self.request.model, runtime, precision, self.dataset, self.settings) for runtime in runtimes
        ]
        records = list(run.measure(evaluations, self.settings, run.Storage(self.folder, resume=True), self.report))
        for record in records:
            if record.status != "ok":
                kind = InputError if record.status in ("refused", "unavailable") else CheckFailed
                raise kind(f"{record.model} {precision} on {record.runtime} {record.status}: {record.reason}")
        return records


@click.command(cls=BoundedCommand, epilog=_EPILOG)
@set_options
@functools.partial(cli.model_options, precision=INT8)
@session_options
@click.option(
    "--calibration",
    type=click.Path(path_type=Path),
    help="A folder, a list or any set of images, none of them among --images. [default: as the artifact that is there]",
)
@click.option("--keep", default=KEEP, show_default=True, help="The part of Paddle's FP32 top-1 that must be reached.")
@click.option(
    "--evaluations", type=click.IntRange(min=1), default=12, show_default=True, help="Models to try, at most."
)
@click.option("--batch", type=click.IntRange(min=1), default=8, show_default=True, help="Images in one inference.")
@resume_option
def main(
    models: str,
    chosen: ModelOptions,
    precision: str,
    root: Path,
    as_json: bool,
    selection: Selection,
    labelled: SetOptions,
    calibration: Path | None,
    keep: str,
    evaluations: int,
    batch: int,
    out: Path | None,
    resume: bool,
) -> None:
    """Find the operators that must stay FP32 so that int8 keeps its accuracy, and make that model.

    A linear layer whose output stands least above int8's noise is the first to stay FP32; then each that was kept is
    lowered alone, since that order is only a guess. A runtime that has int8 must hold `--keep` of what Paddle reaches
    in FP32 on the same images; several are judged together.
    """
    if precision != INT8:
        raise InputError(f"--precision {precision}: only {INT8} is searched; the others round every operator alike")
    if len(names := find_all(models)) > 1:
        raise InputError(f"--model {models}: one model at a time")
    settings = Settings(selection, labelled, chosen, batch, keep=keep)
    request = Request(names[0], precision=INT8, root=root, calibration=calibration, **vars(chosen))
    folder = out or (store.newest_run() if resume else store.new_run())
    click.get_current_context().with_resource(store.alone(folder))
    results_in(folder)
    trials, first = _prepare(request, settings, folder)
    noise = first.manifest.signal_to_noise_db or {}
    ladder = _begin(trials, first, resume)

    def holds(kept: Kept) -> bool:
        rung = ladder.rung(kept)
        if rung is None:
            rung = trials.rung(kept)
            ladder.rungs.append(rung)
            ladder.write(folder)
        trials.report.say(ladder.line(rung, len(noise)))
        return rung.holds

    candidates = share.keepable(list(noise), first.manifest.macs_by_operator or {})
    start = sum(noise[name] < LEAST_DB for name in candidates)
    most = min(len(noise) // 2, len(candidates))
    ladder.chosen = search(candidates, start, most, Judge(holds, evaluations))
    ladder.write(folder)
    shutil.rmtree(trials.target, ignore_errors=True)
    print_table(printer(), ladder.table(noise), ladders.SENTENCES)
    trials.report.say(f"ladder: {folder / ladders.LADDER}")
    if as_json:
        say_json(ladder.document())
    found = ladder.rung(ladder.chosen)
    if found is None:
        raise CheckFailed(ladder.failure(len(noise), evaluations))
    trials.newest(found)
    artifact, _ = cli.obtain_loudly(replace(trials.request, keep_fp32=found.kept_fp32))
    if artifact.sha256 != found.artifact:
        raise CheckFailed(f"{artifact.path}: made again it is not what was tried: measure it with validate.accuracy")
    if not as_json:
        click.echo(f"{artifact.path}: {found.lowered} of {len(noise)} operators in int8")


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
    settled = replace(request, calibration=Path(path) if path else None)
    return Trials(settled, runtimes, dataset, settings, folder, report), first


def _begin(trials: Trials, first: Artifact, resume: bool) -> Ladder:
    """The ladder, new or as far as it got, with the reference measured."""
    assert first.manifest.base
    base = artifacts.load((first.path / first.manifest.base.path).resolve())
    facts = {
        "model": first.model,
        "precision": INT8,
        "keep": float(trials.settings.bar),
        "images": images_key(trials.dataset),
        "calibration": typed.table(first.manifest.calibration),
        "signal_to_noise_db": dict(first.manifest.signal_to_noise_db or {}),
    }
    selection = {runtime.name: asdict(trials.settings.selection.options(runtime, INT8)) for runtime in trials.runtimes}
    key = sha256_json([base.sha256, facts, selection, trials.settings.batch, dict(first.manifest.tools)])
    ladder = ladders.begin(trials.folder, key, facts, resume)
    reference = trials.reference(base)
    if reference.doubt and not base.seeded:
        raise CheckFailed(f"{base.model}: there is no accuracy to keep: {reference.doubt}")
    ladder.facts = {**facts, "reference_top1": reference.top1, "images_counted": reference.images}
    return ladder


if __name__ == "__main__":
    main(prog_name="python -m validate.search")
