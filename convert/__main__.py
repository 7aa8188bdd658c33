"""`python -m convert MODEL`: a Paddle model becomes a verified ONNX artifact."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import click

from convert.artifact import ARTIFACTS, Artifact
from convert.build import OPSETS, Request
from convert.cli import chosen_options, obtain_loudly
from convert.common.boundary import BoundedCommand
from convert.common.console import say, say_json
from convert.common.disk.folders import FolderToWrite
from convert.common.errors import InputError, told
from convert.families.base import ModelSpec, toml
from convert.families.spec import MOST
from convert.making import DEFAULT_OPSET
from convert.manifest import Counts, to_table
from convert.model_options import ModelOptions
from convert.models import all_called, find, find_all
from convert.paddleclas.export import export
from convert.precision.portability import INT8_RANGES
from convert.precision.table import SMOOTH, percent
from convert.precision.variant import INT8_RANGE
from convert.zoo import DEFAULT_MODEL, HOSTED, LISTED, MODELS, PUBLISHED


@click.command(cls=BoundedCommand)
@click.argument("model", required=False, default=DEFAULT_MODEL)
@chosen_options
@click.option("--precision", default="fp32", show_default=True, help="fp32, fp16, bf16 or int8.")
@click.option(
    "--calibration",
    type=click.Path(path_type=Path),
    help="int8: a folder, a list or any set of 8 or more images that no accuracy is measured on; no labels needed.",
)
@click.option(
    "--keep-fp32",
    "keep_fp32",
    metavar="OPERATORS",
    help="Lower precisions: comma-separated operators that stay FP32, as blocks.7.mlp.fc2, or none."
    " [default: as the artifact that is there was made, else those that int8 costs too much or whose numbers fp16 or"
    " bf16 cannot hold; a list that lacks one of the latter is refused]",
)
@click.option(
    "--int8-range",
    "int8_range",
    type=click.Choice(INT8_RANGES),
    help="int8: how far weights go. full: to 127; portable: as far as no sum of two products exceeds 16 bits, so that"
    " processors without VNNI give the same."
    f"  [default: as the artifact that is there was made, else {INT8_RANGE}]",
)
@click.option(
    "--smooth",
    type=click.FloatRange(min=0, max=1),
    metavar="STRENGTH",
    help="int8: how much of an outlier moves from activations to weights, 0 (nothing is smoothed) to 1."
    f"  [default: as the artifact that is there was made, else {SMOOTH}]",
)
@click.option(
    "--opset",
    type=int,
    help=f"ONNX opset, {OPSETS[0]} to {OPSETS[-1]}."
    f"  [default: that of the artifact that is there, else {DEFAULT_OPSET}]",
)
@click.option(
    "--artifacts",
    "--out",
    "root",
    type=FolderToWrite(perhaps=True),
    default=ARTIFACTS,
    show_default=True,
    help="Folder of the artifacts: the model is written to ARTIFACTS/<model>/<precision>/.",
)
@click.option(
    "--paddleclas",
    type=click.Path(path_type=Path),
    metavar="CHECKOUT",
    help="Export the file of --weights with PaddleClas' own code, that of a checkout, for a MODEL of PaddleClas that"
    " vitbench has no layer for; what it gives stays in ARTIFACTS/paddleclas/MODEL, a MODEL for every command.",
)
@click.option(
    "--classes",
    type=click.IntRange(min=1, max=MOST),
    help="Of a model of the zoo that was trained for others than ImageNet's 1000: needs --name, and --weights.",
)
@click.option("--template", is_flag=True, help="Only print a .toml spec of MODEL, a model of the zoo, to be changed.")
@click.option("--json", "as_json", is_flag=True, help="The manifest as one JSON document on standard output.")
@click.option("--list", "listing", is_flag=True, help="The models by name, their input and published figures.")
def main(
    model: str,
    chosen: ModelOptions,
    precision: str,
    calibration: Path | None,
    keep_fp32: str | None,
    int8_range: str | None,
    smooth: float | None,
    opset: int | None,
    root: Path,
    paddleclas: Path | None,
    classes: int | None,
    template: bool,
    as_json: bool,
    listing: bool,
) -> None:
    """Convert MODEL to ONNX: a name, all (the seven ViTs), a .toml spec, or a folder with a Paddle inference model.

    The artifact is found again by what it was made of: a second call with the same inputs takes a second.

    \b
    python -m convert ViT_base_patch32_384
    python -m convert my_vit.toml --weights my_vit.safetensors
    python -m convert ViT_base_patch16_224 --classes 37 --name pets \\
        --weights pets.pdparams
    python -m convert --template ViT_base_patch16_224 > my_vit.toml
    python -m convert my_vit.toml --precision int8 --calibration photos/
    python -m convert exported/inference_model/
    """
    if listing:
        for line in _listing():
            click.echo(line)
        return
    if template:
        click.echo(toml(_to_change(model, classes, chosen.name)), nl=False)
        return
    keep = None if keep_fp32 is None else tuple(name for name in keep_fp32.split(",") if name not in ("", "none"))
    tables = []
    if paddleclas is not None:
        if model in MODELS:
            raise InputError(f"--paddleclas: vitbench has a layer for {model}: leave the option out")
        model = str(export(paddleclas, model, chosen.weights, chosen.weights_key, root))
        say(f"exported by PaddleClas' own code: {model}")
        chosen = dataclasses.replace(chosen, weights=None, weights_key=None)
    arguments = find_all(model)
    all_called({argument: find(argument, root) for argument in arguments}, chosen.name)
    for argument in arguments:
        artifact, reused = obtain_loudly(
            Request(
                argument,
                precision=precision,
                opset=opset,
                root=root,
                classes=classes,
                calibration=calibration,
                keep_fp32=keep,
                int8_range=int8_range,
                smooth=smooth,
                **vars(chosen),
            )
        )
        tables.append({**to_table(artifact.manifest), "path": str(artifact.path)})
        if not as_json:
            click.echo(told(_summary(artifact, reused)))
    if as_json:
        say_json(tables[0] if len(tables) == 1 else tables)


def _summary(artifact: Artifact, reused: bool) -> str:
    manifest, state = artifact.manifest, "unchanged" if reused else "ok"
    macs = _counted(manifest.macs, 1e9, "GMACs", as_paddleclas=True)
    parameters = _counted(manifest.parameters, 1e6, "M parameters")
    share = "" if manifest.share is None else f"{percent(manifest.share)} of the arithmetic in {manifest.precision}"
    said = [f"{artifact.path}: {state}, opset {manifest.opset}, {macs}, {parameters}", share]
    said += [manifest.saturation.sentence] if manifest.saturation else []
    return "; ".join(filter(None, said))


def _to_change(model: str, classes: int | None, name: str | None) -> ModelSpec:
    """The spec of a model of the zoo, for a `.toml` file. InputError for another model."""
    if model not in MODELS:
        raise InputError(f"--template {model}: of the models with a layer of vitbench's own, which --list shows, alone")
    return dataclasses.replace(MODELS[model], name=name or model, class_num=classes or MODELS[model].class_num)


def _listing() -> Iterator[str]:
    for group, names in LISTED.items():
        yield told(f"{group}, with a layer of vitbench's own:")
        yield from (_figures(name, MODELS[name].img_size) for name in names)
    for group in dict.fromkeys(one.group for one in HOSTED.values()):
        yield told(f"{group}, as the official inference model:")
        for one in (model for model in HOSTED.values() if model.group == group):
            yield _figures(one.name, one.preprocessing.crop if one.preprocessing else None)


def _figures(name: str, size: int | None) -> str:
    row = PUBLISHED.get(name)
    start = f"  {name:42}{size or '-':>4} px"
    if row is None:
        return f"{start} no published figures"
    accuracies = f"top-1 {row.top1:.4f} top-5 {row.top5:.4f}"
    return f"{start} {row.gmacs:8.2f} GFLOPs {row.mparams:8.2f} M parameters  {accuracies}"


def _counted(counts: Counts, unit: float, name: str, as_paddleclas: bool = False) -> str:
    if counts.published is None or counts.total is None:
        return f"{name} not counted"
    published, total = counts.published / unit, counts.total / unit
    if as_paddleclas:
        return f"{published:.2f} {name} as PaddleClas counts ({total:.2f} in all)"
    return f"{published:.2f} {name} ({total:.2f} in all)"


if __name__ == "__main__":
    main(prog_name="python -m convert")
