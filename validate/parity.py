"""`python -m validate.parity`: is the converted model the same model, on each runtime?"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click
import numpy as np
from rich.markup import escape
from rich.table import Table

from convert import cli
from convert.artifact import Artifact
from convert.errors import CheckFailed
from convert.isolate import JobError
from convert.progress import bar
from runtimes import environment, registry
from runtimes.base import Options, Runtime
from runtimes.bench import records, store
from runtimes.bench.store import Record
from runtimes.infer import Pass, infer
from runtimes.options import numbers, precisions, run_options
from validate import inputs as input_sets
from validate import reference
from validate.inputs import Inputs
from validate.metrics import Difference, compare, worst
from validate.tolerances import Tolerance, tolerance


def check(artifact: Artifact, runtime: Runtime, options: Options, inputs: Inputs, batches: list[int]) -> Record:
    """Hold one runtime against the reference. Returns the parity record, its command still empty.

    Every image goes through at each batch size, and once more in reverse order at the largest: it must give the same
    logits whatever it shares the batch with, and wherever it stands there. CheckFailed when there is no reference.
    """
    expected = reference.logits(artifact, inputs)
    bounds = tolerance(options.precision, float(np.abs(expected).max()))
    order = range(len(inputs.images))
    passes = [Pass(batch, order) for batch in batches] + [Pass(max(batches), order[::-1])]
    record = records.blank("parity", artifact, runtime, options.precision) | {
        "reference": reference.NAME,
        "inputs": {"source": inputs.source, "count": len(inputs.images), "sha256": inputs.sha256},
        "batches": batches,
        "tolerance": bounds.as_dict(),
        **dict.fromkeys(asdict(Difference(0))),
        "batch_invariant": None,
    }
    try:
        found, effective = infer(artifact, runtime.name, options, inputs.images, passes)
    except JobError as error:
        return record | {"status": "failed", "reason": f"{runtime.name} did not run it: {error}", "passed": False}
    found[-1] = found[-1][::-1]
    difference = worst([compare(logits, expected) for logits in found])
    mixing = None if difference.nonfinite else _mixing(found, bounds)
    reason = bounds.violation(difference) or mixing
    if not reason and effective["precision"] != options.precision:
        reason = f"{runtime.name} computed in {effective['precision']} instead of {options.precision}"
    return record | {
        **asdict(difference),
        "batch_invariant": mixing is None if not difference.nonfinite else None,
        "effective": effective,
        "status": "failed" if reason else "ok",
        "reason": reason,
        "passed": reason is None,
    }


def _mixing(found: list[np.ndarray], bounds: Tolerance) -> str | None:
    """Why an image's logits depend on its batch, in a sentence; None when they do not."""
    reason = bounds.violation(worst([compare(logits, found[0]) for logits in found]))
    return f"an image's logits depend on what it shares a batch with: {reason}" if reason else None


@click.command()
@cli.model_options
@run_options
@click.option("--batch", default="1,4", show_default=True, help="Batch sizes, comma-separated.")
@click.option(
    "--inputs",
    "photos",
    type=click.Path(path_type=Path),
    help="Photos: a folder, a list file or one image. [default: seeded images]",
)
@click.option("--limit", type=click.IntRange(min=1), default=input_sets.COUNT, show_default=True, help="Images used.")
def main(
    models: str,
    weights: str | None,
    precision: str,
    root: Path,
    as_json: bool,
    chosen: str | None,
    batch: str,
    threads: int | None,
    photos: Path | None,
    limit: int,
    out: Path | None,
) -> None:
    """Compare the logits of each runtime with Paddle's own FP32 forward pass.

    NaN and infinite values are counted first; then absolute error, cosine and class agreement, at several batch sizes.
    One record of kind `parity` per model, precision and runtime is appended to results.jsonl in the results folder.
    Exit status 1 when a runtime fails.

    \b
    python -m validate.parity --model ViT_base_patch32_384 --inputs photos/
    """
    batches = numbers("--batch", batch)
    runtimes = registry.select(chosen)
    folder = out or store.new_run()
    made: list[Record] = []
    for name in precisions(precision):
        for argument, artifact in cli.artifacts(models, weights, name, root).items():
            cli.say(cli.drawn_weights_warning(artifact))
            inputs = (
                input_sets.photos(photos, artifact.preprocessing, limit)
                if photos
                else input_sets.seeded(artifact.preprocessing, limit)
            )
            for runtime in runtimes:
                with bar(f"parity of {artifact.model} on {runtime.name}", None):
                    options = Options(precision=name, device=runtime.default_device, threads=threads)
                    record = check(artifact, runtime, options, inputs, batches)
                record["command"] = records.command(
                    "validate.parity",
                    argument,
                    artifact,
                    weights,
                    runtime=runtime.name,
                    precision=name,
                    batch=batch,
                    threads=threads,
                    inputs=photos,
                    limit=limit,
                )
                environment.save(folder)
                store.append(folder, record)
                made.append(record)
    _show(made)
    cli.say(f"records: {folder / store.RESULTS}")
    if as_json:
        click.echo(json.dumps({"records": made}, indent=2, ensure_ascii=False))
    failed = [f"{r['model']} {r['precision']} on {r['runtime']}: {r['reason']}" for r in made if not r["passed"]]
    if failed:
        raise CheckFailed("parity: " + "; ".join(failed))


def _show(made: list[Record]) -> None:
    table = Table("model", "runtime", "precision", "max abs", "allowed", "cosine", "top-1 agreement", "verdict")
    for record in made:
        values = [record["max_abs"], record["tolerance"]["max_abs"], record["cosine"], record["top1_agreement"]]
        formats = ("{:.2g}", "{:.2g}", "{:.7f}", "{:.0%}")
        cells = ["-" if v is None else form.format(v) for v, form in zip(values, formats, strict=True)]
        verdict = "[green]passed" if record["passed"] else f"[red]failed[/]: {escape(record['reason'])}"
        table.add_row(record["model"], record["runtime"], record["precision"], *cells, verdict)
    cli.console().print(table)


if __name__ == "__main__":
    main(prog_name="python -m validate.parity")
