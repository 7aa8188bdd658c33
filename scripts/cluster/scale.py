"""How a plan over a cluster scales: visits that sleep instead of measuring, on 1, 2, 4, 8 nodes of this machine.

`python -m scripts.cluster.scale [--nodes 1,2,4,8] [--cells N] [--visit SECONDS]` prints for each number of nodes how
long it took from the first share that is sent to the last record that is stored, how much of that were starts (until
the first visit of the last node that begins), how efficient the rest was against the sleep alone, and what is spent
around a visit. Nodes that share a machine share its cores, also with those that are still starting: so the node that
began last, when none was starting, is told too. Parity is taken for granted, and the nodes are reserved and asked
before.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from convert.build import Request, obtain
from convert.common.disk import scratch
from runtimes.bench.cluster import plan, share
from runtimes.bench.cluster.merged import MergedFolder
from runtimes.bench.cluster.plan import Wanted
from runtimes.bench.cluster.run import ClusterRun
from runtimes.bench.plan.matrix import Cell
from runtimes.bench.plan.settings import Matrix, policy
from runtimes.bench.schedule import run as schedule
from runtimes.bench.schedule.executor import Local
from runtimes.bench.schedule.outcome import VisitOutcome
from runtimes.bench.worker import numbers
from runtimes.bench.worker.job import Job
from runtimes.cluster import places
from runtimes.cluster.places import Place
from runtimes.records import store
from runtimes.records.blank import start
from runtimes.records.kinds import Parity
from scripts.cluster import nodes
from scripts.common import vit_toml
from scripts.kills import ROOT

_SLEEP = "VITBENCH_SLEEP_S"  # of a visit, in the environment of the nodes
_VISITS = 2


class Sleeping(Local):
    """An executor whose visits take their time and measure nothing."""

    def __init__(self) -> None:
        super().__init__(probe=None)

    def run(self, jobs: Iterable[Job], patience_s: float = 0.0) -> Iterator[VisitOutcome]:
        for job in jobs:
            yield from self.take_turns([job])

    def take_turns(self, jobs: Sequence[Job], patience_s: float = 0.0) -> list[VisitOutcome]:
        seconds = float(os.environ[_SLEEP])
        time.sleep(seconds * len(jobs))
        table = {
            "samples_ms": [1.0] * 10,
            "warmup_ms": [1.0],
            "steady": True,
            "load_ms": 1.0,
            "first_ms": 1.0,
            "memory": {},
            "disturbance": {},
            "effective": {"precision": "fp32", "device": "CPU", "details": {}},
        }
        return [VisitOutcome(numbers.read(table), seconds=seconds) for _ in jobs]


def prove(cells: Sequence[Cell], folder: Path) -> None:
    """Parity as if it had passed."""
    first = cells[0]
    batches = first.options.batches
    passed = start(Parity, first.artifact, first.runtime, first.options, batches=batches, passed=True, status="ok")
    store.append(folder, passed)


def refer(path: str) -> None:
    """No reference is needed."""


def sleeping(payload: Mapping[str, Any], messages: Iterator[Any]) -> Iterator[dict[str, Any]]:
    """`share.carry_out` with visits that sleep."""
    setattr(schedule, "Local", Sleeping)  # noqa: B010 - a seam for this script alone
    yield from share.carry_out(payload, messages)


@dataclass
class Watched(ClusterRun):
    """A run that knows when each node began its visits and stored its last record."""

    began: dict[str, float] = field(default_factory=dict)
    ended: dict[str, float] = field(default_factory=dict)

    def _take(self, place: Place, message: dict[str, Any], roots: dict[str, str]) -> None:
        now, name = time.monotonic(), place.node.node
        if "round 1" in message.get("said", ""):
            self.began.setdefault(name, now)
        super()._take(place, message, roots)
        if "record" in message:
            self.ended[name] = time.monotonic()


class Took(NamedTuple):
    """Of a plan: seconds in all, of the starts, of the visits of the node that took the longest, and of the one that
    began last, when no other was starting any more; and the number of its records."""

    seconds: float
    starts: float
    longest: float
    last: float
    made: int


def once(address: str, toml: Path, root: Path, folder: Path, cells: int) -> Took:
    """What a plan of so many cells took."""
    matrix = Matrix(
        model=(str(toml),),
        runtime=("ort-cpu",),
        batch=tuple(range(1, cells + 1)),
        weights="seeded:1",
        artifacts=str(root),
    )
    effort = policy(
        {"processes": _VISITS, "min_seconds": 0, "min_count": 1, "target": 0.5, "repeats": 0, "patience": 0}
    )
    with places.reserved(address) as found:
        artifacts = plan.obtained([matrix], [place.node for place in found.places], None, [])
        wanted, merged = Wanted([matrix], effort, 0, artifacts), MergedFolder(folder)
        run = merged.run(anew=False)
        made = plan.make(wanted, found, merged, run, False)
        began = time.monotonic()
        running = Watched(made, wanted, merged, run, "scripts.cluster.scale", ())
        running.carry_out(found)
        seconds = time.monotonic() - began
        assert not running.left, running.left
    visiting = {name: end - running.began[name] for name, end in running.ended.items()}
    last = max(running.ended, key=running.began.__getitem__)
    return Took(seconds, running.began[last] - began, max(visiting.values()), visiting[last], len(running.made))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", default="1,2,4,8", help="numbers of nodes")
    parser.add_argument("--cells", type=int, default=64, help="of the plan, two visits each")
    parser.add_argument("--visit", type=float, default=1.0, help="seconds that a visit sleeps")
    options = parser.parse_args()
    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", _SLEEP: str(options.visit), "PYTHONPATH": str(ROOT)}
    share.CARRY_OUT = "scripts.cluster.scale:sleeping"
    with scratch.folder(name="vitbench-scale-") as here:
        os.environ["XDG_CACHE_HOME"] = str(here / "cache")
        toml = here / "toy.toml"
        toml.write_text(vit_toml("toy", size=32, width=16, blocks=1, heads=2), encoding="utf-8")
        obtain(Request(str(toml), "seeded:1", root=here / "artifacts"), lambda text: None)
        for count in map(int, options.nodes.split(",")):
            with nodes(count) as address:
                folder = here / f"results-{count}"
                took = once(address, toml, here / "artifacts", folder, options.cells)
            visits = _VISITS * -(-options.cells // count)
            asleep = visits * options.visit
            longest, last = (
                f"{asleep / visiting:.1%}, {1e3 * (visiting - asleep) / visits:.0f} ms around one"
                for visiting in (took.longest, took.last)
            )
            print(
                f"{count} nodes: {took.made} records in {took.seconds:.1f} s, starts {took.starts:.1f} s of them;"
                f" efficiency of the visits {longest}; of the node that began last {last}; of all"
                f" {asleep / took.seconds:.1%}",
                flush=True,
            )


if __name__ == "__main__":
    main()
