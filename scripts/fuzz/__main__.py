"""`make fuzz`: damaged and hostile inputs of every kind; each must be taken or refused in a line, within its budget.

Good inputs are made at the start and changed at random, by a seed that is printed. A process of its own looks at each,
and what came of it is counted: `ok`, `refused` (one line and exit status 2 or 1), and the faults: `traceback`, `crash`,
`hang` (over 5 s of the processor), `memory` (over 1 GB) and `believed` (a checksum tells that it was changed, and it
was taken for another value). An input that is a fault is kept. Exit status 1 when there was one.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from convert.common.worker import CrashError, JobError, Worker
from scripts.fuzz.worker import CRASH, FAULTS, HANG, OK, REFUSED, known

_WALL_S = 60.0  # a process that says nothing for so long hangs, however busy the machine is
_MOST_FAULTS = 10  # of one target: more of them say nothing new


@dataclass
class Found:
    """What came of a target's inputs. faults: by what they say, the first input of each."""

    counts: Counter[str] = field(default_factory=Counter)
    faults: dict[str, str] = field(default_factory=dict)


class Fuzzer:
    """Looks at the inputs of one target, in one process after the other. folder: for good and changed ones."""

    def __init__(self, target: str, folder: Path) -> None:
        self.work = folder / "work"
        self._payload = {"target": target, "good": str(folder / "good"), "work": str(self.work)}
        self._worker: Worker | None = None
        self.hostile: list[str] = []
        self.start()

    def start(self) -> None:
        self._worker = Worker("scripts.fuzz.worker:serve", self._payload, {"MALLOC_ARENA_MAX": "2"})
        try:
            self.hostile = self._worker.receive(600)["hostile"]
        except JobError as error:
            raise click.ClickException(f"{error}\n{error.log}") from None

    def look(self, name: str) -> tuple[str, str]:
        """What came of an input, and how."""
        worker = self._worker
        if worker is None:
            self.start()
            return self.look(name)
        worker.send(name)
        try:
            answer: dict[str, Any] = worker.receive(_WALL_S)
            return answer["said"], answer["found"]
        except CrashError as error:
            said, found = CRASH, f"{error}\n{error.log[-2000:]}"
        except JobError as error:
            said, found = (HANG if "took longer" in str(error) else CRASH), f"{error}\n{error.log[-2000:]}"
        self.close()
        return said, found

    def close(self) -> None:
        if self._worker:
            self._worker.close(kill=True)
        self._worker = None


def fuzz(target: str, seed: int, seconds: float, out: Path, most: int | None = None) -> Found:
    """Look at the hostile inputs of a target, then at changed ones until the time is up. most: inputs at most."""
    result = Found()
    with tempfile.TemporaryDirectory(prefix="vitbench-fuzz-") as folder:
        fuzzer = Fuzzer(target, Path(folder))
        try:
            end, number = time.monotonic() + seconds, 0
            names = list(fuzzer.hostile)
            while (names or time.monotonic() < end) and len(result.faults) < _MOST_FAULTS and number != most:
                name = names.pop(0) if names else f"{target}-{seed}-{number}"
                number += 1
                said, found = fuzzer.look(name)
                result.counts[said] += 1
                what = _what(said, found)
                if said in FAULTS and what not in result.faults:
                    kept = out / name.replace("/", "_")
                    shutil.rmtree(kept, ignore_errors=True)
                    shutil.copytree(fuzzer.work, kept, symlinks=True)
                    (kept / "fault.txt").write_text(found, encoding="utf-8", errors="backslashreplace")
                    result.faults[what] = f"{name} ({kept})"
        finally:
            fuzzer.close()
    return result


def _what(said: str, found: str) -> str:
    """A fault in a line, the same for the same place."""
    lines = [line.strip() for line in found.strip().splitlines()] or [""]
    if said == CRASH:
        return f"{said}: {lines[0]}"
    place = next((line for line in reversed(lines) if line.startswith("File ")), "")
    return f"{said}: {lines[-1][:200]} {place}"


@click.command()
@click.option("--seconds", default=900, show_default=True, help="For all targets together.")
@click.option("--target", "names", multiple=True, help="Only this one; repeatable.  [default: all]")
@click.option("--seed", default=0, show_default=True, help="Of the changes.")
@click.option("--most", type=int, help="Inputs of a target at most.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("fuzz-faults"),
    show_default=True,
    help="For what is a fault.",
)
def main(seconds: int, names: tuple[str, ...], seed: int, most: int | None, out: Path) -> None:
    """Change good inputs of every kind at random, and see what vitbench makes of them."""
    every = list(known())
    for name in names:
        if name not in every:
            raise click.UsageError(f"--target {name}: choose from {', '.join(every)}")
    chosen = list(names) or every
    click.echo(f"seed {seed}, {seconds} s over {', '.join(chosen)}")
    columns = ("inputs", OK, REFUSED, *FAULTS)
    click.echo(f"{'target':16}" + "".join(f"{name:>11}" for name in columns))
    faults: dict[str, str] = {}
    for name in chosen:
        found = fuzz(name, seed, seconds / len(chosen), out, most)
        row = (found.counts.total(), *(found.counts[one] for one in columns[1:]))
        click.echo(f"{name:16}" + "".join(f"{count:11}" for count in row))
        faults |= {f"{name}: {what}": where for what, where in found.faults.items()}
    for what, where in faults.items():
        click.echo(f"{what}\n    {where}", err=True)
    raise SystemExit(bool(faults))


if __name__ == "__main__":
    main()
