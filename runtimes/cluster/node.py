"""What a machine of a cluster says of itself, and whether it measures with the same vitbench as the one that asks."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from convert.common import typed
from convert.common.disk import scratch
from convert.common.disk.files import sha256_json
from convert.common.errors import shown
from runtimes import registry
from runtimes.system import capacity, environment

MACHINE_LABEL = "vitbench-machine"  # a Ray label: nodes that have another value of it count as other machines


_KEY = re.compile("[0-9a-f]{16}")


@dataclass(frozen=True, eq=False)
class ClusterNode:
    """A node of a cluster.

    node: Ray's id of it. host: hash of the machine that it runs on: nodes that share it are one machine. key: of the
    machine and its variables (`environment.setting_key`): equal for machines whose numbers may be compared.
    environment: as environment.json has it. runtimes: the doctor's answer (`registry.examine`). memory_bytes: free;
    None where unknown. cpus, gpus: that Ray lends. labels: that Ray has of it. nice: the priority that processes get
    there, 0 as a user's.
    """

    node: str
    host: str
    key: str
    environment: Mapping[str, Any]
    runtimes: Mapping[str, Mapping[str, Any]]
    memory_bytes: int | None = None
    cpus: float = 0.0
    gpus: float = 0.0
    labels: Mapping[str, str] = field(default_factory=dict)
    nice: int = 0

    @cached_property
    def name(self) -> str:
        """What users read: the machine in words, and the beginning of Ray's id."""
        return f"{environment.label(self.environment)} [{self.node[:8]}]"

    @property
    def available(self) -> list[str]:
        """The names of the runtimes that it has."""
        return [name for name, state in self.runtimes.items() if state["available"]]

    @property
    def devices(self) -> list[str]:
        """Every device that one of its runtimes finds."""
        return list(dict.fromkeys(d for name in self.available for d in self.runtimes[name]["devices"]))

    def why_not(self, runtime: str) -> str | None:
        """Why it has no such runtime, in a sentence; None where it has."""
        state = self.runtimes.get(runtime, {"available": False, "reason": "its vitbench has no such runtime"})
        return None if state["available"] else str(state["reason"])


def describe(payload: Mapping[str, Any]) -> dict[str, Any]:
    """On the node: what is known there, as JSON types. payload: `node`, `labels`, `cpus`, `gpus` and `nice`, which its
    worker knows."""
    described = environment.describe()
    labels = dict(payload["labels"])
    own = ClusterNode(
        payload["node"],
        sha256_json([_host(), labels.get(MACHINE_LABEL)])[:16],
        environment.setting_key(described),
        described,
        registry.examine(registry.names()),
        capacity.look().memory_bytes,
        payload["cpus"],
        payload["gpus"],
        labels,
        payload["nice"],
    )
    found: dict[str, Any] = typed.table(own)
    return found


def _host() -> str:
    """The machine, whatever containers it runs; the machine and its container where the system does not tell."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return str(scratch.owner(os.getpid())).rpartition("-")[2]


def refusal(node: ClusterNode, ours: Mapping[str, Any]) -> str | None:
    """Why a node must not measure for us, in a clause; None where it may. ours: our `environment.describe()`."""
    own, theirs = ours["vitbench"], node.environment["vitbench"]
    if not _KEY.fullmatch(node.key):  # files are named by it
        return f"it calls its machine {shown(node.key)!r}, and 16 hexadecimal digits are needed"
    if own.get("version") != theirs.get("version"):
        return f"its vitbench is {theirs.get('version')}, and here is {own.get('version')}"
    if own.get("commit") != theirs.get("commit"):
        there, here = (one.get("commit") or "of no checkout" for one in (theirs, own))
        return f"its vitbench is {there}, and here it is {here}: bring both to one commit"
    return None


def usual_version(runtime: str, versions: Iterable[str | None]) -> str | None:
    """The version of a runtime that most of some nodes have; of several such ours, or else the greatest as text.
    versions: of each node; None of a runtime that is no distribution. None where there is no node."""
    counts, own = Counter(versions), registry.get(runtime).version()
    return max(counts, key=lambda version: (counts[version], version == own, version or ""), default=None)
