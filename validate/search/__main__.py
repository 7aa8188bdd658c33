"""`python -m validate.search`: the command line around the ladder."""

from __future__ import annotations

import functools
import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path

import click

from convert import artifact as artifacts
from convert import cli
from convert.artifact import Artifact
from convert.build import Request
from convert.common import typed
from convert.common.console import printer
from convert.common.errors import CheckFailed, InputError
from convert.common.files import sha256_json
from convert.models import find_all
from convert.precision.make import LEAST_DB
from convert.precision.table import INT8
from runtimes.options import Selection, resume_option, session_options
from runtimes.records import store
from validate.accuracy import calibration_overlap
from validate.accuracy.console import Reporter
from validate.accuracy.evaluation import KEEP, Settings, images_key
from validate.datasets.options import SetOptions, set_options
from validate.search import console
from validate.search import ladder as ladders
from validate.search.ladder import Ladder
from validate.search.strategy import Judge, Kept, search
from validate.search.trial import Trials

_EPILOG = """\b
Examples:
  python -m validate.search --images ilsvrc2012/val_list.txt --limit 5000 --model ViT_base_patch16_224 \\
      --calibration ilsvrc2012/train_list.txt
  python -m validate.search --images photos/ --keep 0.995 --runtime openvino

Each evaluation makes the model and runs all images on each runtime; after a kill, --resume goes on with the image that
was next. The results folder gets ladder.json: what was tried, in this order, and what came of it.

Exit status: 0 int8 holds, and the artifact is the one that does; 1 it does not, or a runtime failed; 2 the input or the
usage is wrong.
"""


@click.command(epilog=_EPILOG)
@set_options
@functools.partial(cli.model_options, precision=INT8)
@session_options
@click.option(
    "--calibration",
    type=click.Path(path_type=Path),
    help="A folder or a list of images, none of them among --images. [default: as the artifact that is there]",
)
@click.option("--keep", default=KEEP, show_default=True, help="The part of Paddle's FP32 top-1 that must be reached.")
@click.option(
    "--evaluations", type=click.IntRange(min=1), default=12, show_default=True, help="Models to try, at most."
)
@click.option("--batch", type=click.IntRange(min=1), default=8, show_default=True, help="Images in one inference.")
@resume_option
def main(
    models: str,
    weights: str | None,
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
    settings = Settings(selection, labelled, weights, batch, keep=keep)
    request = Request(names[0], weights, INT8, root=root, calibration=calibration)
    folder = out or (store.newest_run() if resume else store.new_run())
    trials, first = _prepare(request, settings, folder)
    noise = first.manifest.signal_to_noise_db or {}
    ladder = _begin(trials, first, resume)

    def holds(kept: Kept) -> bool:
        rung = ladder.rung(kept)
        if rung is None:
            rung = trials.rung(kept)
            ladder.rungs.append(rung)
            ladder.write(folder)
        trials.report.say(console.line(ladder.rungs.index(rung) + 1, rung, len(noise)))
        return rung.holds

    start = sum(value < LEAST_DB for value in noise.values())
    ladder.chosen = search(list(noise), start, len(noise) // 2, Judge(holds, evaluations))
    ladder.write(folder)
    shutil.rmtree(trials.target, ignore_errors=True)
    printer().print(console.table(ladder, noise))
    trials.report.say(f"ladder: {folder / ladders.LADDER}")
    if as_json:
        click.echo(json.dumps(ladder.document(), indent=2, ensure_ascii=False))
    chosen = ladder.rung(ladder.chosen)
    if chosen is None:
        raise CheckFailed(console.failure(ladder, len(noise), evaluations))
    trials.newest(chosen)
    artifact, _ = cli.obtain_loudly(replace(trials.request, keep_fp32=chosen.kept_fp32))
    if artifact.sha256 != chosen.artifact:
        raise CheckFailed(f"{artifact.path}: made again it is not what was tried: measure it with validate.accuracy")
    if not as_json:
        click.echo(f"{artifact.path}: {chosen.lowered} of {len(noise)} operators in int8")


def _prepare(request: Request, settings: Settings, folder: Path) -> tuple[Trials, Artifact]:
    """What is wrong with the input is found before a long conversion. The artifact is int8 as it is made unasked."""
    runtimes = settings.selection.having(INT8)
    if not runtimes:
        raise InputError(f"no runtime here has {INT8}; `python -m runtimes` shows which do")
    _ = settings.bar
    settings.labelled.load(None)
    first, _ = cli.obtain_loudly(request)
    dataset = settings.labelled.load(first.classes)
    calibration_overlap.refuse([first], dataset)
    path = first.manifest.recipe.calibration if first.manifest.recipe else None
    settled = replace(request, calibration=Path(path) if path else None)
    return Trials(settled, runtimes, dataset, settings, folder, Reporter()), first


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
    ladder.facts = {**facts, "reference_top1": reference.top1, "images_counted": reference.images}
    return ladder


if __name__ == "__main__":
    main(prog_name="python -m validate.search")
