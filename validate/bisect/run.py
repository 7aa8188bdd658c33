"""A bisection as a function, which the command and `import vitbench` call: an artifact on one runtime after another."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.table import Table

from convert import artifact as artifacts
from convert import cli, other_onnx
from convert.artifact import Artifact
from convert.common import typed
from convert.common.console import plain, print_table, printer, say
from convert.common.errors import InputError, told
from convert.common.paddle import need
from convert.common.progress import bar
from convert.images.inputs import Inputs
from runtimes.base import Options, Runtime
from runtimes.options import Selection
from validate.bisect import paddle_runtime
from validate.bisect.bisection import BisectionResult, JudgedTensor, bisect
from validate.parity.inputs import InputOptions


@dataclass(frozen=True)
class Bisected:
    """An artifact on a runtime, and what the search saw. onnx: a file that was taken instead of the artifact's own."""

    artifact: Artifact
    runtime: Runtime
    options: Options
    inputs: Inputs
    onnx: Path | None
    found: BisectionResult

    @property
    def name(self) -> str:
        """`ViT_tiny fp32 on openvino`."""
        return f"{self.artifact.model} {self.options.precision} on {self.runtime.name}"

    def entry(self) -> dict[str, Any]:
        """What the JSON document says of it."""
        found, fault = self.found, self.found.fault
        return {
            "model": self.artifact.model,
            "precision": self.options.precision,
            "runtime": self.runtime.name,
            "runtime_version": self.runtime.version(),
            "device": self.options.device,
            "artifact": self.artifact.sha256,
            "onnx": str(self.onnx or self.artifact.onnx),
            "inputs": {"source": self.inputs.source, "count": len(self.inputs.images), "sha256": self.inputs.sha256},
            "effective": typed.table(found.effective),
            "sessions": found.sessions,
            "verdict": "fault" if fault else "within bounds",
            "sentence": fault.sentence() if fault else None,
            "fault": typed.table(fault),
            "blocks": [_row(row) for row in found.blocks],
            "operators": [_row(row) for row in found.operators],
        }


def bisections(
    artifact: Artifact, precision: str, selection: Selection, images: InputOptions, onnx: Path | None
) -> Iterator[Bisected]:
    """Bisect an artifact on each of the runtimes, and show what is found.

    onnx: a file, or the folder of an artifact that has one, which is held against the artifact's Paddle program; None
    for its own. InputError for an artifact without such a program, for a runtime that was named and does not read the
    file, and where Paddle is not installed; CheckFailed where Paddle or a runtime does not run.
    """
    if artifact.form:
        raise InputError(f"{artifact.path}: it holds no Paddle program to compare with; bisect the artifact")
    other_onnx.need_paddle_program(artifact, "bisect")
    need(f"{artifact.model}: bisecting")
    model = artifacts.load(onnx).onnx if onnx and onnx.is_dir() else onnx
    say(cli.drawn_weights_warning(artifact))
    inputs = replace(images, limit=artifact.batch or images.limit).load(artifact)
    for runtime in _runtimes(selection, precision, onnx):
        options = selection.options(runtime, precision, [len(inputs.images)])
        with bar(f"{artifact.model} {precision} on {runtime.name}", None):
            if runtime.reads == "paddle":
                found = paddle_runtime.bisect(artifact, runtime, options, inputs, say)
            else:
                found = bisect(artifact, runtime, options, inputs, model, say)
        one = Bisected(artifact, runtime, options, inputs, onnx, found)
        _show(one.name, found)
        yield one


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
    text = plain(found.fault.sentence(told), "red") if found.fault else plain("nothing is out of bounds", "green")
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
