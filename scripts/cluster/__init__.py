"""Work over the nodes of a cluster: how it scales, and what it withstands."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from runtimes.cluster.node import MACHINE_LABEL


@contextmanager
def nodes(count: int) -> Iterator[str]:
    """So many nodes on this machine, which count as so many machines, while the block lasts; yields the address."""
    from ray.cluster_utils import Cluster

    labels = [{MACHINE_LABEL: str(number)} for number in range(count)]
    cluster = Cluster(
        initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False, "labels": labels[0]}
    )
    try:
        for one in labels[1:]:
            cluster.add_node(num_cpus=1, labels=one)
        yield cluster.address
    finally:
        cluster.shutdown()
