"""`python -m validate.parity`: is the converted model the same model, on each runtime?"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from convert import cli
from convert.common.boundary import BoundedCommand, results_in
from convert.common.console import say, say_json
from convert.common.errors import InputError
from convert.common.progress import bar
from convert.images.inputs import COUNT
from convert.model_options import ModelOptions
from runtimes.options import Selection, numbers, precisions, session_options
from runtimes.records import store
from runtimes.records.kinds import Parity
from runtimes.records.reading import to_table
from validate.parity import failure_folder
from validate.parity.check import check
from validate.parity.inputs import InputOptions, input_options
from validate.parity.run import ParityRequest, conclude, hints, run
from validate.parity.table import show

_WITH_REPRO = {"folder", "as_json"}  # every other option is in the folder


def _or_repro(command: Callable[..., None]) -> Callable[..., None]:
    """`--repro`, which takes the place of everything that says what is checked."""

    @functools.wraps(command)
    def either(folder: Path | None, **rest: Any) -> None:
        if folder is None:
            return command(**rest)
        context = click.get_current_context()
        for parameter in context.command.params:
            name = str(parameter.name)
            if name not in _WITH_REPRO and context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
                raise InputError(f"--repro and {parameter.opts[0]}: the folder says what is checked; leave one out")
        return _reproduce(folder, rest["as_json"])

    return click.option(
        "--repro",
        "folder",
        type=click.Path(path_type=Path),
        help="The folder that a failed check left: run that check again, from the folder alone.",
    )(either)


@click.command(cls=BoundedCommand)
@cli.model_options
@_or_repro
@session_options
@click.option("--batch", default="1,4", show_default=True, help="Batch sizes, comma-separated.")
@input_options(COUNT, "Images used, besides edge cases.")
def main(
    models: str,
    chosen: ModelOptions,
    precision: str,
    root: Path,
    as_json: bool,
    selection: Selection,
    batch: str,
    images: InputOptions,
    out: Path | None,
) -> None:
    """Compare the logits of each runtime with the Paddle model in float64.

    FP32 passes within a small factor of Paddle's own FP32 error, which is printed beside; NaN and infinite values are
    counted first. Edge cases (black, white, one hot pixel, checkerboard, extremes) go with the images, every image
    goes through alone, at each batch size and in reverse order, and its logits must not depend on that.

    One record of kind `parity` per model, precision and runtime is appended to results.jsonl in the results folder.
    Exit status 1 when a runtime fails; each failure leaves a folder that reproduces it.

    \b
    python -m validate.parity --model ViT_base_patch32_384 --inputs photos/
    python -m validate.parity --repro results/<run>/failures/<name>
    """
    batches = tuple(numbers("--batch", batch))
    folder = out or store.new_run()
    click.get_current_context().with_resource(store.alone(folder))
    results_in(folder)
    made: list[Parity] = []
    advice: list[str] = []
    for name in precisions(precision):
        for argument, artifact in cli.artifacts(models, chosen, name, root).items():
            say(cli.drawn_weights_warning(artifact))
            sizes = cli.batches(artifact, batches, cli.named("batch"))
            request = ParityRequest(argument, chosen, artifact, name, selection, sizes, images)
            for record in run(request, folder):
                made.append(record)
                if record.passed is False:
                    advice += hints(request, record, folder)
    show(made)
    for line in advice:
        say(line)
    say(f"records: {folder / store.RESULTS}")
    _end(made, as_json, selection.named)


def _reproduce(folder: Path, as_json: bool) -> None:
    case = failure_folder.read(folder)
    with bar(f"parity of {case.artifact.model} on {case.runtime.name}", None):
        record = replace(check(case).record, command=failure_folder.command(folder))
    show([record])
    _end([record], as_json, named=True)


def _end(made: list[Parity], as_json: bool, named: bool) -> None:
    """Print the records where they are wanted. CheckFailed when one of them failed; InputError for what nobody has that
    was asked for by name, or where nothing else was checked."""
    if as_json:
        say_json({"records": [to_table(record) for record in made]})
    conclude(made, named)


if __name__ == "__main__":
    main(prog_name="python -m validate.parity")
