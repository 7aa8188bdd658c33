"""`vitbench bench --cluster`: a plan over the machines of a Ray cluster, into one results folder."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from convert.build import Request
from convert.common.console import print_table, printer, say, say_json
from convert.common.disk.files import write_json
from convert.common.errors import CheckFailed, told
from runtimes.bench.cluster import plan
from runtimes.bench.cluster.merged import MergedFolder, tried
from runtimes.bench.cluster.plan import ClusterPlan, Wanted
from runtimes.bench.cluster.run import ClusterRun
from runtimes.bench.plan.overview import PLAN
from runtimes.bench.plan.plan_file import Price
from runtimes.bench.plan.settings import Matrix, Policy
from runtimes.cluster import connect, places
from runtimes.records import store
from runtimes.records.kinds import TimedRecord
from runtimes.system import environment


@dataclass(frozen=True)
class ClusterBench:
    """What is to be measured, and where. address: of the cluster. prover: the module whose `prove` checks parity on a
    node and whose `refer` computes its reference here; by whoever stands above this floor. prices: of machines."""

    address: str
    matrices: Sequence[Matrix]
    effort: Policy
    folder: Path
    seed: int | None
    resume: bool
    prover: str
    prices: Sequence[Price] = ()

    def measure(self) -> tuple[list[TimedRecord], tuple[str, ...]]:
        """The records of the cells, those of earlier runs that hold included, and why others have none, in sentences.

        InputError where there is no Ray, no cluster, or no machine that can measure anything of it; CheckFailed where
        cells were left, because nodes were lost.
        """
        connect.need()
        plan.check_names(self.matrices)
        with (
            store.alone(self.folder),
            store.until_finished(self.folder, "bench"),
            places.reserved(self.address) as found,
        ):
            merged = MergedFolder(self.folder)
            wanted, unmade = self._wanted(found, None)
            made = plan.make(wanted, found, merged, merged.run(anew=False), self.resume)
            show(made)
            write_json(self.folder / PLAN, plan.as_dict(made))
            environment.save(self.folder)  # of the machine that plans
            again = {cell.key for _, cell in made.cells()} & tried(merged.known) if self.resume else set()
            run = merged.run(anew=not self.resume)
            running = ClusterRun(made, wanted, merged, run, self.prover, self.prices, frozenset(again))
            running.carry_out(found)
            if running.left:
                name, why = next(iter(running.left.items()))
                raise CheckFailed(f"{len(running.left)} cells were not measured, as {name} ({why}): --resume goes on")
        say(f"records: {self.folder / store.RESULTS}")
        stored = store.measured(one for one in merged.known if isinstance(one, TimedRecord) and one.key in made.stored)
        return [*(stored | {str(one.key): one for one in running.made}).values()], (*unmade, *made.impossible)

    def dry_run(self, as_json: bool) -> None:
        """Show the plan, converting nothing and measuring nothing."""
        connect.need()
        plan.check_names(self.matrices)
        with places.reserved(self.address) as found:
            missing: list[Request] = []
            wanted, _ = self._wanted(found, missing)
            made = plan.make(wanted, found, MergedFolder(self.folder), "dry-run", self.resume, missing)
        show(made, as_json)

    def _wanted(self, found: places.Reserved, missing: list[Request] | None) -> tuple[Wanted, list[str]]:
        nodes, unmade = [place.node for place in found.places], list[str]()
        artifacts = plan.obtained(self.matrices, nodes, missing, unmade)
        seed = secrets.randbelow(1 << 32) if self.seed is None else self.seed
        return Wanted(self.matrices, self.effort, seed, artifacts), unmade


def show(made: ClusterPlan, as_json: bool | None = None) -> None:
    """The plan: on standard error before it is carried out; as_json given, it is the result itself."""
    if as_json:
        say_json({"plan": plan.as_dict(made)})
        return
    console = printer(stderr=as_json is None)
    print_table(console, plan.table(made), ("runtime", "machine"))
    for line in plan.lines(made):
        console.print(told(line), highlight=False, markup=False, soft_wrap=True)
