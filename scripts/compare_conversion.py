"""Conversion, ours against what one has without us: wall time and peak memory, as ratios of interleaved runs.

    python scripts/compare_conversion.py [--model ...] [--runs 3]

The baseline is `paddle.jit.save` of the loaded layer and then the `paddle2onnx` command line, on the same seeded
weights. The command line gets `--optimize_tool None`, which spares it seconds and memory: its default, polygraphy,
installs a package into this environment while it runs (`--baseline-tool polygraphy` lets it). Ours is all of
`python -m convert`: weights, export, checks, hashes and the manifest.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import click
from rich.table import Table

from convert import cli
from convert.models import find_all

_JIT_SAVE = """
import sys
import paddle
from convert.weights import seeded
from convert.families.vit_layer import VisionTransformer
from convert.zoo import MODELS

spec = MODELS[sys.argv[1]]
layer = VisionTransformer(spec)
tensors = seeded.tensors(0, spec.state_shapes())
layer.set_state_dict({name: tensor.read() for name, tensor in tensors.items()})
layer.eval()
x = paddle.static.InputSpec([None, 3, spec.img_size, spec.img_size], "float32", "x")
paddle.jit.save(layer, sys.argv[2] + "/inference", input_spec=[x])
"""


@dataclass(frozen=True)
class Cost:
    """Wall-clock seconds, and the peak resident memory in GB of the largest single process."""

    seconds: float
    gigabytes: float


def run(*command: str) -> Cost:
    """Run a command to its end; what it prints is shown only when it fails."""
    with tempfile.TemporaryFile() as log:
        start = time.perf_counter()
        process = subprocess.Popen(command, stdout=log, stderr=log)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            log.seek(0)
            raise click.ClickException(f"{command[:3]} failed:\n{log.read().decode(errors='replace')[-2000:]}")
    return Cost(seconds, usage.ru_maxrss / (1e9 if sys.platform == "darwin" else 1e6))


def baseline(model: str, folder: Path, tool: str) -> Cost:
    """`paddle.jit.save`, then the `paddle2onnx` command line: seconds add up, memory is the larger."""
    saved = run(sys.executable, "-c", _JIT_SAVE, model, str(folder))
    program = next(path.name for path in folder.iterdir() if path.suffix in (".json", ".pdmodel"))
    exported = run(
        *(sys.executable, "-c", "from paddle2onnx.command import main; main()"),
        *("--model_dir", str(folder), "--model_filename", program, "--params_filename", "inference.pdiparams"),
        *("--save_file", str(folder / "model.onnx"), "--opset_version", "17", "--optimize_tool", tool),
    )
    if not (folder / "model.onnx").is_file():
        raise click.ClickException("paddle2onnx ended well and wrote nothing")
    return Cost(saved.seconds + exported.seconds, max(saved.gigabytes, exported.gigabytes))


def ours(model: str, folder: Path, tool: str) -> Cost:
    """All of `python -m convert`, from nothing."""
    return run(sys.executable, "-m", "convert", model, "--weights", "seeded", "--out", str(folder))


@click.command(help=__doc__)
@click.option("--model", default="ViT_base_patch32_384,ViT_large_patch16_384", show_default=True)
@click.option("--runs", type=click.IntRange(min=1), default=3, show_default=True, help="Runs of each, in turn.")
@click.option("--baseline-tool", type=click.Choice(["None", "polygraphy"]), default="None", show_default=True)
def main(model: str, runs: int, baseline_tool: str) -> None:
    table = Table("model", "", "baseline", "ours", "ours / baseline", "of each run")
    for name in find_all(model):
        pairs = []
        for number in range(runs):
            costs = []
            for convert in (ours, baseline) if number % 2 else (baseline, ours):
                folder = Path(tempfile.mkdtemp(prefix="vitbench-"))
                cli.say(f"{name}, run {number + 1} of {runs}: {convert.__name__}")
                costs.append((convert.__name__, convert(name, folder, baseline_tool)))
                shutil.rmtree(folder)
            pairs.append(dict(costs))
        for what, unit, value in (("wall time", "s", "seconds"), ("peak memory", "GB", "gigabytes")):
            theirs, mine = ([getattr(pair[side], value) for pair in pairs] for side in ("baseline", "ours"))
            ratios = [m / t for m, t in zip(mine, theirs, strict=True)]
            table.add_row(
                name,
                what,
                f"{statistics.median(theirs):.1f} {unit}",
                f"{statistics.median(mine):.2f} {unit}",
                f"{statistics.median(ratios):.3f}",
                ", ".join(f"{ratio:.3f}" for ratio in ratios),
            )
    cli.console(stderr=False).print(table)


if __name__ == "__main__":
    main()
