"""`python -m validate.search`: which operators must stay FP32. Each rung of the ladder is made and measured."""

from __future__ import annotations

import functools
from pathlib import Path

import click

from convert import cli
from convert.build import Request
from convert.common.boundary import BoundedCommand, results_in
from convert.common.console import say_json
from convert.common.errors import CheckFailed, InputError, told
from convert.datasets.options import SetOptions, set_options
from convert.model_options import ModelOptions
from convert.models import find_all
from convert.precision.table import INT8
from runtimes.options import Selection, resume_option, session_options, smooth_option
from runtimes.records import store
from validate.accuracy.evaluation import KEEP, Settings
from validate.search.trials import find

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


@click.command(cls=BoundedCommand, epilog=_EPILOG)
@set_options
@functools.partial(cli.model_options, precision=INT8)
@session_options
@click.option(
    "--calibration",
    type=click.Path(path_type=Path),
    help="A folder, a list or any set of images, none of them among --images. [default: as the artifact that is there]",
)
@smooth_option
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
    strengths: tuple[float, ...] | None,
    keep: str,
    evaluations: int,
    batch: int,
    out: Path | None,
    resume: bool,
) -> None:
    """Find the operators that must stay FP32 so that int8 keeps its accuracy, and make that model.

    Where int8 does not hold as it is made unasked, another smoothing is tried; and where it needs operators in FP32,
    whether it needs fewer of them so. A linear layer whose output stands least above int8's noise is the first to stay
    FP32; then each that was kept is lowered alone, since that order is only a guess. A runtime that has int8 must hold
    `--keep` of what Paddle reaches in FP32 on the same images; several are judged together.
    """
    if precision != INT8:
        raise InputError(f"--precision {precision}: only {INT8} is searched; the others round every operator alike")
    if len(names := find_all(models)) > 1:
        raise InputError(f"--model {models}: one model at a time")
    settings = Settings(selection, labelled, batch, keep=keep)
    request = Request(names[0], precision=INT8, root=root, calibration=calibration, **vars(chosen))
    folder = out or (store.newest_run() if resume else store.new_run())
    with store.alone(folder):
        results_in(folder)
        found = find(request, settings, folder, evaluations, resume, strengths)
    if as_json:
        say_json(found.ladder.document())
    if found.failure:
        raise CheckFailed(found.failure)
    if found.artifact and found.rung and not as_json:
        count = len(found.artifact.manifest.signal_to_noise_db or {})
        click.echo(told(f"{found.artifact.path}: {found.rung.lowered} of {count} operators in int8"))


if __name__ == "__main__":
    main(prog_name="python -m validate.search")
