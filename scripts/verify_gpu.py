"""Every GPU runtime through parity, precision proof, fallback proof and a latency table, into a folder to bring back.

    make verify-gpu                    # or: python -m scripts.verify_gpu --model ViT_base_patch32_384

The model may be a folder of `vitbench export`, whose proof takes the place of Paddle. `--pack DIR` writes that folder
and vitbench itself in pieces of 60 MiB for a machine behind a narrow door; drawn weights are drawn again there.

Made for a machine that one reaches once: each step is a command of its own with a time limit and a log, none of them
stops the others, and SUMMARY.md says of each what it had to show and whether it did.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import click

from convert.artifact import Artifact, is_shipped
from convert.common.console import say
from convert.common.disk.files import write_text
from convert.common.errors import CheckFailed, InputError
from convert.zoo import DEFAULT_MODEL
from runtimes import registry
from runtimes.base import Runtime
from runtimes.options import numbers
from runtimes.records.blank import arguments
from runtimes.records.kinds import Latency, Parity, Record
from runtimes.records.reading import from_table
from scripts.packing import holes, pieces
from validate.ship import proof

TIMEOUT_S = 3600
# TF32 keeps 10 bits of the significand where FP32 keeps 23: its error has to show.
TF32_ABOVE_FP32 = 10
NOT_CUDA = ("openvino", "mnn")  # CUDA_VISIBLE_DEVICES hides nothing from these


@dataclass(frozen=True)
class Ended:
    """What a command came to. status: None where it was stopped. records: those that it printed."""

    status: int | None
    seconds: float
    records: Sequence[Record]
    stderr: str


@dataclass(frozen=True)
class Step:
    """A command and what it has to show. shows: the fault in a sentence, None when it holds."""

    name: str
    arguments: list[str]
    shows: Callable[[Ended], str | None]
    environment: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class GpuCheck:
    """What is verified, and where. batches: comma-separated. root: of the artifacts. minutes: of each measurement."""

    model: str
    runtimes: list[Runtime]
    device: str
    batches: str
    out: Path
    root: Path
    minutes: float

    def command(self, module: str, runtime: Runtime, precision: str, **options: object) -> list[str]:
        """Arguments of `python -m` for one of the commands that run models."""
        where = {"model": self.model, "artifacts": self.root, "out": self.out / "results", "device": self.device}
        what = {"runtime": runtime.name, "precision": precision, "batch": self.batches}
        return [module, *arguments({**where, **what, **options}), "--json"]

    def bench(self, runtime: Runtime, precision: str, **options: object) -> list[str]:
        return self.command("runtimes.bench", runtime, precision, minutes=f"{self.minutes:g}", **options)


def steps(check: GpuCheck) -> Iterator[Step]:
    """All of it, in the order of what matters most should the machine go away."""
    yield Step("doctor", ["runtimes", "--json"], _succeeds)
    if is_shipped(Path(check.model)):
        for runtime in check.runtimes:
            check_it = ["validate.check", check.model, "--runtime", runtime.name, "--device", check.device, "--json"]
            yield Step(f"check of the folder on {runtime.name}", check_it, _succeeds)
    else:
        yield Step("convert", ["convert", check.model, "--out", str(check.root), "--json"], _succeeds)
    for runtime in check.runtimes:
        yield from _of(runtime, check)
    for runtime in check.runtimes:
        if "tf32" in runtime.precisions:
            yield Step(f"latency tf32 on {runtime.name}", check.bench(runtime, "tf32"), _times(check.device))
    yield Step("report", ["reports", str(check.out / "results")], _succeeds)


def _of(runtime: Runtime, check: GpuCheck) -> Iterator[Step]:
    """Parity in each precision, latency in FP32, and that nothing else stands in where the GPU is hidden or absent."""
    name, errors = runtime.name, dict[str, float]()
    for precision in ("fp32", "tf32"):
        if precision in runtime.precisions:
            shows = _proves(precision, check.device, errors)
            yield Step(f"parity {precision} on {name}", check.command("validate.parity", runtime, precision), shows)
    yield Step(f"latency fp32 on {name}", check.bench(runtime, "fp32"), _times(check.device))
    if "cuda_graph" in runtime.settings:
        graphs = check.bench(runtime, "fp32", option=f"{name}.cuda_graph=on")
        yield Step(f"latency fp32 on {name} with CUDA graphs", graphs, _times(check.device))
    elsewhere = check.bench(runtime, "fp32", out=check.out / "refused")
    if check.device.startswith("GPU") and name not in NOT_CUDA:
        hidden = {"CUDA_VISIBLE_DEVICES": "-1"}
        yield Step(f"no fallback on {name} with the GPU hidden", elsewhere, _refuses, hidden)
    absent = [*elsewhere, "--device", f"{_kind(check.device)}.99"]
    yield Step(f"no fallback on {name} for a device that is not there", absent, _refuses)


def _kind(device: str) -> str:
    """GPU, of GPU.1."""
    return device.partition(".")[0]


def _succeeds(outcome: Ended) -> str | None:
    return None if outcome.status == 0 else f"exit status {outcome.status}"


def _proves(precision: str, device: str, errors: dict[str, float]) -> Callable[[Ended], str | None]:
    """Parity passed, and what ran was that precision: read back, and to be seen in the size of the error.

    errors: those of this runtime so far, by precision.
    """

    def shows(outcome: Ended) -> str | None:
        record = next((one for one in outcome.records if isinstance(one, Parity)), None)
        if record is None:
            return f"no record, exit status {outcome.status}"
        if not record.passed or record.max_abs is None or record.effective is None:
            return str(record.reason)
        errors[precision] = record.max_abs
        ran = record.effective
        if (ran.precision, _kind(ran.device or "")) != (precision, _kind(device)):
            return f"it ran as {ran.precision} on {ran.device}"
        if precision == "tf32" and "fp32" in errors and errors["tf32"] < TF32_ABOVE_FP32 * errors["fp32"]:
            return f"TF32 errs by {errors['tf32']:.2g}, FP32 by {errors['fp32']:.2g}: they look like one and the same"
        return None

    return shows


def _times(device: str) -> Callable[[Ended], str | None]:
    """Each batch has a median, and the device's own times fit into it."""

    def shows(outcome: Ended) -> str | None:
        records = [one for one in outcome.records if isinstance(one, Latency)]
        for record in records:
            median, times = record.median_ms, record.device_times_ms
            if not record.measured or median is None:
                return f"batch {record.batch}: {record.reason}"
            if device.startswith("GPU") and times is not None:
                compute = times.compute_ms or 0
                total = (times.h2d_ms or 0) + compute + (times.d2h_ms or 0)
                if not 0 < compute <= total <= 1.05 * median:
                    return f"batch {record.batch}: {times} on the device in {median} ms of wall time"
        return None if records else f"no record, exit status {outcome.status}"

    return shows


