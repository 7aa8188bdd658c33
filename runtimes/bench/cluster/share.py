"""On a node: what it could measure of a plan, and the measuring of its share, by the code of a local run.

Its results folder stays on the node for a while, so that a share that was broken off goes on
where it was: a node that comes back has lost the visit that it was in.
"""

from __future__ import annotations

import importlib
import io
import queue
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import redirect_stderr, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import platformdirs
from rich.console import Console

from convert import artifact as artifacts
from convert import manifest as manifests
from convert.artifact import Artifact
from convert.common import commands, typed
from convert.common.disk import json_lines
from convert.common.disk.files import sha256_json
from convert.common.errors import InputError
from runtimes.bench.ceiling import kept as ceiling
from runtimes.bench.plan import estimate, overview
from runtimes.bench.plan.matrix import Cell, cells, key
from runtimes.bench.plan.settings import Matrix, Policy
from runtimes.bench.schedule import run
from runtimes.bench.schedule.display import Display
from runtimes.options import listed
from runtimes.records import store
from runtimes.system import environment

OFFER, CARRY_OUT = (f"runtimes.bench.cluster.share:{name}" for name in ("offer", "carry_out"))
_KEPT_S = 7 * 24 * 3600.0  # for a driver that was broken off to go on


@dataclass(frozen=True)
class SentArtifact:
    """An artifact as a node is told of it. matrix: the place of the matrix that wants it, in precision; argument: its
    name there. folder: on the node, or where it will be; manifest: its own, while it has not been sent."""

    matrix: int
    precision: str
    argument: str
    folder: str
    manifest: Mapping[str, Any] | None = None

    def open(self) -> Artifact:
        folder = Path(self.folder)
        return (
            artifacts.load(folder) if self.manifest is None else Artifact(folder, manifests.from_table(self.manifest))
        )


@dataclass(frozen=True)
class ShareAsked:
    """What a node is asked about. matrices: as `Matrix.checked` reads them. run: of the results folder that it is for,
    with the number of times that it was begun anew."""

    matrices: tuple[Mapping[str, Any], ...]
    artifacts: tuple[SentArtifact, ...]
    effort: Policy
    seed: int
    run: str

    def cells(self, left_out: list[str] | None = None) -> tuple[Cell, ...]:
        """The cells that this machine can try. left_out: gets why others are none here, in sentences."""
        found: list[Matrix] = []
        for number, table in enumerate(self.matrices):
            # Two may differ in their folder of artifacts alone: here that is their place among the others.
            placed = Matrix.checked({**table, "artifacts": str(number)})
            found += _narrowed(placed, left_out if left_out is not None else [])

        def sent(matrix: Matrix, precision: str) -> dict[str, Artifact]:
            wanted = (matrix.artifacts, precision)
            return {one.argument: one.open() for one in self.artifacts if (str(one.matrix), one.precision) == wanted}

        try:
            return cells(found, obtain=sent) if found else ()
        except InputError as error:
            (left_out if left_out is not None else []).append(error.message)
            return ()


def _narrowed(matrix: Matrix, left_out: list[str]) -> Iterator[Matrix]:
    """A matrix, for each device, with the runtimes that this machine has. left_out: gets why it has others not."""
    for device in matrix.device:
        whole = _with(matrix, device=[device])
        if (reason := _lacking(whole)) is None:
            yield whole
        elif matrix.runtime is None:
            left_out.append(reason)
        else:
            kept: list[str] = []
            for name in listed(",".join(matrix.runtime)):
                alone = _with(whole, runtime=[name], option=_of(whole, [name]))
                reason = _lacking(alone)
                kept += [] if reason else [name]
                left_out += [reason] if reason else []
            if kept:
                yield _with(whole, runtime=kept, option=_of(whole, kept))


def _with(matrix: Matrix, **changes: Any) -> Matrix:
    return Matrix.checked(typed.table(matrix) | changes)


def _of(matrix: Matrix, names: Sequence[str]) -> list[str]:
    """The settings of some runtimes."""
    return [pair for pair in matrix.option if pair.partition(".")[0] in names]


def _lacking(matrix: Matrix) -> str | None:
    """What of a matrix this machine has not, in a sentence; None where it has all."""
    try:
        _ = matrix.selections
        return None
    except InputError as error:
        return error.message


@dataclass(frozen=True)
class CellOffer:
    """A cell as a node could measure it.

    place: equal for the cell of equal machines; key: of its record. rivals: equal for cells that are measured in turn.
    row: `overview.cell_table`. seconds, memory_bytes: as estimated. refused: why it does not fit, None where it does.
    held: whether the node has measured it already in this run, which the driver may not know. version: of its runtime.
    """

    place: str
    key: str
    name: str
    rivals: str
    artifact: str
    row: Mapping[str, Any]
    seconds: float
    memory_bytes: int
    refused: str | None = None
    held: bool = False
    version: str | None = None


@dataclass(frozen=True)
class Offer:
    """What a node could measure. left_out: what it could not, in sentences."""

    cells: tuple[CellOffer, ...] = ()
    left_out: tuple[str, ...] = ()


