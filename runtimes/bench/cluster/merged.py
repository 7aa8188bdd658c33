"""The results folder of several machines: the records of each, once, and what each of them is.

A record says by `machine` which one made it; environments/<machine>.json is what environment.json is where one machine
measured.
"""

from __future__ import annotations

import shlex
import threading
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from convert.artifact import root_option
from convert.common.disk import json_lines
from convert.common.disk.files import sha256_json, write_json
from convert.common.errors import InputError
from runtimes.records import reading, store
from runtimes.records.kinds import Parity, Record, TimedRecord

RUN = ".cluster.json"  # in the results folder: which run it is to the nodes, and how often it was begun anew


class MergedFolder:
    """Where records of several machines go; used by several threads."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._lock = folder, threading.Lock()
        self.known = store.known(folder)
        self._seen = {_digest(record) for record in self.known}

    def of(self, machine: str) -> list[Record]:
        """The records of a machine, those without one aside."""
        return [record for record in self.known if record.machine == machine]

    def add(self, machine: str, table: Mapping[str, Any], roots: Mapping[str, str]) -> Record | None:
        """Append a record of a machine; None where it is there already, because its answer was lost before.

        roots: folder of artifacts on the node -> ours, for the record's command. InputError for what is no record.
        """
        try:
            record = reading.from_table(table)
        except ValueError as error:
            raise InputError(f"a node sent what is no record: {error}") from None
        record = replace(record, machine=machine, command=_here(record.command, roots))
        if isinstance(record, Parity):  # what failed is kept on the node for as long as the run takes
            record = replace(record, failure_folder=None)
        with self._lock:
            if _digest(record) in self._seen:
                return None
            store.append(self.folder, record)
            self._seen.add(_digest(record))
            self.known.append(record)
        return record

    def describe(self, machine: str, described: Mapping[str, Any], price: float | None) -> None:
        """Write what a machine is, unless it is there: it tells of the run's beginning. price: euros per hour, the
        newest that was given. InputError for a file that is there and damaged."""
        file = store.environment_of(self.folder, machine)
        with self._lock:
            asked = {} if price is None else {"price_per_hour": price}
            if not file.exists():
                write_json(file, {**described, **asked})
            elif asked and (known := _table(file)).get("price_per_hour") != price:
                write_json(file, {**known, **asked})

    def run(self, anew: bool) -> str:
        """The name of this folder's run on the nodes. anew: whether what they have of it counts no more."""
        file = self.folder / RUN
        try:
            said = json_lines.loads(file.read_text(encoding="utf-8"))
            name, count = str(said["run"]), int(said["begun"]) + anew
        except (OSError, ValueError, KeyError, TypeError):
            name, count = uuid.uuid4().hex[:12], 0
        write_json(file, {"run": name, "begun": count})
        return f"{name}.{count}"


def tried(records: Iterable[Record]) -> set[str]:
    """The keys of the cells that have a record."""
    return {record.key for record in records if isinstance(record, TimedRecord) and record.key}


def _table(file: Path) -> dict[str, Any]:
    try:
        return dict(json_lines.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise InputError(f"{file}: damaged ({error}); remove it to report without it") from None


def _digest(record: Record) -> str:
    """Equal for the same record, told twice. Its command has folders of the node, which are others next time."""
    return sha256_json({**reading.to_table(record), "command": None})


def _here(command: str, roots: Mapping[str, str]) -> str:
    """A command whose folder of artifacts is ours."""
    words = shlex.split(command)
    for place in [place for place, word in enumerate(words) if word == "--artifacts" and place + 1 < len(words)][::-1]:
        if words[place + 1] in roots:
            ours = root_option(Path(roots[words[place + 1]]))
            words[place : place + 2] = [] if ours is None else ["--artifacts", ours]
    return shlex.join(words)
