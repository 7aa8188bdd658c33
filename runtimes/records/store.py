"""The results folder: `results.jsonl`, one record a line, appended and never rewritten."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import click

from convert.common.boundary import how_to_go_on
from convert.common.disk import json_lines as lines
from convert.common.disk import lock, scratch
from convert.common.disk.files import write_text
from convert.common.errors import InputError, shown, without_passwords
from runtimes.records import reading
from runtimes.records.kinds import Record, TimedRecord

RESULTS = "results.jsonl"
ENVIRONMENT = "environment.json"
_ENVIRONMENTS = "environments"  # of a folder that several machines wrote into: a file for each
_ROOT = Path("results")  # of the runs that nobody named


def new_run(root: Path = _ROOT) -> Path:
    """The path of a new results folder, named by the time (UTC). It is made when the first record is written."""
    return root / time.strftime("%Y%m%d-%H%M%S", time.gmtime())


def newest_run(root: Path = _ROOT) -> Path:
    """The results folder written last. InputError when there is none."""
    runs = sorted(root.glob(f"*/{RESULTS}"), key=lambda file: file.stat().st_mtime)
    if not runs:
        raise InputError(f"{root}: no results yet; make some with `make bench`")
    return runs[-1].parent


def done(records: Iterable[Record], keys: Collection[str]) -> dict[str, TimedRecord]:
    """The cells that `--resume` leaves as they are, by their keys, with their newest record: those that have a number.

    Where every cell was tried, so that nothing is left to go on with, a number that was disturbed does not count.
    """
    newest = {one.key: one for one in records if isinstance(one, TimedRecord) and one.key in keys and one.key}
    numbers = {key: record for key, record in newest.items() if record.measured}
    if len(newest) < len(set(keys)):
        return numbers
    return {key: record for key, record in numbers.items() if not record.disturbed}


def measured(records: Iterable[Record]) -> dict[str, TimedRecord]:
    """The newest record with numbers of each key."""
    return {one.key: one for one in records if isinstance(one, TimedRecord) and one.key and one.measured}


def environment_of(folder: Path, machine: str | None) -> Path:
    """Where a results folder says what machine its records are of. machine: as they name it; None where they do not."""
    return folder / ENVIRONMENT if machine is None else folder / _ENVIRONMENTS / f"{machine}.json"


def alone(folder: Path) -> AbstractContextManager[bool]:
    """For a command that writes records: nobody else writes into the folder meanwhile, but for its own children.

    InputError, which says who, when somebody does. Reading needs no leave.
    """
    scratch.sweep_below(folder.parent if folder.parent == _ROOT else folder)
    return lock.alone(folder / ".lock", str(folder))


def refuse_unfinished(folder: Path, what: str, resume: bool, fresh: bool) -> None:
    """InputError where a run of a command did not come to its end, and the user does not say what to do about it."""
    if resume and fresh:
        raise InputError("--resume beside --fresh: go on with what is there, or start again?")
    mark = _unfinished(folder, what)
    if mark.exists() and not (resume or fresh):
        said = shown(mark.read_text(encoding="utf-8", errors="replace"))
        raise InputError(
            f"{folder} holds an unfinished run: --resume goes on with it, --fresh starts again"
            f" (make: RESUME=1 or FRESH=1){said and f'; {said}'}"
        )


@contextmanager
def until_finished(folder: Path, what: str) -> Iterator[None]:
    """While a run of a command is under way its folder says so, and by which command one goes on; it still does where
    the run came to no end but left something to go on from."""
    mark = _unfinished(folder, what)
    folder.mkdir(parents=True, exist_ok=True)
    context = click.get_current_context(silent=True)  # none where Python calls
    write_text(mark, without_passwords(how_to_go_on(context)) if context else "")
    try:
        yield
    except BaseException:
        if all(file.name.startswith(".") for file in folder.iterdir()):
            mark.unlink(missing_ok=True)
        raise
    mark.unlink(missing_ok=True)


def _unfinished(folder: Path, what: str) -> Path:
    return folder / f".{what}-unfinished"


def append(folder: Path, record: Record) -> None:
    """Append one record. The line reaches the disk in one write, so that a kill leaves it whole or absent."""
    lines.append(folder / RESULTS, reading.to_table(record))


def read(folder: Path) -> list[Record]:
    """All records, oldest first. A cut last line is left out; any other damage, and a record of a newer format, is an
    InputError that names the line."""
    file = folder / RESULTS
    try:
        texts = file.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{folder}: no results folder ({error})") from None
    found = []
    for number, line in enumerate(texts, start=1):
        table = lines.parse(line)
        if table is not None:
            try:
                found.append(reading.from_table(table))
            except ValueError as error:
                hint = "" if reading.newer_format(table) else "; remove that line to use the rest"
                raise InputError(f"{file}, line {number}: {error}{hint}") from None
        elif line.strip() and number < len(texts):  # the last one has no line end: a crash cut it
            raise InputError(
                f"{file}, line {number}: damaged, or altered since it was written; remove that line to use the rest"
            )
    return found


def known(folder: Path) -> list[Record]:
    """`read`, and none where the folder has none yet."""
    return read(folder) if (folder / RESULTS).exists() else []
