"""`python -m validate.profile`: where do the milliseconds go?"""

from __future__ import annotations

from pathlib import Path

import click

from convert import cli
from convert.common.boundary import BoundedCommand
from convert.common.console import say_json
from convert.common.disk.files import write_json
from convert.common.errors import CheckFailed
from convert.model_options import ModelOptions
from runtimes.options import Selection, numbers, precisions, session_options
from validate.profile.run import ProfiledCell, able, profile


@click.command(cls=BoundedCommand)
@cli.model_options
@session_options
@click.option("--batch", default="1", show_default=True, help="Batch sizes, comma-separated.")
@click.option("--runs", type=click.IntRange(min=1), default=30, show_default=True, help="Runs of each session.")
def main(
    models: str,
    chosen: ModelOptions,
    precision: str,
    root: Path,
    as_json: bool,
    selection: Selection,
    batch: str,
    runs: int,
    out: Path | None,
) -> None:
    """Show where the milliseconds of an inference go: by block and by operator, from each runtime's own profiler.

    Several runtimes and precisions stand side by side. Layers are attributed to blocks by the names of what they were
    made of; what nothing tells of is a row of its own. Profiling takes time itself: the same model without it is timed
    before and after, in the same process. GMAC/s stand beside what the machine reaches at its best, where
    `python -m runtimes.bench.ceiling` has measured it, undisturbed.

    Nothing is recorded: rankings are the bench's work, and so is the question whether it is the same model. With --out
    the JSON document is kept there as profile.json.

    \b
    python -m validate.profile --model my_vit.toml --runtime ort-cpu,openvino
    python -m validate.profile --runtime openvino --precision fp32,int8 --batch 8
    """
    wanted, sizes = precisions(precision), tuple(numbers("--batch", batch))
    asked = able(selection, wanted)
    found = {name: cli.artifacts(models, chosen, name, root) for name in dict.fromkeys(name for _, name in asked)}
    made: list[ProfiledCell] = []
    failed: list[str] = []
    for argument, first in next(iter(found.values())).items():
        of_model = {name: artifacts[argument] for name, artifacts in found.items()}
        batches = cli.batches(first, sizes, cli.named("batch"))
        made += profile(of_model, asked, selection, batches, runs, failed.append)
    document = {"profile": [cell.entry() for cell in made]}
    if out:
        write_json(out / "profile.json", document)
    if as_json:
        say_json(document)
    if failed:
        raise CheckFailed("; ".join(failed))


if __name__ == "__main__":
    main(prog_name="python -m validate.profile")