def offer(payload: Mapping[str, Any]) -> dict[str, Any]:
    """The `Offer` of this machine for an `ShareAsked`."""
    asked, left_out = typed.read(ShareAsked, payload), list[str]()
    found = asked.cells(left_out)
    machine = environment.setting_key(environment.describe())
    plan = estimate.plan(found, asked.effort, machine, folder_of(asked.run), asked.seed)
    held = store.measured(store.known(folder_of(asked.run)))
    costs = {key(cell, machine): cost for cell, cost in zip(plan.cells, plan.estimate.costs, strict=True)}
    reasons = {key(cell, machine): reason for cell, reason in plan.refused}
    offers = []
    for cell in found:
        name, row = key(cell, machine), overview.cell_table(cell)
        cost = costs.get(name)
        place = sha256_json(row)
        rivals = [row["model"], row["batch"], row["device"]] if cell.mode == "latency" else [place]
        offers.append(
            CellOffer(
                place,
                name,
                cell.name,
                sha256_json(rivals),
                cell.artifact.sha256,
                row,
                cost.seconds if cost else 0.0,
                cost.memory_bytes if cost else 0,
                reasons.get(name),
                name in held,
                cell.runtime.version(),
            )
        )
    answer: dict[str, Any] = typed.table(Offer(tuple(offers), tuple(dict.fromkeys(left_out))))
    return answer


@dataclass(frozen=True)
class Share:
    """What a node is to measure. keys: of the cells. prover: the module whose `prove` checks parity. again: keys of
    those of which a number that it has does not count."""

    asked: ShareAsked
    keys: tuple[str, ...]
    prover: str
    again: tuple[str, ...] = ()


def carry_out(payload: Mapping[str, Any], messages: Iterator[Any]) -> Iterator[dict[str, Any]]:
    """Measure a `Share`. Yields the `environment`, each record that the node's results folder has or gets as `record`,
    and what a local run would print as `said`."""
    share = typed.read(Share, payload)
    said: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def work() -> None:
        try:
            _measure(share, said.put)
            said.put(None)
        except BaseException as error:
            said.put(error)

    # What is said while a visit is measured is told at once: the generator waits for it, and the work goes on.
    threading.Thread(target=work, daemon=True).start()
    while (one := said.get()) is not None:
        if isinstance(one, BaseException):
            raise one
        yield one


def _measure(share: Share, tell: Callable[[dict[str, Any]], None]) -> None:
    asked = share.asked
    folder, described = folder_of(asked.run), environment.describe()
    machine = environment.setting_key(described)
    tell({"environment": described | {"ceiling": typed.table(ceiling.known())}})
    with redirect_stderr(_Lines(tell)), store.alone(folder):
        _forget_others(asked.run)
        own = {name: cell for cell in asked.cells() if (name := key(cell, machine)) in share.keys}
        tail = _Tail(folder, tell, set(own), {cell.artifact.sha256 for cell in own.values()})
        tail.follow()
        held = store.measured(store.known(folder))
        chosen = [cell for name, cell in own.items() if name not in held or name in share.again]
        plan = estimate.plan(chosen, asked.effort, machine, folder, asked.seed)
        prove = importlib.import_module(commands.module(share.prover)).prove
        display = Display(plan, machine, Console(stderr=True, width=1000))
        for _ in run.run(plan, folder, True, display, prove, again=share.again) if chosen else ():
            tail.follow()
        tail.follow()


@dataclass
class _Tail:
    """Tells of each line that a results folder gets, but for cells that another node was asked for this time, and for
    parity of artifacts that are in none of ours: the driver has it from before, or from another node."""

    folder: Path
    tell: Callable[[dict[str, Any]], None]
    keys: set[str]
    artifacts: set[str]
    told: int = 0

    def follow(self) -> None:
        lines = json_lines.read(self.folder / store.RESULTS)
        for line in lines[self.told :]:
            if line["key"] in self.keys if line.get("key") else line.get("artifact") in self.artifacts:
                self.tell({"record": line})
        self.told = len(lines)


class _Lines(io.TextIOBase):
    """Standard error, whose lines are told."""

    def __init__(self, tell: Callable[[dict[str, Any]], None]) -> None:
        self._tell, self._begun = tell, ""

    def write(self, text: str) -> int:
        *lines, self._begun = (self._begun + text).split("\n")
        for line in filter(None, lines):
            self._tell({"said": line})
        return len(text)


def runs() -> Path:
    """Where a node keeps what it has measured, for a driver that goes on."""
    return platformdirs.user_cache_path("vitbench") / "cluster" / "runs"


def folder_of(name: str) -> Path:
    """The results folder of a run on this node."""
    return runs() / name


def _forget_others(name: str) -> None:
    """Remove what an earlier beginning of the same run has left here, and what nobody has come back for."""
    for other in runs().glob("*.*"):
        with suppress(OSError):
            old = time.time() - other.stat().st_mtime > _KEPT_S
            if other.name != name and (old or other.stem == name.rpartition(".")[0]):
                shutil.rmtree(other, ignore_errors=True)


def sent(matrices: Sequence[Matrix]) -> tuple[Mapping[str, Any], ...]:
    return tuple(typed.table(matrix) for matrix in matrices)
