"""Latency of our ONNX graphs over that of Paddle2ONNX's output as it comes, on the same runtime, as ratios.

    python scripts/compare_graphs.py --model ViT_base_patch32_384,ViT_small_patch16_224 --precision fp32,int8 --rounds 8

Both graphs hold the same weights: ours is the artifact's, the other one is `paddle2onnx.export` of the artifact's
Paddle program with `optimize_tool=None`. In bf16 both are FP32 files, and the runtime's own switch lowers them. In int8
the other graph goes through the recipe that made ours (`convert.precision`), once its weights are initializers and not
Constant nodes, where the recipe finds none: the same operators become int8, smoothed and calibrated on the same images,
and the same ones stay FP32, so that the ratio is one of graphs alone. `--int8-by onnxruntime` takes what a Paddle user
has today instead: onnxruntime's own static quantizer on the graph as it comes (QDQ, per channel, symmetric, the same
images), without smoothing, which leaves nothing in FP32 that multiplies and so has less to compute.

Each round measures both at batch 1, one right after the other in random order, each in a fresh process, and gives a
ratio of medians. Rounds in which the machine changed its speed are counted and left out. The ratio is the geometric
mean over rounds, its 95 % interval Student's t on the logarithms. What cannot be measured here is named with the
reason. Prints a table; exit status 1 when a ratio is above 1 beyond its interval: then the other graph is the faster
one.
"""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import numpy as np
import onnx
from rich.table import Table

from convert import artifact as artifacts
from convert import cli
from convert.artifact import MANIFEST, ONNX_FILE, Artifact
from convert.common import isolate
from convert.common.errors import CheckFailed, InputError, listing
from convert.common.files import sha256_file, write_json
from convert.common.progress import bar
from convert.precision import obtain as variants
from convert.precision.recipe import INT8, Recipe, images_of
from runtimes import registry
from runtimes.base import Options, Runtime, UnavailableError
from runtimes.bench.interleaved import LEAST_ROUNDS, Rounds, measure, refusals, visit_ms
from runtimes.bench.plan.matrix import Cell, models
from runtimes.option_lists import precisions, words
from runtimes.system.speed_probe import TOLERABLE_SLOWDOWN, Probe

PRECISIONS = ("fp32", "bf16", INT8)


def plain(artifact: Artifact, folder: Path) -> Artifact:
    """Paddle2ONNX's own output for an artifact's Paddle program, in an existing folder, as an artifact.

    CheckFailed when Paddle2ONNX gives none.
    """
    job = {
        "program": str(artifact.paddle_program),
        "params": str(artifact.paddle_params),
        "onnx": str(folder / ONNX_FILE),
        "opset": artifact.manifest["opset"],
    }
    try:
        isolate.call("scripts.compare_graphs:export", job)
    except isolate.JobError as error:
        raise CheckFailed(f"{artifact.model}: Paddle2ONNX gave no model: {error}") from None
    return _stored(artifact, folder)


def export(job: dict[str, Any]) -> None:
    """The other side of `plain`."""
    import paddle2onnx

    paddle2onnx.export(
        job["program"],
        job["params"],
        job["onnx"],
        opset_version=job["opset"],
        auto_upgrade_opset=False,
        enable_onnx_checker=False,
        optimize_tool=None,
    )
    if not Path(job["onnx"]).is_file():  # it logs its own exceptions and returns
        raise RuntimeError("its reason is in the log above")


def lowered(theirs: Artifact, ours: Artifact, folder: Path) -> Artifact:
    """Paddle2ONNX's own graph as int8, in an existing folder, by the recipe that made ours. ours: the int8 artifact.

    CheckFailed when the graph cannot be lowered.
    """
    lifted = folder / "lifted"
    lifted.mkdir()
    try:
        isolate.call("scripts.compare_graphs:lift", {"onnx": str(theirs.onnx), "lifted": str(lifted / ONNX_FILE)})
    except isolate.JobError as error:
        raise CheckFailed(f"{theirs.model}: Paddle2ONNX's graph to int8: {error}") from None
    base = _stored(theirs, lifted)
    images = ours.manifest["recipe"]["calibration"]
    kept = tuple(entry["operator"] for entry in ours.manifest["kept_fp32"])
    recipe = Recipe(INT8, Path(images) if images else None, kept)
    return variants.obtain(base, recipe, None, folder / INT8, lambda *_: "", cli.say)[0]


