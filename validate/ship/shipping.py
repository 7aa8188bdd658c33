"""Shipping as a function, which the command and `import vitbench` call: an artifact's folder for each way out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from convert import cli, other_onnx
from convert.artifact import Artifact
from convert.cli import Asked
from convert.common.console import say
from convert.common.errors import InputError
from convert.datasets.labels import imagenet
from convert.images.inputs import Inputs
from convert.manifest import FEATURES
from convert.precision.table import INT8
from convert.zoo import HOSTED, MODELS
from validate.parity import reference
from validate.parity.inputs import InputOptions
from validate.parity.table import show
from validate.ship import registry
from validate.ship.folder import Cargo, Labels, Made, make
from validate.ship.target import Target

SHIPPED = Path("shipped")


def targets(names: Sequence[str]) -> list[Target]:
    """The ways out of these names. InputError for one that there is not, and for none at all."""
    if not names:
        raise InputError(f"--to {','.join(names)!r}: there are {', '.join(registry.found())}")
    return [registry.get(name) for name in names]


def ship(
    asked: Asked,
    ways: Sequence[Target],
    settings: Mapping[str, Mapping[str, str]],
    sizes: Sequence[int],
    images: InputOptions,
    labels: Path | None,
    out: Path,
) -> Iterator[Made]:
    """Write an artifact's folder for each of the ways out, and say where it is.

    settings: of `settings_of`. sizes: batches that are proven. images: of the user, which travel. labels: a file with
    the names of the classes. InputError for what cannot be shipped; CheckFailed where parity does not hold, and then
    that folder is not written.
    """
    artifact = asked.artifact
    say(cli.drawn_weights_warning(artifact))
    if artifact.form:
        raise InputError(f"{artifact.path}: it was shipped for {artifact.form}; export from the artifact")
    other_onnx.need_paddle_program(artifact, "a folder to ship")
    known = _labels(asked.argument, artifact, labels)
    shown = _inputs(artifact, images)
    truth = reference.obtain(artifact, shown)
    batches = artifact.sizes(sizes)
    cargo = Cargo(asked.argument, asked.chosen, artifact, shown, truth, batches, images.photos is not None, known)
    for target in ways:
        made = make(cargo, target, settings[target.name], out)
        if made.reloaded:
            show([made.reloaded])
        say(f"{target.name}: {artifact.model} {artifact.precision} written, in {made.path}")
        yield made


def settings_of(pairs: Iterable[str], targets: Iterable[Target]) -> dict[str, Mapping[str, str]]:
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
