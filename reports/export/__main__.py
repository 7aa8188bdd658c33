"""`python -m reports.export RESULTS... --out FILE`: results as one file for others, without names and paths."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import click

from convert.common.boundary import BoundedCommand, in_words
from convert.common.console import say
from convert.common.disk.files import sha256_json, write_bytes
from convert.common.errors import InputError
from reports.export import anonymous
from reports.load import reading
from reports.load.reading import EXPORT_FORMAT, StoredRun
from runtimes.records.kinds import Accuracy
from runtimes.system.environment import label


@click.command(cls=BoundedCommand)
@click.argument("paths", metavar="RESULTS...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), help="The file to write, as run.vitbench.json.gz."
)
def main(paths: tuple[Path, ...], out: Path) -> None:
    """Write results as one file that others give to `python -m reports` or `reports.compare` beside their own.

    RESULTS are folders, or files that were exported before. Records, samples and the machine are in it; names of users
    and hosts, paths, the names of data sets and images, and the environment's variables are not. Read it before you
    publish it: `zcat FILE`.

    \b
    python -m reports.export results/<run> --out run.vitbench.json.gz
    """
    document = export([run for path in dict.fromkeys(paths) for run in reading.read(path)])
    if out.is_dir():
        raise InputError(f"--out {out}: a folder; name the file, as {out / 'run.vitbench.json.gz'}")
    try:
        write_bytes(out, pack(document))
    except OSError as error:
        raise InputError(f"--out {out}: cannot be written ({in_words(error)})") from None
    count = sum(len(run["records"]) for run in document["runs"])
    say(f"records: {count}, runs: {len(document['runs'])}")
    click.echo(out)


def export(stored: Sequence[StoredRun], names: Iterable[str] | None = None) -> dict[str, Any]:
    """Runs as the exported file holds them. names: what to replace wherever it stands; None: this machine's and its
    users'. All records are kept: what is stale or replaced is found again by whoever reads it."""
    known = anonymous.names_here() if names is None else names
    runs = [{"environment": one.environment, "records": [*map(reading.without_nulls, one.records)]} for one in stored]
    cleaner = anonymous.Cleaner.of(runs, known)
    datasets = _datasets(stored)
    exported = []
    for one in stored:
        records = [cleaner.record(record, datasets) for record in one.records]
        environment = cleaner.environment(one.environment)
        # A run's name may be anything. What it holds names it the same wherever it is exported again.
        name = f"{label(environment)}, {sha256_json({'records': records})[:8]}"
        machine = {"machine": one.machine} if one.machine else {}
        exported.append({"name": name, **machine, "environment": environment, "records": records})
    return {"vitbench_export": EXPORT_FORMAT, "runs": exported}


def _datasets(stored: Sequence[StoredRun]) -> dict[str, str]:
    """What stands for each data set's name: the hash of what it holds, by which others with the same set find it."""
    found: dict[str, str] = {}
    for record in (record for one in stored for record in one.records if isinstance(record, Accuracy)):
        if record.dataset is not None:
            known = (record.dataset_sha256 or "")[:8]
            found[record.dataset] = f"data set {known}" if known else found.get(record.dataset, "")
    unnamed = [name for name, text in found.items() if not text]
    return found | {name: f"data set {place}" for place, name in enumerate(unnamed, start=1)}


def pack(document: dict[str, Any]) -> bytes:
    """The same bytes for the same document: neither the time nor a name is in the gzip header."""
    text = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return gzip.compress(text.encode("utf-8", "backslashreplace"), compresslevel=9, mtime=0)


if __name__ == "__main__":
    main(prog_name="python -m reports.export")
