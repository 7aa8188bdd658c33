"""Every GPU runtime through parity, precision proof, fallback proof and a latency table, into a folder to bring back.

    make verify-gpu                    # or: python scripts/verify_gpu.py --model ViT_base_patch32_384

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
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from convert import cli
from convert.common.errors import CheckFailed
from convert.common.files import write_text
from convert.zoo import DEFAULT_MODEL
from runtimes import registry
from runtimes.base import Runtime
from runtimes.options import numbers

TIMEOUT_S = 3600
# TF32 keeps 10 bits of the significand where FP32 keeps 23: its error has to show.
TF32_ABOVE_FP32 = 10
NOT_CUDA = ("openvino", "mnn")  # CUDA_VISIBLE_DEVICES hides nothing from these


@dataclass(frozen=True)
class Ended:
    """What a command came to. document: the JSON that it printed, None where it printed none."""

    status: int | None
    seconds: float
    document: dict[str, Any] | None
    stderr: str

    @property
    def records(self) -> list[dict[str, Any]]:
        return list((self.document or {}).get("records", []))


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

    def parity(self, runtime: Runtime, precision: str) -> list[str]:
        return ["validate.parity", *self._options(runtime, precision)]

    def bench(self, runtime: Runtime, precision: str, **options: str) -> list[str]:
        return ["runtimes.bench", *self._options(runtime, precision, minutes=f"{self.minutes:g}", **options)]

    def _options(self, runtime: Runtime, precision: str, **options: str) -> list[str]:
        words = {"model": self.model, "artifacts": self.root, "out": self.out / "results", "runtime": runtime.name}
        words |= {"precision": precision, "batch": self.batches, "device": self.device, **options}
        return [*(word for name, value in words.items() for word in (f"--{name}", str(value))), "--json"]


def steps(check: GpuCheck) -> Iterator[Step]:
    """All of it, in the order of what matters most should the machine go away."""
    yield Step("doctor", ["runtimes", "--json"], _succeeds)
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
            yield Step(f"parity {precision} on {name}", check.parity(runtime, precision), shows)
    bench = check.bench(runtime, "fp32")
    yield Step(f"latency fp32 on {name}", bench, _times(check.device))
    if "cuda_graph" in runtime.settings:
        graphs = [*bench, "--option", f"{name}.cuda_graph=on"]
        yield Step(f"latency fp32 on {name} with CUDA graphs", graphs, _times(check.device))
    elsewhere = check.bench(runtime, "fp32", out=str(check.out / "refused"))
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
        if not outcome.records:
            return f"no record, exit status {outcome.status}"
        record = outcome.records[0]
        if not record["passed"]:
            return str(record["reason"])
        errors[precision] = record["max_abs"]
        effective = record["effective"]
        if (effective["precision"], _kind(effective["device"])) != (precision, _kind(device)):
            return f"it ran as {effective['precision']} on {effective['device']}"
        if precision == "tf32" and "fp32" in errors and errors["tf32"] < TF32_ABOVE_FP32 * errors["fp32"]:
            return f"TF32 errs by {errors['tf32']:.2g}, FP32 by {errors['fp32']:.2g}: they look like one and the same"
        return None

    return shows


def _times(device: str) -> Callable[[Ended], str | None]:
    def shows(outcome: Ended) -> str | None:
        if not outcome.records:
            return f"no record, exit status {outcome.status}"
        for record in outcome.records:
            if record["status"] not in ("ok", "unstable"):
                return f"batch {record['batch']}: {record['reason']}"
            times = record["device_times_ms"]
            if device.startswith("GPU") and times is not None:
                total = sum(times.values())
                if not 0 < times["compute_ms"] <= total <= 1.05 * record["median_ms"]:
                    return f"batch {record['batch']}: {times} ms on the device in {record['median_ms']} ms of wall time"
        return None

    return shows


def _refuses(outcome: Ended) -> str | None:
    """Without the GPU there must be a reason and no number."""
    numbers = [record for record in outcome.records if record.get("median_ms") is not None]
    if numbers or outcome.status == 0:
        return f"it gave numbers without a GPU: {len(numbers)} records, exit status {outcome.status}"
    reason = outcome.stderr.strip().splitlines()[-1:] or [""]
    return None if "not available" in reason[0] else f"no clear reason: {reason[0]!r}"


def perform(step: Step, folder: Path) -> Ended:
    """Run a step; its output goes to files named after it."""
    name = "-".join(step.name.split())
    start = time.perf_counter()
    command = [sys.executable, "-m", *step.arguments]
    environment = {**os.environ, **step.environment}
    try:
        ended = subprocess.run(
            command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False, env=environment, errors="replace"
        )
        status, out, err = ended.returncode, ended.stdout, ended.stderr
    except subprocess.TimeoutExpired as late:
        status, out, err = None, _text(late.stdout), f"{_text(late.stderr)}\nstopped after {TIMEOUT_S} s"
    write_text(folder / f"{name}.stdout", out)
    write_text(folder / f"{name}.stderr", err)
    try:
        document = json.loads(out)
    except ValueError:
        document = None
    return Ended(status, time.perf_counter() - start, document if isinstance(document, dict) else None, err)


def _text(output: bytes | str | None) -> str:
    return output.decode(errors="replace") if isinstance(output, bytes) else output or ""


def _machine(folder: Path) -> None:
    """What the machine says of itself, as far as the tools are there."""
    for name, command in {
        "nvidia-smi": ["nvidia-smi", "-q"],
        "packages": [sys.executable, "-m", "pip", "list", "--format", "freeze"],
        "cpu": ["lscpu"],
    }.items():
        if shutil.which(command[0]):
            ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
            write_text(folder / f"{name}.txt", ended.stdout + ended.stderr)
        else:
            write_text(folder / f"{name}.txt", f"{command[0]} is not here\n")


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
def main(model: str, chosen: str | None, device: str, batch: str, out: Path, root: Path, minutes: float) -> None:
    """Verify every GPU runtime of this machine and write what was seen into a folder, and an archive of it.

    Exit status 1 when something did not show what it had to; SUMMARY.md says what.
    """
    numbers("--batch", batch)
    logs = out / "logs"
    _machine(logs)
    states = registry.examine(registry.names() if chosen is None else chosen.split(","))
    device = device.upper()
    there = [name for name, s in states.items() if _kind(device) in map(_kind, s["devices"])]
    missing = {name: s["reason"] for name, s in states.items() if name not in there}
    check = GpuCheck(model, [registry.get(name) for name in there], device, batch, out, root, minutes)
    lines, faults = [], []
    for step in steps(check):
        cli.say(f"{step.name} ...")
        outcome = perform(step, logs)
        fault = step.shows(outcome)
        verdict = "shown" if fault is None else f"**not shown**: {fault}"
        cli.say(f"  {outcome.seconds:.0f} s: {verdict}")
        command = " ".join(["python", "-m", *step.arguments])
        lines.append(f"| {step.name} | {verdict} | {outcome.seconds:.0f} | `{command}` |")
        if fault:
            faults.append(f"{step.name}: {fault}")
        _summary(check, lines, missing)
    shutil.make_archive(str(out), "gztar", root_dir=out)
    cli.say(f"bring back: {out}.tar.gz (or the folder {out})")
    if not there:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in missing.items() if reason)
        raise CheckFailed(f"no runtime finds a {device} here ({reasons})")
    if faults:
        raise CheckFailed(f"{len(faults)} of {len(lines)} steps did not show what they had to: {faults[0]}")


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
