"""Which node measures which cells: rivals together, where they take turns, and each node as long as any other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from runtimes.bench.cluster.share import CellOffer, Offer
from runtimes.cluster.node import ClusterNode

ANY_DEVICE = ("cpu", "gpu", "npu")


def fits(where: str | None, node: ClusterNode) -> bool:
    """Whether a node is one of those that a plan names.

    where: `gpu` (or `cpu`, `npu`): a runtime there finds such a device; else a resource label of Ray, as `key=value` or
    the value alone; else a part of the name of its processor or of one of its GPUs. None: any node.
    """
    if where is None:
        return True
    wanted = where.strip().casefold()
    if wanted in ANY_DEVICE:
        return any(device.casefold().partition(".")[0] == wanted for device in node.devices)
    labels = {text.casefold() for key, value in node.labels.items() for text in (f"{key}={value}", value)}
    gpus = [str(gpu.get("name") or "") for gpu in node.environment.get("gpus") or ()]
    names = [str(node.environment["machine"].get("cpu") or ""), *gpus]
    return wanted in labels or (bool(wanted) and any(wanted in name.casefold() for name in names))


@dataclass(frozen=True)
class Errand:
    """Cells that one node measures together. offers: node -> what it said of each of them; those nodes are equal."""

    offers: Mapping[str, tuple[CellOffer, ...]]

    @property
    def holders(self) -> list[str]:
        """The nodes that have measured it already."""
        return [node for node, cells in self.offers.items() if any(cell.held for cell in cells)]

    @property
    def seconds(self) -> float:
        return max(sum(one.seconds for one in cells) for cells in self.offers.values())


def errands(kind: Mapping[str, Offer]) -> list[Errand]:
    """The errands of equal nodes. kind: node -> what it offers.

    A cell goes to the nodes that can measure it; where none can, because it does not fit, to any, which refuses it.
    """
    by_place: dict[str, dict[str, CellOffer]] = {}
    for node, offer in kind.items():
        for cell in offer.cells:
            by_place.setdefault(cell.place, {})[node] = cell
    groups: dict[tuple[str, tuple[str, ...], tuple[str, ...]], list[dict[str, CellOffer]]] = {}
    for offered in by_place.values():
        able = {node: cell for node, cell in offered.items() if cell.refused is None} or offered
        rivals = next(iter(able.values())).rivals
        holders = tuple(node for node, cell in able.items() if cell.held)
        groups.setdefault((rivals, holders, tuple(able)), []).append(able)
    return [
        Errand({node: tuple(cell[node] for cell in together) for node in nodes})
        for (_, _, nodes), together in groups.items()
    ]


def assign(found: Sequence[Errand], nodes: Sequence[str]) -> tuple[dict[str, list[Errand]], list[Errand]]:
    """node -> its errands, and those that none of the nodes can do: the longest first, each to whoever has the least
    to do, but to one that has measured it already."""
    given: dict[str, list[Errand]] = {node: [] for node in nodes}
    undone: list[Errand] = []
    for errand in sorted(found, key=lambda one: -one.seconds):
        able = [node for node in nodes if node in errand.offers]
        if able:
            holders = [node for node in able if node in errand.holders]
            least = min(holders or able, key=lambda node: (sum(one.seconds for one in given[node]), len(given[node])))
            given[least].append(errand)
        else:
            undone.append(errand)
    return given, undone
