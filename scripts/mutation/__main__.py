"""`python -m scripts.mutation`: how many planted faults the tests notice, and which they do not.

Each fault is written into a copy of the checkout, and the tests that mirror the module run there until one fails. A
fault that changes nothing that can be seen is named in equivalent.toml, with the reason.
"""

from __future__ import annotations

import compileall
import json
import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from queue import SimpleQueue

import click
from rich.table import Table

from convert.common.boundary import BoundedCommand
from convert.common.console import printer, say
from convert.common.errors import CheckFailed, InputError
from convert.common.progress import bar
from scripts.mutation import suite
from scripts.mutation.mutants import Mutant, mutants

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[2]
EQUIVALENT = Path(__file__).with_name("equivalent.toml")
# What decides about numbers and verdicts.
MODULES = (
    "convert/datasets/**/*.py",
    "convert/precision/calibrate.py",
    "convert/precision/calibration_images.py",
    "convert/weights/download.py",
    "convert/weights/transfer.py",
    "runtimes/records/*.py",
    "runtimes/statistics.py",
    "runtimes/system/memory.py",
    "validate/accuracy/doubt.py",
    "validate/accuracy/outcomes.py",
    "validate/accuracy/verdict.py",
    "validate/parity/metrics.py",
    "validate/parity/tolerances.py",
    "reports/compare/*.py",
    "reports/numbers.py",
)
_LEAVE_OUT = (".git", ".venv", "artifacts", "results", "__pycache__", ".*_cache", ".hypothesis", "*.egg-info")
_PATIENCE = 4  # times as long as the tests take without a fault; a fault that makes them wait was noticed


@dataclass(frozen=True)
class Planted:
    """A fault and what became of it. module: its path. verdict: noticed, missed or equivalent."""

    module: str
    line: int
    what: str
    verdict: str


@click.command(cls=BoundedCommand)
@click.option(
    "--module", "patterns", multiple=True, help="Path or pattern of modules; repeatable. [default: those that decide]"
)
@click.option("--each", type=click.IntRange(min=1), default=10, show_default=True, help="Faults in a module, drawn.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the draw.")
@click.option("--jobs", type=click.IntRange(min=1), default=2, show_default=True, help="At once.")
@click.option("--least", type=click.FloatRange(0, 1), default=0.85, show_default=True, help="The part to be noticed.")
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), help="Keep every fault and its verdict as JSON."
)
def main(patterns: tuple[str, ...], each: int, seed: int, jobs: int, least: float, out: Path | None) -> None:
    """Plant faults one at a time and run the tests that mirror the module.

    Exit status 1 when fewer than `--least` of them are noticed, those that are known to change nothing left out.
    """
    modules = [path for pattern in patterns or MODULES for path in sorted(ROOT.glob(pattern)) if path.stat().st_size]
    if not modules:
        raise InputError(f"--module {', '.join(patterns)}: no such file below {ROOT}")
    drawn = list(_drawn(modules, each, random.Random(seed)))  # noqa: S311 - a draw that can be repeated, no secret
    say(f"{len(drawn)} faults in {len({module for module, _ in drawn})} modules")
    made = _plant(drawn, jobs)
    if out:
        out.write_text(json.dumps([asdict(one) for one in made], indent=2) + "\n")
    _show(made)
    counted = [one for one in made if one.verdict != "equivalent"]
    share = sum(one.verdict == "noticed" for one in counted) / max(1, len(counted))
    click.echo(f"{share:.1%} of {len(counted)} faults noticed")
    if share < least:
        raise CheckFailed(f"{share:.1%} of the planted faults were noticed, {least:.0%} are needed")


def _drawn(modules: Sequence[Path], each: int, rng: random.Random) -> Iterator[tuple[Path, Mutant]]:
    for module in modules:
        found = mutants(module.read_bytes())
        chosen = sorted(rng.sample(range(len(found)), min(each, len(found))))
        yield from ((module.relative_to(ROOT), found[i]) for i in chosen)


def _plant(drawn: Sequence[tuple[Path, Mutant]], jobs: int) -> list[Planted]:
    known = _equivalent()
    with tempfile.TemporaryDirectory(prefix="vitbench-mutation-") as folder:
        copies: SimpleQueue[Path] = SimpleQueue()
        for number in range(jobs):
            copy = Path(folder, str(number))
            shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(*_LEAVE_OUT))
            compileall.compile_dir(copy, quiet=2)  # so that each run compiles the module with the fault only
            copies.put(copy)
        modules = list(dict.fromkeys(module for module, _ in drawn))
        with ThreadPoolExecutor(jobs) as pool, bar("without a fault", len(modules)) as progress:

            def usual_s(module: Path) -> float:
                seconds = _usual_s(copies, module)
                progress(1)
                return seconds

            usual = dict(zip(modules, pool.map(usual_s, modules), strict=True))
        with ThreadPoolExecutor(jobs) as pool, bar("planting", len(drawn)) as progress:

            def judged(one: tuple[Path, Mutant]) -> Planted:
                module, mutant = one
                if known & {(str(module), mutant.what, ""), (str(module), mutant.what, mutant.code)}:
                    verdict = "equivalent"
                else:
                    copy = copies.get()
                    try:
                        verdict = _verdict(copy, module, mutant, _PATIENCE * usual[module] + 10)
                    finally:
                        copies.put(copy)
                if verdict == "missed":  # at once: half an hour is long
                    say(f"{module}:{mutant.line}: {mutant.what}")
                progress(1)
                return Planted(str(module), mutant.line, mutant.what, verdict)

            return list(pool.map(judged, drawn))


def _usual_s(copies: SimpleQueue[Path], module: Path) -> float:
    """Seconds of a module's tests without a fault. InputError when they fail: then they tell nothing."""
    copy = copies.get()
    began = time.monotonic()
    done = suite.run(copy, module)
    copies.put(copy)
    if done != 0:
        raise InputError(f"the tests of {module} fail without a fault: mend them first")
    return time.monotonic() - began


def _verdict(copy: Path, module: Path, mutant: Mutant, patience_s: float) -> str:
    target = copy / module
    original, times = target.read_bytes(), target.stat()
    target.write_bytes(mutant.source(original))
    try:
        return "missed" if suite.run(copy, module, patience_s) == 0 else "noticed"
    finally:
        target.write_bytes(original)
        os.utime(target, ns=(times.st_atime_ns, times.st_mtime_ns))  # what was compiled of it counts again


def _equivalent() -> set[tuple[str, str, str]]:
    """Module, fault and line of code of each; without a line it is every such fault of the module."""
    table = tomllib.loads(EQUIVALENT.read_text(encoding="utf-8"))
    return {(one["module"], one["what"], one.get("code", "")) for one in table.get("mutant", [])}


def _show(made: Sequence[Planted]) -> None:
    table = Table("module", "noticed", "missed", "equivalent")
    for module in dict.fromkeys(one.module for one in made):
        verdicts = [one.verdict for one in made if one.module == module]
        table.add_row(module, *(str(verdicts.count(kind)) for kind in ("noticed", "missed", "equivalent")))
    printer().print(table)


if __name__ == "__main__":
    main(prog_name="python -m scripts.mutation")
