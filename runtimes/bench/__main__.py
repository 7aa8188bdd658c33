"""`python -m runtimes.bench`: the bench, which has parity checked by the command that a user would give."""

from __future__ import annotations

import functools
import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from convert.common import commands
from convert.common.console import say
from convert.common.worker import die_with_parent
from runtimes.bench.command import command
from runtimes.bench.plan.matrix import Cell
from runtimes.bench.schedule import parity
from runtimes.records.blank import arguments


def prove(cells: Sequence[Cell], folder: Path) -> None:
    """Check the parity of cells of one model, precision and device by `python -m validate.parity` as a process.

    The command is told on standard error. Its standard output stays away: what it prints is no result of this command.
    """
    first, chosen = cells[0], parity.selection(cells)
    options: dict[str, Any] = {
        "model": first.argument,
        **first.chosen.arguments(),
        "artifacts": first.artifact.path.parents[1],
        "precision": first.precision,
        "batch": ",".join(map(str, first.options.batches)),
        "out": folder,
        **chosen.arguments(chosen.runtimes),
    }
    say(shlex.join([*commands.words("validate.parity"), *arguments(options)]))
    check = ["-m", commands.module("validate.parity"), *arguments(options)]
    dying = functools.partial(die_with_parent, os.getpid())
    subprocess.run([sys.executable, *check], stdout=subprocess.DEVNULL, preexec_fn=dying, check=False)


main = command(prove, "validate.parity.run")

if __name__ == "__main__":
    main(prog_name="python -m runtimes.bench")
