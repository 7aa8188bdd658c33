"""What the one that was chosen leaves behind: its records, a folder to ship, a gate for CI, PaddleX' configuration."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from convert import artifact as artifacts
from convert import cli
from convert.artifact import MANIFEST
from convert.build import Request
from convert.cli import Asked
from convert.common import commands
from convert.common.console import say
from convert.common.disk import scratch
from convert.common.disk.files import remove_folder, write_text
from convert.common.errors import CheckFailed, InputError
from convert.manifest import LoweringOptions
from convert.precision.table import FP32, INT8
from runtimes.bench.ceiling import kept as ceiling
from runtimes.bench.plan.matrix import Cell
from runtimes.bench.schedule import parity
from runtimes.records import blank, store
from runtimes.records.kinds import Choice, Latency, Parity, Record
from runtimes.records.parts import Effective
from runtimes.system import environment
from validate.choice.budget import Limits
from validate.choice.runner import Runner
from validate.parity.inputs import InputOptions
from validate.ship import registry, shipping
from validate.ship.target import Target

SHIPPED, GATE, HPI = "shipped", "gate", "hpi_config.yaml"
# PaddleX' names of backends (paddlex/inference/utils/hpi.py), and what it calls their threads.
_BACKENDS = {
    "paddle": ("paddle", "cpu_threads"),
    "ort-cpu": ("onnxruntime", "cpu_num_threads"),
    "openvino": ("openvino", "cpu_num_threads"),
}


def refuse_others(folder: Path) -> None:
    """InputError where something that no choice left stands where the folder to ship will: an earlier one's goes."""
    place = folder / SHIPPED
    scratch.sweep_below(place)
    left = [manifest.parent for manifest in place.glob(f"*/*/*/{MANIFEST}")]
    for path in left:
        artifacts.refuse_others_files(path)
    odd = place.is_symlink() or (place.exists() and not place.is_dir())
    files = [place] if odd else [file for file in place.rglob("*") if not file.is_dir()]
    strange = next((file for file in files if not any(path in file.parents for path in left)), None)
    if strange:
        raise InputError(
            f"{strange}: it is no folder to ship of an earlier choice, which would be removed; move it away, or choose"
            " another --out"
        )


def clear(folder: Path) -> None:
    """Remove what an earlier choice left, as a whole each: its folder to ship, which is said, first. They are of one
    choice alone, and nobody should ship the other one by mistake."""
    if (place := folder / SHIPPED).exists():
        say(f"{place}: removed, since it is of an earlier choice")
    for name in (SHIPPED, GATE):
        remove_folder(folder / name)
    (folder / HPI).unlink(missing_ok=True)


def records(folder: Path, finalists: Sequence[Runner], subject: Runner, final: Path) -> None:
    """Put the records of a measurement and their parity into the results folder, which the report is of. subject: the
    one that was chosen or is the nearest: of several int8 of a model, the report shows the one that is the newest."""
    known = store.known(folder)
    for record in [*_parities(final), *(one.final for one in finalists if one.final)]:
        if record not in known:
            store.append(folder, record)
    newest = {
        one.precision: one.artifact for one in store.known(folder) if one.artifact and not isinstance(one, Choice)
    }
    final_of = subject.final
    if final_of and newest.get(subject.precision) != final_of.artifact:
        own = [one for one in _parities(folder) if one.artifact == final_of.artifact and _kind(subject) == _of(one)]
        for one in (*own, *([subject.accuracy] if subject.accuracy else []), final_of):
            store.append(folder, one)
    environment.save(folder, **ceiling.stated())


def _parities(folder: Path) -> list[Parity]:
    return parity.of(store.known(folder))


def gate(folder: Path, runner: Runner, cell: Cell, budget: Limits) -> list[str]:
    """Write the chosen cell's own records as a base of comparisons. Returns the two commands of a CI that uses it."""
    place = folder / GATE
    own = cell.artifact.sha256
    kept: list[Record] = [one for one in _parities(folder) if _of(one) == _kind(runner) and one.artifact == own]
    kept += [replace(runner.accuracy, ranked=None)] if runner.accuracy else []
    kept += [runner.final] if runner.final else []
    for record in kept:
        store.append(place, record)
    environment.save(place, **ceiling.stated())
    options = {"precision": cell.precision, "mode": cell.mode, **cell.selection.arguments([cell.runtime])}
    options["threads"] = cell.options.thread_count()
    if cell.mode == "latency":
        options |= {"batch": cell.batch, "min_count": runner.final.count if isinstance(runner.final, Latency) else None}
    again = blank.command("runtimes.bench", cell.argument, cell.artifact, cell.chosen, **options, out="new")
    # A percentile that the base's samples do not carry is null there, and nothing could be held against it.
    figures = [one.figure for one in budget.timed if getattr(runner.final, f"{one.figure}_ms", None) is not None]
    fails = "".join(f" --fail {name}:5%" for name in (_figure(cell), *figures))
    return [again, f"{shlex.join(commands.words('reports.compare'))} {shlex.quote(str(place))} new{fails}"]


