"""A plan over a cluster, killed with -9 at random moments: the driver, a node, or the process that works on a node.

`python -m scripts.cluster.kills [--count N] [--seed N] [--first N] [--nodes N]` starts nodes on this machine, ends one
of them or the command in each run, goes on with `--resume` where cells are left, and looks: nothing stored is lost,
each cell has one record, and nothing of ours is left running. `--first` goes on where the script was broken off. Exit
status 1 when a promise is broken.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from convert.common.disk import scratch
from runtimes.cluster.node import MACHINE_LABEL
from runtimes.records import store
from runtimes.records.kinds import Latency, Parity, Record
from scripts import kills
from scripts.kills import ROOT, Toy

TARGETS = ("driver", "node", "worker")
STATUSES = (0, 1, 2)  # of a command that came to an end of its own
_BATCHES = "1,2,3,4"
_MORE = ("--batch", _BATCHES, "--repeats", "0")  # a busy machine would have more and more rounds
_RESUMES = 4
_CACHE = "XDG_CACHE_HOME"
_GONE_S = 15.0


@dataclass
class Nodes:
    """A cluster of `ray.cluster_utils`, whose nodes but the head may die."""

    cluster: Any
    others: list[Any]

    def add(self, number: int) -> None:
        self.others.append(self.cluster.add_node(num_cpus=1, labels={MACHINE_LABEL: f"node-{number}"}))

    def kill_one(self, chance: random.Random) -> None:
        """End a node as a power cut does; another one takes its place under its name."""
        number = chance.randrange(len(self.others))
        self.cluster.remove_node(self.others[number], allow_graceful=False)
        self.others[number] = self.cluster.add_node(num_cpus=1, labels={MACHINE_LABEL: f"node-{number}"})


def workers(here: Path) -> list[psutil.Process]:
    """The processes that work on our nodes, which alone have this cache: the actors, and what they have started."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.environ().get(_CACHE) != str(here / "cache") or process.status() == psutil.STATUS_ZOMBIE:
                continue
            line = " ".join(process.cmdline())
            if line.startswith("ray::NodeWorker") or "far_side:relay" in line or "bench.worker" in line:
                found.append(process)
    return found


def repeated(records: Sequence[Record]) -> list[str]:
    """What is there twice. What was disturbed may be measured again, which is another record; the same record twice is
    what must not be."""
    lines = Counter(
        (one.kind, one.artifact, one.runtime, one.time_utc, one.batches)
        if isinstance(one, Parity)
        else (one.kind, one.batch, one.time_utc, one.samples_ms)
        for one in records
        if isinstance(one, (Latency, Parity))
    )
    return [f"{count} times the same record ({line[0]})" for line, count in lines.items() if count > 1]


def attempt(number: int, what: str, share: float, seconds: float, toy: Toy, nodes: Nodes, here: Path) -> list[str]:
    """The promises that were broken in a run."""
    place = here / f"run-{number}"
    kills.prepare(toy, "bench", place)
    chance = random.Random(number)  # noqa: S311 - no secret
    words = [*toy.words("bench", place, False), *_MORE, "--cluster", nodes.cluster.address]
    process = kills.start(words, place)
    time.sleep(share * seconds)
    before = kills.stored(place)
    if what == "driver":
        process.kill()
    elif what == "node":
        nodes.kill_one(chance)
    elif found := workers(here):
        with suppress(psutil.NoSuchProcess):
            chance.choice(found).kill()
    status = process.wait()
    broken = kills.lost(before, place)
    if status not in STATUSES and not (what == "driver" and status == -signal.SIGKILL):
        broken.append(f"exit status {status}")
    if "Traceback" in (said := (place / "said").read_text(encoding="utf-8", errors="replace")):
        broken.append(f"a traceback: {said[-500:]}")
    for _ in range(_RESUMES):
        before = kills.stored(place)
        status = kills.run([*words, "--resume"], place)
        broken += kills.lost(before, place)
        if status == 0:
            break
    else:
        broken.append(f"not done after {_RESUMES} tries: {(place / 'said').read_text(encoding='utf-8')[-500:]}")
    known = store.known(place / "results")
    broken += repeated(known)
    made = [record for record in known if isinstance(record, Latency)]
    lacking = {int(batch) for batch in _BATCHES.split(",")} - {record.batch for record in made if record.measured}
    broken += [f"no record of batch {batch}" for batch in sorted(lacking)]
    end = time.monotonic() + _GONE_S
    while (alive := workers(here)) and time.monotonic() < end:
        time.sleep(0.2)
    return broken + [f"alive: {' '.join(one.cmdline())[:100]}" for one in alive]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=60, help="kills in all")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--first", type=int, default=0, help="number of the first to try")
    parser.add_argument("--nodes", type=int, default=2, help="beside the head, which lends no processor")
    options = parser.parse_args()
    # Ray's workers are nice, and wait for minutes on a busy machine.
    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_worker_niceness": "0", "PYTHONPATH": str(ROOT)}
    drawn, bad = random.Random(options.seed), 0  # noqa: S311 - no secret
    with scratch.folder(name="vitbench-kills-") as here:
        os.environ[_CACHE] = str(here / "cache")
        from ray.cluster_utils import Cluster

        toy = kills.make_toy(here)
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
        nodes = Nodes(cluster, [])
        try:
            for number in range(options.nodes):
                nodes.add(number)
            place = here / "undisturbed"
            kills.prepare(toy, "bench", place)
            began = time.monotonic()
            words = [*toy.words("bench", place, False), *_MORE, "--cluster", cluster.address]
            status = kills.run(words, place)
            seconds = time.monotonic() - began
            assert status in (0, 1), (place / "said").read_text(encoding="utf-8")
            print(f"{seconds:.1f} s undisturbed", flush=True)
            moments = [drawn.random() for _ in range(options.count)]
            for number in range(options.first, options.count):
                what, share = TARGETS[number % len(TARGETS)], moments[number]
                broken = attempt(number, what, share, seconds, toy, nodes, here)
                bad += bool(broken)
                print(f"{number:3} {what:7} at {share * seconds:5.1f} s  {'; '.join(broken) or 'ok'}", flush=True)
        finally:
            cluster.shutdown()
    print(f"{options.count - options.first} kills, {bad} with a broken promise")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
