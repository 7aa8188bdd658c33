"""A plan over the nodes of a cluster: what is asked of each, what each could do, and who measures what."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.table import Table

from convert.artifact import Artifact
from convert.build import Request
from convert.cli import estimated_bytes
from convert.common import typed
from convert.common.console import plain
from convert.common.errors import InputError, listing
from convert.common.worker import JobError
from convert.manifest import to_table
from runtimes import registry
from runtimes.bench.cluster import assign, share
from runtimes.bench.cluster.assign import Errand
from runtimes.bench.cluster.merged import MergedFolder
from runtimes.bench.cluster.share import CellOffer, Offer, SentArtifact, ShareAsked
from runtimes.bench.describe import duration
from runtimes.bench.plan import matrix as plan_matrix
from runtimes.bench.plan.plan_file import Price
from runtimes.bench.plan.settings import Matrix, Policy
from runtimes.cluster.node import ClusterNode, usual_version
from runtimes.cluster.places import NodeLostError, Place, Reserved, at_once
from runtimes.options import listed
from runtimes.records import store


@dataclass(frozen=True)
class ClusterPlan:
    """Who measures what.

    given: Ray's id of a node -> its errands. kinds: machine (`ClusterNode.key`) -> its equal nodes. stored: keys of
    the cells that have their record already. impossible: what no machine can measure and why, in sentences. left_out:
    nodes that do not take part. unconverted: artifacts that have to be made first, whose cells are not known yet.
    """

    given: Mapping[str, Sequence[Errand]]
    kinds: Mapping[str, Sequence[ClusterNode]]
    effort: Policy
    seed: int
    stored: tuple[str, ...] = ()
    impossible: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    unconverted: tuple[Request, ...] = ()

    def cells(self) -> list[tuple[ClusterNode, CellOffer]]:
        """Every cell that is going to be measured, with its node."""
        nodes = {node.node: node for kind in self.kinds.values() for node in kind}
        return [
            (nodes[name], cell) for name, errands in self.given.items() for one in errands for cell in one.offers[name]
        ]


@dataclass(frozen=True)
class Wanted:
    """What is asked for. artifacts: those of each matrix, by its place, precision and the user's name for them."""

    matrices: Sequence[Matrix]
    effort: Policy
    seed: int
    artifacts: Mapping[tuple[int, str, str], Artifact]

    def asked(self, node: ClusterNode, run: str, folders: Mapping[str, str] | None = None) -> ShareAsked:
        """What a node is asked about. run: the results folder's name on the nodes. folders: of artifacts there, by
        their sha256; without them it gets their manifests."""
        own = [place for place, matrix in enumerate(self.matrices) if assign.fits(matrix.where, node)]
        sent = []
        for (place, precision, argument), artifact in self.artifacts.items():
            if place not in own:
                continue
            if folders is None:
                folder, manifest = str(artifact.path.absolute()), to_table(artifact.manifest)
                sent.append(SentArtifact(own.index(place), precision, argument, folder, manifest))
            elif artifact.sha256 in folders:
                sent.append(SentArtifact(own.index(place), precision, argument, folders[artifact.sha256]))
        matrices = share.sent([as_of_a_node(self.matrices[place]) for place in own])
        name, _, begun = run.partition(".")
        return ShareAsked(matrices, tuple(sent), self.effort, self.seed, f"{name}-{node.host}.{begun}")


def as_of_a_node(matrix: Matrix) -> Matrix:
    """A matrix as one of the machines that it is for has it, where folders of ours mean nothing."""
    return Matrix.checked(typed.table(matrix) | {"where": None, "cache": None, "artifacts": None})


def obtained(
    matrices: Sequence[Matrix], nodes: Sequence[ClusterNode], missing: list[Request] | None, unmade: list[str]
) -> dict[tuple[int, str, str], Artifact]:
    """The artifacts that some node can use, converted here where they are not yet. missing, unmade: as in
    `matrix.cells`."""
    found: dict[tuple[int, str, str], Artifact] = {}
    for place, matrix in enumerate(matrices):
        able = [node for node in nodes if assign.fits(matrix.where, node)]
        for precision in matrix.precision:
            if any(_may_have(node, matrix, precision) for node in able):
                made = plan_matrix.artifacts(matrix, precision, missing, unmade)
                found |= {(place, precision, argument): artifact for argument, artifact in made.items()}
    return found