def _figure(cell: Cell) -> str:
    return "throughput" if cell.mode == "throughput" else "median"


def _kind(runner: Runner) -> tuple[str, str]:
    return runner.runtime, runner.precision


def _of(record: Record) -> tuple[str | None, str | None]:
    return record.runtime, record.precision


def settled(cell: Cell) -> Cell:
    """The chosen cell with its artifact in the model's place of its precision, where every command finds it: int8 with
    another smoothing was tried beside the one that is there, and is made there now.

    CheckFailed where what is made there is not what was measured.
    """
    tried = cell.artifact
    place = tried.path.with_name(tried.precision)
    if tried.path == place or tried.form:
        return cell
    recipe = tried.manifest.recipe or LoweringOptions()
    request = Request(
        cell.argument,
        precision=tried.precision,
        root=tried.path.parents[1],
        calibration=Path(recipe.calibration) if recipe.calibration else None,
        keep_fp32=recipe.keep_fp32,
        int8_range=recipe.int8_range,
        smooth=recipe.smooth,
        **cell.chosen.arguments(),
    )
    made, _ = cli.obtain_loudly(request)
    if made.sha256 != tried.sha256:
        raise CheckFailed(f"{made.path}: made again it is not what was measured, which is in {tried.path}")
    return replace(cell, artifact=made)


def target_of(runtime: str, reads: str, precision: str) -> Target | None:
    """The way out of a runtime: its own one, else the ONNX file for whatever reads that; None where there is none."""
    carrying = [one for one in registry.found().values() if precision in one.precisions]
    own = next((one for one in carrying if one.runtime == runtime), None)
    return own or (registry.get("onnx") if reads == "onnx" else None)


def unset(runner: Runner, cell: Cell) -> tuple[str, ...]:
    """What the chosen one was measured with and its folder to ship does not set, `NAME=VALUE` each."""
    target, record = target_of(cell.runtime.name, cell.runtime.reads, cell.precision), runner.record
    found = [f"device={cell.options.device}"] if cell.options.device != "CPU" else []
    if record and (cell.mode == "throughput" or cell.options.streams):
        found += [f"batch={record.batch}", f"streams={record.streams}"]
    if target and record:
        known = cell.runtime.settings
        asked = {key: value for key, value in cell.options.extra.items() if value != known[key].default}
        found += target.left_out(cell.artifact, asked, record.effective or Effective())
    return tuple(found)


def ship(folder: Path, runner: Runner, cell: Cell) -> Path | None:
    """Write the folder to ship of the chosen one, proven and loaded again on the CPU; None where there is no way out,
    said."""
    target = target_of(cell.runtime.name, cell.runtime.reads, cell.precision)
    if target is None:
        place = cell.artifact.path / "paddle" if cell.runtime.reads == "paddle" else cell.artifact.path
        say(f"{runner.runtime}: there is no folder to ship for it; what it runs is in {place}")
        return None
    settings = {key: setting.default for key, setting in target.settings.items()}
    settings |= {"threads": str(runner.threads)} if "threads" in settings else {}
    sizes = cell.artifact.sizes(cell.options.batches)
    asked = Asked(cell.argument, cell.chosen, cell.artifact)
    (made,) = shipping.ship(asked, [target], {target.name: settings}, sizes, InputOptions(), None, folder / SHIPPED)
    return made.path


def hpi(folder: Path, runner: Runner, cell: Cell) -> Path | None:
    """Write PaddleX' `hpi_config` for the chosen one; None where PaddleX has no such backend, said.

    auto_config is off: the safe mode refuses models that PaddleX has no figures of. PaddleX has no setting for int8:
    there the model itself is the other file.
    """
    known = _BACKENDS.get(runner.runtime)
    if known is None or runner.precision not in (FP32, INT8) or cell.options.device != "CPU":
        say(f"{HPI}: not written, since PaddleX has no backend for {runner.runtime} {runner.precision}")
        return None
    backend, threads = known
    lines = ["use_hpip: True", "hpi_config:", "  auto_config: False", f"  backend: {backend}", "  backend_config:"]
    if backend == "paddle":
        lines.append(f"    run_mode: {'paddle' if cell.options.extra.get('kernels') == 'plain' else 'mkldnn'}")
    lines.append(f"    {threads}: {runner.threads}")
    head = [f"# {runner.name}: for PaddleX' configuration of the pipeline or module"]
    if runner.precision == INT8:
        head.append("# The int8 model.onnx has to be inference.onnx in the model's folder.")
    write_text(folder / HPI, "\n".join([*head, *lines]) + "\n")
    return folder / HPI
