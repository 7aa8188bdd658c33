"""`python -m validate.bisect`: where does the converted model stop being the same model?"""

from __future__ import annotations

import functools
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from convert import artifact as artifacts
from convert import cli, other_onnx
from convert.artifact import Artifact
from convert.common import typed
from convert.common.boundary import BoundedCommand
from convert.common.console import plain, print_table, printer, say, say_json
from convert.common.disk.files import write_json
from convert.common.errors import CheckFailed, InputError
from convert.common.paddle import need
from convert.common.progress import bar
from convert.images.inputs import Inputs
from convert.model_options import ModelOptions
from runtimes.base import Options, Runtime
from runtimes.options import Selection, precisions, session_options
from validate.bisect import paddle_runtime
from validate.bisect.bisection import BisectionResult, JudgedTensor, bisect
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
    model = artifacts.load(onnx).onnx if onnx and onnx.is_dir() else onnx
    made: list[dict[str, Any]] = []
    faults: list[str] = []
    for name in precisions(precision):
        for artifact in cli.artifacts(models, chosen, name, root).values():
            if artifact.form:
                raise InputError(f"{artifact.path}: it holds no Paddle program to compare with; bisect the artifact")
            other_onnx.need_paddle_program(artifact, "bisect")
            need(f"{artifact.model}: bisecting")
            say(cli.drawn_weights_warning(artifact))
            inputs = replace(images, limit=artifact.batch or images.limit).load(artifact)
            for runtime in _runtimes(selection, name, onnx):
                options = selection.options(runtime, name, [len(inputs.images)])
                with bar(f"{artifact.model} {name} on {runtime.name}", None):
                    if runtime.reads == "paddle":
                        found = paddle_runtime.bisect(artifact, runtime, options, inputs, say)
                    else:
                        found = bisect(artifact, runtime, options, inputs, model, say)
                where = f"{artifact.model} {name} on {runtime.name}"
                _show(where, found)
                made.append(_entry(artifact, runtime, options, inputs, onnx, found))
                if found.fault:
                    faults.append(f"{where}: {found.fault.name}")
    document = {"bisect": made}
    if out:
        write_json(out / "bisect.json", document)
    if as_json:
        say_json(document)
    if faults:
        raise CheckFailed(f"bisect: out of bounds: {'; '.join(faults)}")


def _runtimes(selection: Selection, precision: str, onnx: Path | None) -> list[Runtime]:
    """The runtimes that read the ONNX model; by name, those that read the Paddle program too. InputError for none."""
    found = selection.having(precision)
    others = [runtime for runtime in found if runtime.reads != "onnx"]
    if selection.named and others and (onnx or others[0].reads != "paddle"):
        what = "the Paddle program" if others[0].reads == "paddle" else "what a server has"
        instead = "the file of --onnx" if onnx else "the ONNX model"
        raise InputError(f"--runtime {others[0].name}: it runs {what}, not {instead}; leave it out")
    runtimes = found if selection.named else [runtime for runtime in found if runtime.reads == "onnx"]
    if not runtimes:
        raise InputError(f"no runtime here runs the ONNX model in {precision}; `python -m runtimes` says why")
    return runtimes


def _entry(
    artifact: Artifact, runtime: Runtime, options: Options, inputs: Inputs, onnx: Path | None, found: BisectionResult
) -> dict[str, Any]:
    """What the JSON document says of an artifact on a runtime."""
    fault = found.fault
    return {
        "model": artifact.model,
        "precision": options.precision,
        "runtime": runtime.name,
        "runtime_version": runtime.version(),
        "device": options.device,
        "artifact": artifact.sha256,
        "onnx": str(onnx or artifact.onnx),
        "inputs": {"source": inputs.source, "count": len(inputs.images), "sha256": inputs.sha256},
        "effective": typed.table(found.effective),
        "sessions": found.sessions,
        "verdict": "fault" if fault else "within bounds",
        "sentence": fault.sentence() if fault else None,
        "fault": typed.table(fault),
        "blocks": [_row(row) for row in found.blocks],
        "operators": [_row(row) for row in found.operators],
    }


def _row(row: JudgedTensor) -> dict[str, Any]:
    values = typed.table(row.judgement)
    # JSON knows neither infinity nor NaN.
    for name in ("excess", "largest"):
        value = values[name]
        values[name] = value if value is not None and math.isfinite(value) else None
    return {"name": row.name, "tensor": row.tensor, **values, "within": not row.judgement.bad}


def _show(where: str, found: BisectionResult) -> None:
    _table(f"{where}: blocks", "block", found.blocks)
    if found.operators:
        _table(f"{where}: operators of {found.opened}", "operator", found.operators)
    text = plain(found.fault.sentence(), "red") if found.fault else plain("nothing is out of bounds", "green")
    printer().print(plain(f"{where}: ").append_text(text), soft_wrap=True)


def _table(title: str, what: str, rows: list[JudgedTensor]) -> None:
    heads = ("max abs error", "allowed", "rms error", "allowed", "worst channel", "allowed", "of the bound")
    table = Table(title=plain(title), title_justify="left")
    table.add_column(what)
    for head in heads:
        table.add_column(head, justify="right")
    table.add_column("")
    for row in rows:
        judged = row.judgement
        cells = [
            "-" if name not in side else f"{side[name]:.1e}"
            for name in ("max", "rms", "channel")
            for side in (judged.errors, judged.bounds)
        ]
        if judged.excess is None:
            share, verdict = "-", "inputs are not finite"
        elif judged.nonfinite:
            share, verdict = "-", f"[red]{judged.nonfinite} NaN or infinite"
        else:
            share, verdict = f"{judged.excess:.2g}", "[red]out" if judged.bad else "ok"
        table.add_row(plain(row.name), *cells, share, verdict)
    print_table(printer(), table)


if __name__ == "__main__":
    main(prog_name="python -m validate.bisect")