def _may_have(node: ClusterNode, matrix: Matrix, precision: str) -> bool:
    """Whether a node may run a precision; a runtime that is there only with its settings is asked later."""
    names = node.available if matrix.runtime is None else listed(",".join(matrix.runtime))
    return any(precision in state["precisions"] for name in names if (state := node.runtimes.get(name)))


def check_names(matrices: Sequence[Matrix]) -> None:
    """InputError for a runtime that there is nowhere."""
    for matrix in matrices:
        for name in listed(",".join(matrix.runtime or ())):
            registry.get(name)


def make(
    wanted: Wanted, found: Reserved, merged: MergedFolder, run: str, resume: bool, missing: Sequence[Request] = ()
) -> ClusterPlan:
    """Ask the nodes what they could do, and say who does it. InputError where no machine can do anything of it."""
    places = {place.node.node: place for place in found.places}
    left_out, offers = list(found.left_out), dict[str, Offer]()
    answers = at_once(found.places, lambda place: _offer(place, wanted, run))
    for (name, place), answer in zip(places.items(), answers, strict=True):
        if isinstance(answer, str):
            left_out.append(f"{place.node.name} is left out: {answer}")
        else:
            offers[name] = answer
    kinds: dict[str, list[ClusterNode]] = {}
    for name in offers:
        kinds.setdefault(places[name].node.key, []).append(places[name].node)
    given: dict[str, list[Errand]] = {}
    stored: list[str] = []
    for machine, nodes in kinds.items():
        of_kind, others = of_one_version({node: offers[node.node] for node in nodes})
        left_out += others
        if resume:
            of_kind, done = _without_done(of_kind, merged, machine)
            stored += done
        given |= assign.assign(assign.errands(of_kind), list(of_kind))[0]
    asked = {places[name].node: offer for name, offer in offers.items()}
    impossible = _impossible(wanted.matrices, asked, bool(missing))
    if not any(offer.cells for offer in offers.values()) and not missing:
        raise InputError(f"no machine of the cluster can measure anything of it: {listing([*impossible, *left_out])}")
    return ClusterPlan(
        given, kinds, wanted.effort, wanted.seed, tuple(stored), tuple(impossible), tuple(left_out), tuple(missing)
    )


def _offer(place: Place, wanted: Wanted, run: str) -> Offer | str:
    try:
        asked = wanted.asked(place.node, run)
        return typed.read(Offer, place.call(share.OFFER, typed.table(asked)))
    except (NodeLostError, JobError, ValueError) as error:
        return str(error)
    except InputError as error:
        return error.message


def of_one_version(kind: Mapping[ClusterNode, Offer]) -> tuple[dict[str, Offer], list[str]]:
    """The offers of equal nodes by Ray's id of them, each runtime in the version that most of the nodes have, and who
    is left out of which, in sentences: their records are one machine's, and numbers of two versions are not."""
    versions: dict[str, list[str | None]] = {}
    for offer in kind.values():
        for runtime, version in {cell.row["runtime"]: cell.version for cell in offer.cells}.items():
            versions.setdefault(runtime, []).append(version)
    usual = {runtime: usual_version(runtime, those) for runtime, those in versions.items()}
    others = {
        f"{node.name} is left out of {cell.row['runtime']}: it has {cell.version} of it, and its equals have"
        f" {usual[cell.row['runtime']]}": None
        for node, offer in kind.items()
        for cell in offer.cells
        if cell.version != usual[cell.row["runtime"]]
    }
    kept = {
        node.node: replace(
            offer, cells=tuple(cell for cell in offer.cells if cell.version == usual[cell.row["runtime"]])
        )
        for node, offer in kind.items()
    }
    return kept, list(others)


def _without_done(
    of_kind: Mapping[str, Offer], merged: MergedFolder, machine: str
) -> tuple[dict[str, Offer], list[str]]:
    """What is left of the offers of equal nodes, and the keys of the cells that are done, by whichever node."""
    cells = [cell for offer in of_kind.values() for cell in offer.cells]
    done = store.done(merged.of(machine), {cell.key for cell in cells})
    finished = {cell.place for cell in cells if cell.key in done}
    left = {
        name: replace(offer, cells=tuple(cell for cell in offer.cells if cell.place not in finished))
        for name, offer in of_kind.items()
    }
    return left, list(done)


