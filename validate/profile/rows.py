"""The rows of the tables: the layers of a cell by block and by operator, and what they multiply in that time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from runtimes.profiled.layers import LayerTime
from runtimes.profiled.profile import LayerProfile
from validate.profile.blocks import NOT_ATTRIBUTED, ModelBlocks, attribute


@dataclass(frozen=True)
class BlockTime:
    """ms: of its layers, in one run. share: of all layers, 0 to 1. macs: multiply-accumulates of a run; None where
    they were not counted, or where some of the block's time stands in another row. ceiling_share: of the machine's
    ceiling, 0 to 1; None where that is not known."""

    block: str
    ms: float
    share: float
    layers: int
    macs: int | None = None
    gmac_per_s: float | None = None
    ceiling_share: float | None = None


@dataclass(frozen=True)
class OperatorTime:
    """The layers of one kind, by the runtime's own word, and precision (empty where it does not tell)."""

    operator: str
    precision: str
    layers: int
    ms: float
    share: float


@dataclass(frozen=True)
class CellTimes:
    """A profile in rows: those of `blocks` sum up to `total`, as do those of `operators`. outside_ms: of a run with the
    profiler, what none of the layers took. layer_blocks: the block of each layer."""

    profile: LayerProfile
    blocks: tuple[BlockTime, ...]
    operators: tuple[OperatorTime, ...]
    total: BlockTime
    outside_ms: float
    layer_blocks: tuple[str, ...]


def rows(
    profile: LayerProfile, model: ModelBlocks, macs: Mapping[str, int] | None, images: int, peak_gflops: float | None
) -> CellTimes:
    """macs: those of `model` that the runtime computes, for one of so many `images`. peak_gflops: of the precision that
    ran, where it is known. Rows that hold several blocks or none follow after the blocks."""
    found = attribute(profile.layers, model)
    grouped = _grouped(profile.layers, found)
    total_ms = sum(layer.ms for layer in profile.layers)
    shared = {block for name in grouped if name not in model.order for block in name.split(" + ")}
    order = [*model.order, *sorted(name for name in grouped if name not in model.order and name != NOT_ATTRIBUTED)]

    def row(name: str, layers: Sequence[LayerTime], macs: int | None) -> BlockTime:
        ms = sum(layer.ms for layer in layers)
        rate = macs / ms / 1e6 if macs and ms else None
        reached = 2 * rate / peak_gflops if rate and peak_gflops else None  # an addition for each multiplication
        return BlockTime(name, ms, ms / total_ms if total_ms else 0.0, len(layers), macs, rate, reached)

    counted = {block: count * images for block, count in (macs or {}).items()}
    return CellTimes(
        profile=profile,
        blocks=tuple(
            row(name, grouped[name], None if name in shared else counted.get(name))
            for name in [*order, NOT_ATTRIBUTED]
            if name in grouped
        ),
        operators=_operators(profile.layers, total_ms),
        total=row("total", profile.layers, sum(counted.values()) or None),
        outside_ms=profile.run_ms - total_ms,
        layer_blocks=tuple(found),
    )


def _grouped(layers: Iterable[LayerTime], names: Iterable[str]) -> Mapping[str, list[LayerTime]]:
    found: dict[str, list[LayerTime]] = {}
    for layer, name in zip(layers, names, strict=True):
        found.setdefault(name, []).append(layer)
    return found


def _operators(layers: Sequence[LayerTime], total_ms: float) -> tuple[OperatorTime, ...]:
    """The slowest first."""
    grouped: dict[tuple[str, str], list[LayerTime]] = {}
    for layer in layers:
        grouped.setdefault((layer.operator, layer.precision), []).append(layer)
    found = []
    for (operator, precision), same in grouped.items():
        ms = sum(layer.ms for layer in same)
        found.append(OperatorTime(operator, precision, len(same), ms, ms / total_ms if total_ms else 0.0))
    return tuple(sorted(found, key=lambda row: -row.ms))