def lift(job: dict[str, Any]) -> None:
    """The other side of `lowered`: the tensors of Constant nodes as initializers of the same names."""
    model = onnx.load(job["onnx"])
    nodes = list(model.graph.node)
    del model.graph.node[:]
    for node in nodes:
        if node.op_type == "Constant":
            tensor = model.graph.initializer.add()
            tensor.CopyFrom(node.attribute[0].t)
            tensor.name = node.output[0]
        else:
            model.graph.node.add().CopyFrom(node)
    onnx.save(model, job["lifted"])


def quantized(theirs: Artifact, ours: Artifact, folder: Path) -> Artifact:
    """Paddle2ONNX's own graph as int8, in an existing folder, by onnxruntime's quantizer. ours: the int8 artifact.

    CheckFailed when it fails.
    """
    target = folder / "onnxruntime"
    target.mkdir()
    job = {
        "onnx": str(theirs.onnx),
        "base": str(ours.base.path),
        "calibration": ours.manifest["recipe"]["calibration"],
        "int8": str(target / ONNX_FILE),
    }
    try:
        isolate.call("scripts.compare_graphs:quantize", job)
    except isolate.JobError as error:
        raise CheckFailed(f"{theirs.model}: onnxruntime's quantizer on Paddle2ONNX's graph: {error}") from None
    return _stored(theirs, target, precision=INT8)


def quantize(job: dict[str, Any]) -> None:
    """The other side of `quantized`.

    Convolutions and matrix products only: with all operators, its default, the file is slower on ONNX Runtime, and
    OpenVINO refuses it.
    """
    from onnxruntime import quantization

    calibration = job["calibration"]
    recipe = Recipe(INT8, Path(calibration) if calibration else None)
    images = images_of(recipe, artifacts.load(Path(job["base"])))[0].images
    (source,) = (value.name for value in onnx.load(job["onnx"]).graph.input)

    class Reader(quantization.CalibrationDataReader):
        def __init__(self) -> None:
            self.left = [{source: images[i : i + 1]} for i in range(len(images))]

        def get_next(self) -> dict[str, np.ndarray] | None:
            return self.left.pop() if self.left else None

    quantization.quantize_static(
        job["onnx"],
        job["int8"],
        Reader(),
        quant_format=quantization.QuantFormat.QDQ,
        op_types_to_quantize=["Conv", "Gemm", "MatMul"],
        per_channel=True,
        activation_type=quantization.QuantType.QInt8,
        weight_type=quantization.QuantType.QInt8,
        extra_options={"ActivationSymmetric": True, "WeightSymmetric": True},
    )


# Who makes int8 of Paddle2ONNX's graph, by the word for `--int8-by`.
QUANTIZERS = {"recipe": lowered, "onnxruntime": quantized}


def _stored(artifact: Artifact, folder: Path, **changes: str) -> Artifact:
    """The artifact of the ONNX file in a folder, with another's manifest but for some changes."""
    file = folder / ONNX_FILE
    entries = {file.name: {"bytes": file.stat().st_size, "sha256": sha256_file(file)}}
    write_json(folder / MANIFEST, {**artifact.manifest, **changes, "files": entries})
    return artifacts.load(folder)


def both(
    model: str, weights: str | None, root: Path, int8_by: str, precision: str, folder: Path
) -> dict[str, Artifact]:
    """Our graph and the other one, `ours` and `theirs`. folder: for theirs, with those of other precisions in it."""
    (ours,) = cli.artifacts(model, weights, INT8 if precision == INT8 else "fp32", root).values()
    plainly = folder / "fp32"
    if not plainly.exists():
        plainly.mkdir()
        plain(ours.base, plainly)
    theirs = artifacts.load(plainly)
    return {"ours": ours, "theirs": QUANTIZERS[int8_by](theirs, ours, folder) if precision == INT8 else theirs}


def wanted(precision: str, runtime: str) -> dict[str, tuple[Runtime, str]]:
    """Every runtime in every precision, precision by precision, by `runtime:precision`. InputError for what is none."""
    asked = precisions(precision)
    unknown = [one for one in asked if one not in PRECISIONS]
    if unknown:
        raise InputError(f"--precision {listing(unknown)}: choose from {', '.join(PRECISIONS)}")
    runtimes = [registry.get(name) for name in words(runtime)]
    return {f"{one.name}:{precision}": (one, precision) for precision in asked for one in runtimes}