def _refuses(outcome: Ended) -> str | None:
    """Without the GPU there must be a reason and no number."""
    numbers = [record for record in outcome.records if record.measured]
    if numbers or outcome.status == 0:
        return f"it gave numbers without a GPU: {len(numbers)} records, exit status {outcome.status}"
    reason = outcome.stderr.strip().splitlines()[-1:] or [""]
    return None if "not available" in reason[0] else f"no clear reason: {reason[0]!r}"


def perform(step: Step, folder: Path) -> Ended:
    """Run a step; its output goes to files named after it."""
    output, log = (folder / f"{'-'.join(step.name.split())}.{stream}" for stream in ("stdout", "stderr"))
    command = [sys.executable, "-m", *step.arguments]
    start, status = time.perf_counter(), None
    with output.open("wb") as out, log.open("wb") as err:
        try:
            environment = {**os.environ, **step.environment}
            status = subprocess.run(
                command, stdout=out, stderr=err, timeout=TIMEOUT_S, check=False, env=environment
            ).returncode
        except subprocess.TimeoutExpired:
            err.write(f"\nstopped after {TIMEOUT_S} s\n".encode())
    seconds = time.perf_counter() - start
    return Ended(status, seconds, _records(output), log.read_text(encoding="utf-8", errors="replace"))


def _records(output: Path) -> list[Record]:
    """The records in the JSON document that a command printed; none where it printed another, or none."""
    try:
        document = json.loads(output.read_text(encoding="utf-8", errors="replace"))
        return [from_table(table) for table in document["records"]]
    except (ValueError, KeyError, TypeError):
        return []


def _machine(folder: Path) -> None:
    """What the machine says of itself, as far as the tools are there."""
    packages = [sys.executable, "-m", "pip", "list", "--format", "freeze"]
    for name, command in {"nvidia-smi": ["nvidia-smi", "-q"], "packages": packages, "cpu": ["lscpu"]}.items():
        said = f"{command[0]} is not here\n"
        if shutil.which(command[0]):
            ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
            said = ended.stdout + ended.stderr
        write_text(folder / f"{name}.txt", said)


