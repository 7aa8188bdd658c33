"""Do runs of the same cell agree, and is a model that is 5 % slower found?

    python scripts/repeatability.py --runtime openvino --runs 10

Measures one cell (a ViT-Ti/16 with 20 blocks, batch 1) again and again with `python -m runtimes.bench`, each run in a
folder of its own, and then a model of the same name with 21 blocks, so 5 % more work. Prints how many of the 95 %
intervals cover the common median (at least nine of ten should), and what `reports.compare` says of pairs of equal
runs and of equal against slower ones. Exit status 1 when less is covered, equal runs differ, or the slower is missed.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from convert import cli
from convert.errors import CheckFailed
from convert.progress import bar

SPEC = """
name = "vit_twenty_blocks"
img_size = 224
patch_size = 16
class_num = 1000
embed_dim = 192
depth = {depth}
num_heads = 3
mlp_ratio = 4
qkv_bias = true
epsilon = 1e-6
[preprocessing]
resize_short = 256
crop = 224
interpolation = "bilinear"
mean = [0.5, 0.5, 0.5]
std = [0.5, 0.5, 0.5]
"""
DEPTH, SLOWER = 20, 21
COVERED = 0.9


def measure(folder: Path, depth: int, run: str, words: tuple[str, ...]) -> dict[str, Any]:
    """The record of one run."""
    spec = folder / f"depth-{depth}" / "model.toml"
    spec.parent.mkdir(exist_ok=True)
    spec.write_text(SPEC.format(depth=depth), encoding="utf-8")
    command = [
        *(sys.executable, "-m", "runtimes.bench", "--model", str(spec), "--weights", "seeded", "--json"),
        *("--artifacts", str(spec.parent / "artifacts"), "--out", str(folder / run), "--batch", "1", *words),
    ]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        raise CheckFailed(f"{run}: {result.stderr.strip().splitlines()[-1]}")
    (record,) = json.loads(result.stdout)["records"]
    return dict(record)


def verdict(base: Path, new: Path) -> tuple[str, int]:
    """What `reports.compare` says of the one cell, and its exit status."""
    command = [sys.executable, "-m", "reports.compare", str(base), str(new), "--fail", "median:5%", "--json"]
    result = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    found = [cell for cell in json.loads(result.stdout)["cells"] if cell["kind"] == "latency"]
    return ", ".join(cell["verdict"] for cell in found), result.returncode


@click.command()
@click.option("--runtime", default="openvino", show_default=True)
@click.option("--runs", default=10, show_default=True)
@click.option("--slower", default=3, show_default=True, help="Runs of the model with 5 % more work.")
@click.option("--keep", type=click.Path(path_type=Path), help="Folder for the runs. [default: a temporary one]")
@click.argument("words", nargs=-1)
def main(runtime: str, runs: int, slower: int, keep: Path | None, words: tuple[str, ...]) -> None:
    """Repeat one cell, and hold runs against each other. WORDS after -- go to runtimes.bench."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        _report(folder, runs, slower, ("--runtime", runtime, *words))


def _report(folder: Path, runs: int, slower: int, words: tuple[str, ...]) -> None:
    equal, slow = [f"equal-{i}" for i in range(runs)], [f"slower-{i}" for i in range(slower)]
    with bar("runs", runs + slower) as advance:
        records = []
        for name in [*equal, *slow]:
            records.append(measure(folder, DEPTH if name in equal else SLOWER, name, words))
            advance(1)
    common = statistics.median(record["median_ms"] for record in records[:runs])
    table = Table("run", "median, ms", "95 % interval", "covers", "processes", "status")
    covered = 0
    for name, record in zip([*equal, *slow], records, strict=True):
        low, high = record["ci95_ms"]
        inside = low <= common <= high
        covered += inside and name in equal
        interval, count = f"{low:.2f} to {high:.2f}", str(len(record["processes"]))
        table.add_row(name, f"{record['median_ms']:.2f}", interval, str(inside), count, record["status"])
    cli.console(stderr=False).print(table)
    pairs = [(equal[i], equal[i + 1]) for i in range(0, runs - 1)]
    same = [verdict(folder / a, folder / b) for a, b in pairs]
    found = [verdict(folder / equal[i % runs], folder / name) for i, name in enumerate(slow)]
    click.echo(f"{covered} of {runs} intervals cover the common median {common:.2f} ms")
    click.echo(f"neighbouring equal runs: {', '.join(f'{text} (exit {status})' for text, status in same)}")
    click.echo(f"5 % slower: {', '.join(f'{text} (exit {status})' for text, status in found)}")
    wrong = [text for text, status in same if status] + [text for text, status in found if status != 1]
    if covered < COVERED * runs or wrong:
        raise CheckFailed("intervals cover too little, or a comparison is wrong")


if __name__ == "__main__":
    main()
