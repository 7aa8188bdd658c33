"""`python -m validate.bisect`: where does the converted model stop being the same model?"""

from __future__ import annotations

import functools
from pathlib import Path

import click

from convert import cli
from convert.common.boundary import BoundedCommand
from convert.common.console import say_json
from convert.common.disk.files import write_json
from convert.common.errors import CheckFailed, InputError
from convert.model_options import ModelOptions
from runtimes.options import Selection, precisions, session_options
from validate.bisect.run import Bisected, bisections
from validate.parity.inputs import InputOptions, input_options


@click.command(cls=BoundedCommand)
@functools.partial(cli.model_options, onnx=False)  # its own takes the folder of an artifact too
@session_options
@click.option(
    "--onnx",
    type=click.Path(path_type=Path),
    help="Hold this ONNX file, or that of this artifact folder, against the model's Paddle program. "
    "[default: the artifact's own]",
)
@input_options(4, "Images, which go through as one batch of that size.")
def main(
    models: str,
    chosen: ModelOptions,
    precision: str,
    root: Path,
    as_json: bool,
    selection: Selection,
    out: Path | None,
    onnx: Path | None,
    images: InputOptions,
) -> None:
    """Find the first operator of a converted model that leaves its bound.

    Every block's output on the runtime, and then every operator's of the first bad block, is held against what Paddle
    itself makes of the same inputs in float64, so that an operator is judged by what it does and not by what it
    inherits. The bound is a small factor of Paddle's own FP32 error there; lower precisions have bounds relative to the
    tensor's largest value. Weights, epsilons, scales and the form of GELU are compared on paper too. Runtimes that give
    no intermediate outputs get the graph cut for each of them. `--runtime paddle` is held against its own program in
    plain kernels and float64, which is cut behind one operator after the other, by halves.

    Exit status 0: nothing is out of bounds; 1: a fault was found, and named. With --out the JSON document is kept there
    as bisect.json.

    \b
    python -m validate.bisect --model ViT_base_patch16_224 --runtime openvino
    python -m validate.bisect --model my_vit.toml --runtime ort-cpu \\
        --onnx optimised.onnx --inputs photos/
    """
    if onnx and not cli.named("models"):
        raise InputError(f"--onnx {onnx}: name with --model the Paddle model that it is held against")
    made: list[Bisected] = []
    for name in precisions(precision):
        for artifact in cli.artifacts(models, chosen, name, root).values():
            made += bisections(artifact, name, selection, images, onnx)
    document = {"bisect": [one.entry() for one in made]}
    if out:
        write_json(out / "bisect.json", document)
    if as_json:
        say_json(document)
    if faults := [f"{one.name}: {one.found.fault.name}" for one in made if one.found.fault]:
        raise CheckFailed(f"bisect: out of bounds: {'; '.join(faults)}")


if __name__ == "__main__":
    main(prog_name="python -m validate.bisect")