def _impossible(matrices: Sequence[Matrix], offers: Mapping[ClusterNode, Offer], unconverted: bool) -> list[str]:
    """What was asked for and is on no machine, and why. unconverted: whether there are cells that are not known yet,
    which a machine that has the runtime may measure."""
    lines = []
    for matrix in matrices:
        able = {node: offer for node, offer in offers.items() if assign.fits(matrix.where, node)}
        if not able:
            lines.append(f"where = {matrix.where!r}: no machine of the cluster is one of these")
        for name in listed(",".join(matrix.runtime or ())):
            rows = [cell.row["runtime"] for offer in able.values() for cell in offer.cells]
            possible = unconverted and any(node.why_not(name) is None for node in able)
            if able and name not in rows and not possible:
                reasons = [
                    f"{node.name}: {node.why_not(name) or next(iter(offer.left_out), 'it has none of these cells')}"
                    for node, offer in able.items()
                ]
                lines.append(f"no machine can measure {name}: {listing(reasons)}")
    return list(dict.fromkeys(lines))


def price_of(node: ClusterNode, prices: Sequence[Price]) -> float | None:
    """What a node costs, in euros per hour: what the first table says that means it."""
    return next((price.per_hour for price in prices if assign.fits(price.where, node)), None)


def table(plan: ClusterPlan) -> Table:
    """A row for each node, model, runtime and so on, with the batches that it has."""
    shown = Table("machine", "model", "runtime", "precision", "device", "threads", "mode", "batch", "time")
    rows: dict[tuple[str, ...], list[CellOffer]] = {}
    for node, cell in plan.cells():
        row = cell.row
        what = (row["model"], row["runtime"], row["precision"], row["device"], str(row["threads"]), row["mode"])
        rows.setdefault((node.name, *what), []).append(cell)
    for row_name, cells in rows.items():
        batches = ", ".join(str(cell.row["batch"]) for cell in cells)
        shown.add_row(*map(plain, row_name), batches, duration(sum(cell.seconds for cell in cells)))
    return shown


def lines(plan: ClusterPlan, say_name: Callable[[ClusterNode], str] = lambda node: node.name) -> list[str]:
    """What stands under the table."""
    cells = plan.cells()
    longest = max((sum(one.seconds for one in errands) for errands in plan.given.values()), default=0.0)
    found = [
        f"{len(cells)} cell{'s' * (len(cells) != 1)} on {sum(map(bool, plan.given.values()))} of"
        f" {len(plan.given)} machines: about {duration(longest)}, and what parity takes"
    ]
    found += [f"{len(plan.stored)} cells are stored already"] if plan.stored else []
    found += [
        f"equal machines, which share their cells: {listing(say_name(node) for node in nodes)}"
        for nodes in plan.kinds.values()
        if len(nodes) > 1
    ]
    found += [
        f"{say_name(node)} runs what it measures with low priority (nice {node.nice}): start it with"
        " RAY_worker_niceness=0, or whatever else runs there goes first"
        for nodes in plan.kinds.values()
        for node in nodes
        if node.nice > 0
    ]
    found += [f"refused: {cell.name} on {say_name(node)}: {cell.refused}" for node, cell in cells if cell.refused]
    found += [f"left out: {why}" for why in plan.impossible]
    found += [
        f"not converted yet: {one.model} {one.precision}, which will take about {estimated_bytes(one)} bytes; its cells"
        " are not known yet"
        for one in plan.unconverted
    ]
    return [*found, *plan.left_out]


def as_dict(plan: ClusterPlan) -> dict[str, Any]:
    """The plan for programs: JSON's types only."""
    return {
        "cells": [{**cell.row, "machine": node.key, "node": node.node, "key": cell.key} for node, cell in plan.cells()],
        "machines": {key: [node.node for node in nodes] for key, nodes in plan.kinds.items()},
        "effort": typed.table(plan.effort),
        "stored": list(plan.stored),
        "left_out": [*plan.impossible, *plan.left_out],
        "seed": plan.seed,
        "unconverted": [
            {"model": one.model, "precision": one.precision, "bytes": estimated_bytes(one)} for one in plan.unconverted
        ],
    }


def roots_of(wanted: Wanted, folders: Mapping[str, str]) -> dict[str, str]:
    """Folders of artifacts: on a node -> here."""
    here = {artifact.sha256: artifact.path for artifact in wanted.artifacts.values()}
    return {str(Path(folder).parents[1]): str(here[sha].absolute().parents[1]) for sha, folder in folders.items()}
