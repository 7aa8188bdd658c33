"""`python -m validate.ship`: a folder to ship for each way out, with proof that travels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import click

from convert import cli, other_onnx
from convert.artifact import Artifact
from convert.common import typed
from convert.common.boundary import BoundedCommand
from convert.common.console import say, say_json
from convert.common.disk.folders import FolderToWrite
from convert.common.errors import InputError
from convert.datasets.labels import imagenet
from convert.images.inputs import COUNT, Inputs
from convert.manifest import FEATURES, to_table
from convert.model_options import ModelOptions
from convert.precision.table import INT8, PRECISIONS
from convert.zoo import HOSTED, MODELS
from runtimes.options import listed, numbers
from validate.parity import reference
from validate.parity.inputs import InputOptions, input_options
from validate.parity.table import show
from validate.ship import proof, registry
from validate.ship.folder import Cargo, Labels, make
from validate.ship.target import Target

SHIPPED = Path("shipped")


def _to_option(command: cli.Command) -> cli.Command:
    listed = "; ".join(f"{name}: {target.purpose}" for name, target in registry.found().items())
    return click.option("--to", "to", required=True, help=f"Ways out, comma-separated. {listed}.")(command)


@click.command(cls=BoundedCommand)
@cli.model_options
@_to_option
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
    targets = [registry.get(name) for name in listed(to)]
    if not targets:
        raise InputError(f"--to {to!r}: there are {', '.join(registry.found())}")
    settings = _settings(pairs, targets)
    if precision not in PRECISIONS or PRECISIONS[precision].artifact != precision:
        kinds = ", ".join(name for name, one in PRECISIONS.items() if one.artifact == name)
        raise InputError(f"--precision {precision}: choose one of {kinds}")
    asked = numbers("--batch", batch)
    made = []
    for argument, artifact in cli.artifacts(models, chosen, precision, root).items():
        say(cli.drawn_weights_warning(artifact))
        if artifact.form:
            raise InputError(f"{artifact.path}: it was shipped for {artifact.form}; export from the artifact")
        other_onnx.need_paddle_program(artifact, "a folder to ship")
        sizes = artifact.sizes(cli.batches(artifact, tuple(asked), cli.named("batch")))
        known = _labels(argument, artifact, labels)
        shown = _inputs(artifact, images)
        truth = reference.obtain(artifact, shown)
        cargo = Cargo(argument, chosen, artifact, shown, truth, sizes, images.photos is not None, known)
        for target in targets:
            one = make(cargo, target, settings[target.name], out)
            made.append(one)
            if one.reloaded:
                show([one.reloaded])
            say(f"{artifact.model} {precision} for {target.name}: {one.path}")
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


def _inputs(artifact: Artifact, images: InputOptions) -> Inputs:
    """What travels: the images that parity is checked on, and the user's before them."""
    usual = InputOptions().load(artifact, edge_cases=artifact.precision != INT8)
    return InputOptions(images.photos, images.limit).load(artifact) + usual if images.photos else usual


def _labels(argument: str, artifact: Artifact, file: Path | None) -> Labels | None:
    """The names of the classes: the file's, else the model's own, else ImageNet's for a model of PaddleClas with its
    published weights: a user's own may have other classes. InputError where the file has another number of them."""
    own = artifact.manifest.class_names
    if file is not None:
        try:
            names = tuple(file.read_text(encoding="utf-8-sig").splitlines())
        except (OSError, ValueError) as error:
            raise InputError(f"--labels {file}: cannot be read ({error})") from None
        if len(names) != artifact.classes or not all(name.strip() for name in names):
            raise InputError(f"--labels {file}: {len(names)} lines, and {artifact.classes} names are needed")
        return Labels(names, f"of {file.name}")
    if own:
        return Labels(own, "the model's own")
    weights = artifact.manifest.weights.kind
    published = argument in HOSTED or (argument in MODELS and weights == "pretrained")
    if published and artifact.classes == imagenet.CLASSES and artifact.manifest.head != FEATURES:
        return Labels(tuple(one.names for one in imagenet.classes()), "ImageNet's 1000 in PaddleClas' order")
    return None


def _settings(pairs: Iterable[str], targets: Iterable[Target]) -> dict[str, Mapping[str, str]]:
    """The settings of each target, with its defaults. InputError for what none of them knows or takes."""
    found = {one.name: {key: setting.default for key, setting in one.settings.items()} for one in targets}
    for pair in pairs:
        left, equals, value = pair.partition("=")
        name, _, key = left.rpartition(".")
        if not equals or name not in found:
            raise InputError(f"--option {pair!r}: TARGET.KEY=VALUE of a way out in --to is needed")
        known = registry.get(name).settings
        if key not in known:
            raise InputError(f"--option {pair!r}: {name} knows {', '.join(known) or 'no option'}")
        if not known[key].accepts(value):
            raise InputError(f"--option {pair!r}: {known[key].choice} is needed")
        found[name][key] = value
    return {**found}


if __name__ == "__main__":
    main(prog_name="python -m validate.ship")
