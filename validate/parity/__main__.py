"""`python -m validate.parity`: is the converted model the same model, on each runtime?"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource
from rich.markup import escape
from rich.table import Table

from convert import cli
from convert.artifact import Artifact
from convert.common.errors import CheckFailed, InputError
from convert.common.progress import bar
from convert.images import inputs as input_sets
from convert.images.inputs import Inputs
from convert.precision.table import LARGEST_LOGIT, LEAST_ERROR, PADDLE_ERROR
from runtimes.options import Selection, numbers, precisions, session_options
from runtimes.records import blank as records
from runtimes.records import store
from runtimes.records.store import Record
from runtimes.system import environment
from validate.parity import reference, repro
from validate.parity.check import Case, Checked, check

REFERENCE_RUNTIME = "paddle"  # runs the Paddle program itself: there is no ONNX graph of it to bisect
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


@click.command()
@cli.model_options
@_or_repro
@session_options
@click.option("--batch", default="1,4", show_default=True, help="Batch sizes, comma-separated.")
@click.option(
    "--inputs",
    "photos",
    type=click.Path(path_type=Path),
    help="Photos: a folder, a list file or one image. [default: seeded images]",
)
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=input_sets.COUNT,
    show_default=True,
    help="Images used, besides edge cases.",
)
def main(
    models: str,
    weights: str | None,
    precision: str,
    root: Path,
    as_json: bool,
    selection: Selection,
    batch: str,
    photos: Path | None,
    limit: int,
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
    """
    batches = tuple(numbers("--batch", batch))
    folder = out or store.new_run()
    options = {"batch": batch, "inputs": photos, "limit": limit}
    made: list[Record] = []
    hints: list[str] = []
    for name in precisions(precision):
        for argument, artifact in cli.artifacts(models, weights, name, root).items():
            cli.say(cli.drawn_weights_warning(artifact))
            inputs = _inputs(artifact, photos, limit)
            for case, checked in _checks(artifact, selection, name, inputs, batches):
                record = checked.record
                record["command"] = records.command(
                    "validate.parity",
                    argument,
                    artifact,
                    weights,
                    precision=name,
                    **selection.arguments([case.runtime]),
                    **options,
                )
                if not record["passed"]:
                    record["failure_folder"] = _keep(folder, case, checked)
                    same = {"precision": name, **selection.arguments([case.runtime]), "inputs": photos}
                    bisect = records.command("validate.bisect", argument, artifact, weights, **same)
                    hints += _hints(folder, record, bisect)
                environment.save(folder)
                store.append(folder, record)
                made.append(record)
    _show(made)
    for hint in hints:
        cli.say(hint)
    cli.say(f"records: {folder / store.RESULTS}")
    _end(made, as_json)


def _inputs(artifact: Artifact, photos: Path | None, limit: int) -> Inputs:
    preprocessing = artifact.preprocessing
    chosen = input_sets.photos(photos, preprocessing, limit) if photos else input_sets.seeded(preprocessing, limit)
    if artifact.precision == "int8":
        return chosen  # its scales end where the calibration images did, and no photo is a checkerboard
    return chosen + input_sets.edge_cases(preprocessing)


def _checks(
    artifact: Artifact, selection: Selection, precision: str, inputs: Inputs, batches: tuple[int, ...]
) -> Iterator[tuple[Case, Checked]]:
    """Each runtime's case and what came of it. The reference is computed when the first one needs it."""
    for runtime in selection.having(precision):
        # Every image goes through alone too.
        options = selection.options(runtime, precision, sorted({1, *batches}))
        case = Case(artifact, runtime, options, inputs, batches, reference.obtain(artifact, inputs))
        with bar(f"parity of {artifact.model} on {runtime.name}", None):
            checked = check(case)
        yield case, checked


def _keep(folder: Path, case: Case, checked: Checked) -> str | None:
    """Where a failure can be reproduced, relative to the results folder. A record must not be lost for want of it."""
    try:
        return repro.write(folder, case, checked).relative_to(folder).as_posix()
    except InputError as error:
        cli.say(f"the failure is not kept: {error.message}")
        return None


def _hints(folder: Path, record: Record, bisect: str) -> list[str]:
    """What to do about a failure: where it breaks, and the command that reproduces it alone."""
    subject = f"{record['model']} on {record['runtime']}"
    ran = record["nonfinite"] is not None
    hints = [f"{subject}, where it breaks: {bisect}"] if ran and record["runtime"] != REFERENCE_RUNTIME else []
    if record["failure_folder"]:
        hints.append(f"{subject}, again: {repro.command(folder / record['failure_folder'])}")
    return hints


def _reproduce(folder: Path, as_json: bool) -> None:
    case = repro.read(folder)
    with bar(f"parity of {case.artifact.model} on {case.runtime.name}", None):
        record = check(case).record
    record["command"] = repro.command(folder)
    _show([record])
    _end([record], as_json)


def _end(made: list[Record], as_json: bool) -> None:
    """Print the records where they are wanted. CheckFailed when one of them failed."""
    if as_json:
        click.echo(json.dumps({"records": made}, indent=2, ensure_ascii=False))
    failed = [f"{r['model']} {r['precision']} on {r['runtime']}: {r['reason']}" for r in made if not r["passed"]]
    if failed:
        raise CheckFailed("parity: " + "; ".join(failed))


def _show(made: list[Record]) -> None:
    table = Table("model", "runtime", "precision", "max abs", "Paddle's FP32", "needed", "allowed", "cosine", "top-1")
    table.add_column("verdict")
    for record in made:
        bounds = record["tolerance"]
        of = {PADDLE_ERROR: "×", LEAST_ERROR: "× least", LARGEST_LOGIT: "of largest"}[bounds["unit"]]
        cells = [
            ("{:.2g}", record["max_abs"]),
            ("{:.2g}", bounds["paddle_max_abs"]),
            ("{:.2g} " + of, bounds["needed"]),
            ("{:g} " + of, bounds["factor"]),
            ("{:.9f}", record["cosine"]),
        ]
        shown = ["-" if value is None else form.format(value) for form, value in cells]
        verdict = "[green]passed" if record["passed"] else f"[red]failed[/]: {escape(record['reason'])}"
        table.add_row(record["model"], record["runtime"], record["precision"], *shown, _top1(record), verdict)
    cli.console().print(table)


def _top1(record: Record) -> str:
    if record["top1_agreement"] is None:
        return "-"
    flips, ties = record["top1_flips"], record["top1_ties"]
    told = f" ({flips} flipped, {ties} of them a tie)" if flips else ""
    return f"{record['top1_agreement']:.0%}{told}"


if __name__ == "__main__":
    main(prog_name="python -m validate.parity")
