"""A profile as a function, which the command and `import vitbench` call: cells, each with the times of its layers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from convert import cli, other_onnx
from convert.artifact import Artifact
from convert.common import commands, typed
from convert.common.console import say
from convert.common.errors import CheckFailed, InputError
from convert.common.progress import bar
from convert.common.worker import JobError
from runtimes.base import Options, Runtime, UnavailableError, discrepancy
from runtimes.bench.ceiling import kept
from runtimes.options import Selection
from runtimes.profiled import profile as profiler
from runtimes.profiled.profile import LayerProfile
from validate.profile import blocks
from validate.profile.rows import CellTimes, rows
from validate.profile.show import sentence, show


@dataclass(frozen=True)
class ProfiledCell:
    """A model on a runtime at a batch size, and its times. options: what was asked of the runtime."""

    artifact: Artifact
    runtime: Runtime
    options: Options
    batch: int
    times: CellTimes

    @property
    def name(self) -> str:
        """`openvino int8`: as it stands beside others of the same model and batch."""
        return f"{self.runtime.name} {self.times.profile.effective.precision}"

    def entry(self) -> dict[str, Any]:
        """What the JSON document says of it."""
        cell, found = self.times, self.times.profile
        return {
            "model": self.artifact.model,
            "precision": found.effective.precision,
            "runtime": self.runtime.name,
            "runtime_version": self.runtime.version(),
            "device": self.options.device,
            "threads": self.options.thread_count(),
            "batch": self.batch,
            "artifact": self.artifact.sha256,
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
                {"block": block, **typed.table(layer)}
                for block, layer in zip(cell.layer_blocks, found.layers, strict=True)
            ],
        }


def able(selection: Selection, precisions: Sequence[str]) -> list[tuple[Runtime, str]]:
    """Runtimes that tell the times of layers, with each precision that they have; those left out are said.

    InputError where none is left, and for one that was named and does not tell.
    """
    runtimes = _with_profiler(selection)
    found = [(runtime, name) for name in precisions for runtime in runtimes if _has(selection, runtime, name)]
    if not found:
        raise InputError(
            f"--precision {','.join(precisions)}: none of {', '.join(one.name for one in runtimes)} has it"
        )
    return found


def profile(
    artifacts: Mapping[str, Artifact],
    asked: Sequence[tuple[Runtime, str]],
    selection: Selection,
    sizes: Sequence[int],
    runs: int,
    failed: Callable[[str], None],
) -> list[ProfiledCell]:
    """Profile a model and show its cells of a batch size side by side.

    artifacts: of the model, by precision. asked: of `able`. sizes: batches. runs: of each session. failed: takes the
    message where a runtime cannot, or did not compute in what was asked for. InputError for an artifact that does not
    say what its layers are of.
    """
    first = next(iter(artifacts.values()))
    say(cli.drawn_weights_warning(first))
    models = {name: blocks.read(_whole(artifact)) for name, artifact in artifacts.items()}
    made: list[ProfiledCell] = []
    whys: dict[str, None] = {}  # there is no ceiling; each once
    for size in sizes:
        cells: dict[str, ProfiledCell] = {}
        for runtime, name in asked:
            artifact, options = artifacts[name], selection.options(runtime, name, [size])
            try:
                found = _profile(artifact, runtime, options, size, runs)
            except CheckFailed as error:
                failed(error.message)
                continue
            model = models[name]
            macs = model.program_macs if runtime.reads == "paddle" else model.macs
            peak, why = _peak(found, options)
            whys[why] = None
            times = rows(found, model, macs, 1 if artifact.batch else size, peak)
            cell = ProfiledCell(artifact, runtime, options, size, times)
            cells[cell.name] = cell
            made.append(cell)
        if cells:
            show(f"{first.model} at batch {size}", {name: cell.times for name, cell in cells.items()})
    for why in whys:
        say(why)
    return made


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


def _has(selection: Selection, runtime: Runtime, precision: str) -> bool:
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


def _profile(artifact: Artifact, runtime: Runtime, options: Options, batch: int, runs: int) -> LayerProfile:
    """CheckFailed where the runtime cannot, or did not compute in what was asked for."""
    where = f"{artifact.model} {options.precision} on {runtime.name} at batch {batch}"
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
    if (count := options.thread_count()) != ceiling.threads:
        return None, f"no ceiling of {count} thread{'s' * (count != 1)}: it is that of {ceiling.threads}"
    if ceiling.disturbed:  # of a ceiling that is too low a block has more than all of it
        return None, f"no share of the ceiling, which is doubtful: {ceiling.disturbed}"
    peak = ceiling.gflops.get(precision)
    return (
        peak,
        "" if peak else f"no ceiling in {precision}: {ceiling.unmeasured.get(precision, 'it was not measured')}",
    )
