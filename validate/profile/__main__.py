"""`python -m validate.profile`: where do the milliseconds go?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from convert import cli, other_onnx
from convert.artifact import Artifact
from convert.common import commands, typed
from convert.common.boundary import BoundedCommand
from convert.common.console import say, say_json
from convert.common.disk.files import write_json
from convert.common.errors import CheckFailed, InputError
from convert.common.progress import bar
from convert.common.worker import JobError
from convert.model_options import ModelOptions
from runtimes.base import Options, Runtime, UnavailableError, discrepancy
from runtimes.bench.ceiling import kept
from runtimes.options import Selection, numbers, precisions, session_options
from runtimes.profiled import profile as profiler
from runtimes.profiled.profile import LayerProfile
from validate.profile import blocks
from validate.profile.rows import CellTimes, rows
from validate.profile.show import sentence, show


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
    `python -m runtimes.bench.ceiling` has measured it.

    Nothing is recorded: rankings are the bench's work, and so is the question whether it is the same model. With --out
    the JSON document is kept there as profile.json.

    \b
    python -m validate.profile --model my_vit.toml --runtime ort-cpu,openvino
    python -m validate.profile --runtime openvino --precision fp32,int8 --batch 8
    """
    runtimes = _with_profiler(selection)
    wanted, sizes = precisions(precision), tuple(numbers("--batch", batch))
    asked = [(runtime, name) for name in wanted for runtime in runtimes if _able(selection, runtime, name)]
    if not asked:
        raise InputError(f"--precision {precision}: none of {', '.join(one.name for one in runtimes)} has it")
    found = {name: cli.artifacts(models, chosen, name, root) for name in dict.fromkeys(name for _, name in asked)}
    made: list[dict[str, Any]] = []
    failed: list[str] = []
    whys: dict[str, None] = {}  # there is no ceiling; each once
    for argument, first in next(iter(found.values())).items():
        say(cli.drawn_weights_warning(first))
        of_model = {name: blocks.read(_whole(artifacts[argument])) for name, artifacts in found.items()}
        for size in cli.batches(first, sizes, cli.named("batch")):
            cells: dict[str, CellTimes] = {}
            for runtime, name in asked:
                artifact, options = found[name][argument], selection.options(runtime, name, [size])
                where = f"{artifact.model} {name} on {runtime.name} at batch {size}"
                try:
                    profile = _profile(where, artifact, runtime, options, size, runs)
                except CheckFailed as error:
                    failed.append(error.message)
                    continue
                model = of_model[name]
                macs = model.program_macs if runtime.reads == "paddle" else model.macs
                peak, why = _peak(profile, options)
                whys[why] = None
                cell = rows(profile, model, macs, 1 if artifact.batch else size, peak)
                cells[f"{runtime.name} {profile.effective.precision}"] = cell
                made.append(_entry(artifact, runtime, options, size, cell))
            if cells:
                show(f"{first.model} at batch {size}", cells)
    for why in whys:
        say(why)
    document = {"profile": made}
    if out:
        write_json(out / "profile.json", document)
    if as_json:
        say_json(document)
    if failed:
        raise CheckFailed("; ".join(failed))


def _with_profiler(selection: Selection) -> list[Runtime]:
    """The runtimes that tell the times of layers. InputError for one that was named and does not."""
    reasons = {runtime.name: reason for runtime in selection.runtimes if (reason := profiler.reason(runtime))}
    for reason in reasons.values():
        if selection.named:
            raise InputError(f"no layer times of {reason}; leave it out of --runtime")
        say(f"left out: {reason}")
    found = [runtime for runtime in selection.runtimes if runtime.name not in reasons]
    if not found:
        raise InputError("no runtime that is available here tells the times of its layers")
    return found


def _able(selection: Selection, runtime: Runtime, precision: str) -> bool:
    try:
        runtime.check(selection.options(runtime, precision))
    except UnavailableError as error:
        say(f"left out: {error}")
        return False
    return True


def _whole(artifact: Artifact) -> Artifact:
    """InputError for a folder to ship and an ONNX file alone, which do not say what their layers are of."""
    if artifact.form:
        raise InputError(f"{artifact.path}: it holds no Paddle program, which names the blocks; profile the artifact")
    other_onnx.need_paddle_program(artifact, "a profile by blocks")
    return artifact


def _profile(where: str, artifact: Artifact, runtime: Runtime, options: Options, batch: int, runs: int) -> LayerProfile:
    """CheckFailed where the runtime cannot, or did not compute in what was asked for."""
    try:
        with bar(where, None):
            found = profiler.profile(artifact, runtime, options, batch, runs)
    except JobError as error:
        raise CheckFailed(f"{where}: {error.said or error}") from None
    if other := discrepancy(runtime.name, found.effective, options):
        raise CheckFailed(f"{where}: {other}")
    return found


def _peak(profile: LayerProfile, options: Options) -> tuple[float | None, str]:
    """GFLOP/s that the processor reaches in the precision that ran and with as many threads; else None, and why."""
    ceiling, precision = kept.read(), str(profile.effective.precision)
    if ceiling is None:
        command = " ".join(commands.words("runtimes.bench.ceiling"))
        return None, f"the ceiling of this machine is not known: `{command}` measures it"
    if profile.effective.device != "CPU":
        return None, f"no ceiling to compare {profile.effective.device} with: it is the processor's"
    if options.thread_count() != ceiling.threads:
        return None, f"no ceiling of {options.thread_count()} threads: it is that of {ceiling.threads}"
    peak = ceiling.gflops.get(precision)
    return (
        peak,
        "" if peak else f"no ceiling in {precision}: {ceiling.unmeasured.get(precision, 'it was not measured')}",
    )


def _entry(artifact: Artifact, runtime: Runtime, options: Options, batch: int, cell: CellTimes) -> dict[str, Any]:
    """What the JSON document says of a cell."""
    found = cell.profile
    return {
        "model": artifact.model,
        "precision": found.effective.precision,
        "runtime": runtime.name,
        "runtime_version": runtime.version(),
        "device": options.device,
        "threads": options.thread_count(),
        "batch": batch,
        "artifact": artifact.sha256,
        "effective": typed.table(found.effective),
        "runs": found.runs,
        "runs_kept": found.kept,
        "sentence": sentence(cell),
        "layers_ms": cell.total.ms,
        "outside_ms": cell.outside_ms,
        "run_ms": found.run_ms,
        "plain_ms": found.plain_ms,
        "blocks": typed.table(cell.blocks),
        "operators": typed.table(cell.operators),
        "total": typed.table(cell.total),
        "layers": [
            {"block": block, **typed.table(layer)} for block, layer in zip(cell.layer_blocks, found.layers, strict=True)
        ],
    }


if __name__ == "__main__":
    main(prog_name="python -m validate.profile")