@dataclass(frozen=True)
class Effort:
    """seconds: of measuring, per visit. The others as for `measure`."""

    rounds: int
    slowdown: float
    seconds: float


@dataclass
class Findings:
    """What the rounds said so far. slower, undecided: a clause each."""

    table: Table = field(
        default_factory=lambda: Table(
            *("model", "cell", "Paddle2ONNX, ms", "ours, ms", "ratio", "95 % interval", "rounds", "left out")
        )
    )
    slower: list[str] = field(default_factory=list)
    undecided: list[str] = field(default_factory=list)

    def add(self, model: str, name: str, made: Rounds) -> None:
        if not made.enough:
            self.undecided.append(f"{model} on {name}")
            return
        ratio = made.ratio("ours", "theirs")
        figures = (f"{made.median_ms('theirs'):.2f}", f"{made.median_ms('ours'):.2f}", f"{ratio.value:.3f}")
        counts = (str(len(made.times_ms)), str(made.left_out))
        self.table.add_row(model, name, *figures, f"{ratio.low:.3f} to {ratio.high:.3f}", *counts)
        if ratio.low > 1:
            self.slower.append(f"{model} on {name} {ratio.value:.3f}")


@click.command(help=__doc__)
@click.option("--model", default="all", show_default=True, help="Comma-separated.")
@click.option("--weights")
@click.option("--precision", default="fp32", show_default=True, help=f"Any of {', '.join(PRECISIONS)}.")
@click.option(
    "--int8-by", type=click.Choice(list(QUANTIZERS)), default="recipe", show_default=True, help="Of the other graph."
)
@click.option("--runtime", "chosen", default="ort-cpu,openvino,mnn", show_default=True)
@click.option("--rounds", type=click.IntRange(min=LEAST_ROUNDS), default=8, show_default=True)
@click.option(
    "--slowdown", default=TOLERABLE_SLOWDOWN, show_default=True, help="Of the machine, in a round that counts."
)
@click.option("--seconds", default=4.0, show_default=True, help="Of measuring, per graph and round.")
@click.option(
    "--artifacts",
    "root",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("artifacts"),
    show_default=True,
)
def main(
    model: str,
    weights: str | None,
    precision: str,
    int8_by: str,
    chosen: str,
    rounds: int,
    slowdown: float,
    seconds: float,
    root: Path,
) -> None:
    """Our graphs against Paddle2ONNX's own output, interleaved."""
    cells = wanted(precision, chosen)
    missing = refusals(cells)
    for name, reason in missing.items():
        cli.say(f"not measured: {name}: {reason}")
    cells = {name: one for name, one in cells.items() if name not in missing}
    if not cells:
        raise InputError("nothing of what was asked for can be measured here")
    findings = Findings()
    try:
        for one in models(model):
            with tempfile.TemporaryDirectory(prefix="vitbench-") as folder:
                both_of = functools.partial(both, one, weights, root, int8_by, folder=Path(folder))
                _measure(one, both_of, cells, Effort(rounds, slowdown, seconds), findings)
    finally:  # hours of rounds are not lost with a conversion that fails at the end
        cli.console(stderr=False).print(findings.table)
    if findings.slower:
        raise CheckFailed(f"slower than Paddle2ONNX's own output: {', '.join(findings.slower)}")
    if findings.undecided:
        told = ", ".join(findings.undecided)
        raise InputError(f"the machine changed its speed in nearly every round of {told}: try again")


def _measure(
    model: str,
    both_of: Callable[[str], dict[str, Artifact]],
    cells: Mapping[str, tuple[Runtime, str]],
    effort: Effort,
    findings: Findings,
) -> None:
    """One model on all cells. both_of: the graphs of a precision."""
    graphs = functools.cache(both_of)
    for name, (runtime, precision) in cells.items():
        options = Options(precision, runtime.default_device, batches=(1,))
        sides = {
            side: functools.partial(visit_ms, Cell(model, graph, runtime, precision, options, 1), effort.seconds)
            for side, graph in graphs(precision).items()
        }
        called = graphs(precision)["ours"].model
        try:
            with bar(f"{called} on {name}", 2 * effort.rounds) as advance:
                seed = f"{called} {name}"
                made = measure(sides, effort.rounds, effort.slowdown, Probe(), seed, advance)
        except UnavailableError as error:
            cli.say(f"not measured: {called} on {name}: {error}")
        else:
            findings.add(called, name, made)


if __name__ == "__main__":
    main()