@click.command()
@click.option("--model", default=DEFAULT_MODEL, show_default=True)
@click.option(
    "--runtime", "chosen", help="Comma-separated. [default: each whose own device is a GPU, and paddle, openvino]"
)
@click.option("--device", default="GPU", show_default=True, help="CPU rehearses the script where there is no GPU.")
@click.option("--batch", default="1,4,8", show_default=True)
@click.option("--out", type=click.Path(path_type=Path), default=Path("gpu-check"), show_default=True)
@click.option("--artifacts", "root", type=click.Path(path_type=Path), default=Path("artifacts"), show_default=True)
@click.option("--minutes", default=1.0, show_default=True, help="Of each measurement, about.")
@click.option("--pack", type=click.Path(path_type=Path), help="Only write the pieces, into a folder.")
def main(
    model: str, chosen: str | None, device: str, batch: str, out: Path, root: Path, minutes: float, pack: Path | None
) -> None:
    """Verify every GPU runtime of this machine and write what was seen into a folder, and an archive of it.

    Exit status 1 when something did not show what it had to; SUMMARY.md says what.
    """
    numbers("--batch", batch)
    shipped = _shipped(model)
    if pack:
        _pack(shipped, pack)
        return
    logs = out / "logs"
    _machine(logs)
    states = registry.examine(registry.names() if chosen is None else chosen.split(","))
    device = device.upper()
    there = [name for name, s in states.items() if _kind(device) in map(_kind, s["devices"])]
    missing = {name: s["reason"] for name, s in states.items() if name not in there}
    if shipped:
        missing |= {name: reason for name in there if (reason := registry.get(name).cannot_load(shipped))}
        there = [name for name in there if name not in missing]
    check = GpuCheck(model, [registry.get(name) for name in there], device, batch, out, root, minutes)
    lines, faults = [], []
    for step in steps(check):
        say(f"{step.name} ...")
        outcome = perform(step, logs)
        fault = step.shows(outcome)
        verdict = "shown" if fault is None else f"**not shown**: {fault}"
        say(f"  {outcome.seconds:.0f} s: {verdict}")
        command = " ".join(["python", "-m", *step.arguments])
        lines.append(f"| {step.name} | {verdict} | {outcome.seconds:.0f} | `{command}` |")
        if fault:
            faults.append(f"{step.name}: {fault}")
        _summary(check, lines, missing)
    shutil.make_archive(str(out), "gztar", root_dir=out)
    say(f"bring back: {out}.tar.gz (or the folder {out})")
    if not there:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in missing.items() if reason)
        raise CheckFailed(f"no runtime finds a {device} here ({reasons})")
    if faults:
        raise CheckFailed(f"{len(faults)} of {len(lines)} steps did not show what they had to: {faults[0]}")


def _shipped(model: str) -> Artifact | None:
    """The folder that MODEL is, whole; None where it is none. Weights that were left out of it are drawn now."""
    if not is_shipped(Path(model)):
        return None
    artifact = proof.opened(Path(model))
    for name in holes.fill(artifact):
        say(f"{artifact.path / name}: its weights {artifact.manifest.weights.source} were drawn, its sha256 is right")
    if damage := artifact.damage():
        raise InputError(f"{artifact.path}: {damage}; unpack it again")
    return artifact


def _pack(shipped: Artifact | None, target: Path) -> None:
    if shipped is None:
        raise InputError("--pack: --model must be a folder of `vitbench export`, as shipped/<model>/fp32/onnx")
    made = pieces.pack(shipped, target)
    for file in made:
        say(f"{file}: {file.stat().st_size / 2**20:.1f} MiB")
    say(f"there: sha256sum -c {pieces.SUMS} && cat {pieces.NAME}.* | tar xz && cd vitbench")
    say(f"       python -m scripts.verify_gpu --model {pieces.place(shipped)}")


def _summary(check: GpuCheck, lines: list[str], missing: dict[str, str | None]) -> None:
    """Written after each step, so that what was seen is there even if the machine goes away."""
    head = [
        f"# {check.model} on {check.device}",
        "",
        "| step | verdict | seconds | command |",
        "| --- | --- | ---: | --- |",
    ]
    tail = ["", f"Not on {check.device} here:", ""]
    tail += [f"- {name}: {reason or f'finds no {check.device}'}" for name, reason in missing.items()]
    write_text(check.out / "SUMMARY.md", "\n".join([*head, *lines, *tail]) + "\n")


if __name__ == "__main__":
    main()
