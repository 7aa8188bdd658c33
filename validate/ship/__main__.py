"""`python -m validate.ship`: a folder to ship for each way out, with proof that travels."""

from __future__ import annotations

from pathlib import Path

import click

from convert import cli
from convert.cli import Asked
from convert.common import typed
from convert.common.boundary import BoundedCommand
from convert.common.console import say_json
from convert.common.disk.folders import FolderToWrite
from convert.common.errors import InputError
from convert.images.inputs import COUNT
from convert.manifest import to_table
from convert.model_options import ModelOptions
from convert.precision.table import PRECISIONS
from runtimes.options import listed, numbers
from validate.parity.inputs import InputOptions, input_options
from validate.ship import proof, registry
from validate.ship.folder import Made
from validate.ship.shipping import SHIPPED, settings_of, ship, targets

_WAYS = "; ".join(f"{name}: {target.purpose}" for name, target in registry.found().items())


@click.command(cls=BoundedCommand)
@cli.model_options
@click.option("--to", required=True, help=f"Ways out, comma-separated. {_WAYS}.")
@click.option("--batch", default="1,4", show_default=True, help="Batch sizes that are proven, comma-separated.")
@input_options(COUNT, "Of the images of --inputs.")
@click.option(
    "--labels",
    type=click.Path(path_type=Path),
    help="Class names, one a line in the order of the classes. [default: those that the model says]",
)
@click.option(
    "--option",
    "pairs",
    metavar="TARGET.KEY=VALUE",
    multiple=True,
    help="A setting of one way out, repeatable; docs/ship/README.md has them.",
)
@click.option("--out", type=FolderToWrite(), default=SHIPPED, show_default=True, help="Folder of what is shipped.")
def main(
    models: str,
    chosen: ModelOptions,
    precision: str,
    root: Path,
    as_json: bool,
    to: str,
    batch: str,
    images: InputOptions,
    labels: Path | None,
    pairs: tuple[str, ...],
    out: Path,
) -> None:
    """Write a folder to ship for each way out, from an artifact that passed parity.

    In OUT/MODEL/PRECISION/TARGET: the model's files, README.md, labels.txt where class names are known, and proof/ with
    inputs, Paddle's logits of them in float64 and the tolerance, which `vitbench check FOLDER` holds against what
    another machine computes. The folder is loaded again before it takes its place. The images of --inputs travel in it,
    beside seeded ones.

    Exit status 1 when parity fails, and then nothing is written.

    \b
    python -m validate.ship --model ViT_base_patch16_224 --to onnx,openvino
    """
    ways = targets(listed(to))
    settings = settings_of(pairs, ways)
    if precision not in PRECISIONS or PRECISIONS[precision].artifact != precision:
        kinds = ", ".join(name for name, one in PRECISIONS.items() if one.artifact == name)
        raise InputError(f"--precision {precision}: choose one of {kinds}")
    asked = numbers("--batch", batch)
    made: list[Made] = []
    for argument, artifact in cli.artifacts(models, chosen, precision, root).items():
        sizes = cli.batches(artifact, tuple(asked), cli.named("batch"))
        made += ship(Asked(argument, chosen, artifact), ways, settings, sizes, images, labels, out)
    if as_json:
        say_json(
            {
                "shipped": [
                    {
                        "path": str(one.path),
                        "target": one.target.name,
                        "manifest": to_table(proof.opened(one.path).manifest),
                        "proof": typed.table(proof.read(proof.opened(one.path)).said),
                    }
                    for one in made
                ]
            }
        )


if __name__ == "__main__":
    main(prog_name="python -m validate.ship")
