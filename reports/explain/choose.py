"""Which two latencies are explained: one of a run, and a published figure or one of another run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from convert.common.errors import InputError, listing
from convert.precision.table import FP32
from convert.zoo import MODELS, PUBLISHED
from reports.load import results
from reports.load.results import Results, machine_of
from reports.tables.standing import cell_name
from runtimes.records.kinds import Latency
from runtimes.records.parts import CountsInfo, ImagePreprocessing, ModelInfo

V100 = "V100"  # the published column that PaddleClas' pages have
# In FP32 (NVIDIA, data sheet "Tesla V100 GPU accelerator").
_V100_GFLOPS = 15_700.0
V100_CARD, V100_OTHER = "the SXM2 card", "the PCIe card has 14,000 GFLOP/s"
_LISTED = 8


@dataclass(frozen=True)
class Side:
    """A latency and where it was measured. page: it is a published figure, of which only its page tells."""

    cell: Latency
    machine: str
    environment: Mapping[str, Any]
    page: bool = False

    @property
    def name(self) -> str:
        """`ViT_base_patch32_384 on openvino fp32, batch 4, 2 threads, AMD EPYC, 2 cores`."""
        if self.page:
            return f"PaddleClas' figure of {self.cell.model} on a V100, TensorRT fp32, batch {self.cell.batch}"
        count = self.cell.threads
        threads = [f"{count} thread{'s' * (count != 1)}"] if count else []
        return ", ".join([cell_name(self.cell), *threads, self.machine])


def pick(run: Path, published: str, wanted: Mapping[str, Any]) -> tuple[Side, Side]:
    """The latency of a run, and of the published ones the one that fits it best: in precision, batch, runtime, device,
    settings and threads, in that order; of several batches the smallest.

    published: results, or V100. wanted: fields of the run's latency and their values. InputError where there is none,
    and where several fit as well.
    """
    mine = _of_results(run, wanted)
    theirs = _of_results(Path(published), {}) if Path(published).exists() else _of_page(published, mine)
    pairs = [(one, other) for one in mine for other in theirs if one.cell.model == other.cell.model]
    if not pairs:
        models = listing(sorted({one.cell.model for one in mine}))
        raise InputError(f"{published}: no latency of {models} is there to hold it against")
    fits = [_fit(one.cell, other.cell) for one, other in pairs]
    best = [pair for pair, fit in zip(pairs, fits, strict=True) if fit == max(fits)]
    for place, where in enumerate((run, published)):
        names = {id(pair[place].cell): pair[place].name for pair in best}
        if len(names) > 1:
            raise InputError(
                f"{where}: {len(names)} latencies fit alike: {listing(names.values(), _LISTED)}; choose with --model, "
                "--runtime, --precision, --batch and --threads"
            )
    return best[0]


def _of_results(path: Path, wanted: Mapping[str, Any]) -> list[Side]:
    """The latencies that have these fields and a speed that may be shown."""
    found = results.load(path)
    known, cells = found.of(Latency), found.of(Latency, **wanted)
    if not cells:
        asked = ", ".join(f"{name} {value}" for name, value in wanted.items())
        there = listing((_side(found, cell).name for cell in known), _LISTED)
        if there:
            raise InputError(f"{path}: no latency of {asked} is there; there is {there}")
        raise InputError(f"{path}: no latency of {asked} is there" if asked else f"{path}: no latency is there")
    sound = [_side(found, cell) for cell in cells if cell.measured and not found.doubt(cell)]
    if not sound:
        why = found.doubt(cells[0]) if cells[0].measured else cells[0].reason
        raise InputError(f"{path}: {_side(found, cells[0]).name}: no speed to explain: {why or 'no reason recorded'}")
    return sound


def _side(found: Results, cell: Latency) -> Side:
    return Side(cell, machine_of(cell), found.environments.get(machine_of(cell), {}))


def _of_page(column: str, mine: list[Side]) -> list[Side]:
    """The published latencies of the models, as records of what their page tells."""
    if column.upper() != V100:
        raise InputError(
            f"{column}: neither results (a folder, or a file that `python -m reports.export` wrote) nor a published "
            f"column; there is {V100}"
        )
    return [
        Side(_published(model, batch, ms), V100, {"ceiling": {"gpus": [{"gflops": {FP32: _V100_GFLOPS}}]}}, page=True)
        for model in dict.fromkeys(one.cell.model for one in mine)
        for batch, ms in (PUBLISHED[model].v100_ms if model in PUBLISHED else {}).items()
    ]


def _published(model: str, batch: int, ms: float) -> Latency:
    known, spec = PUBLISHED[model], MODELS.get(model)
    counted = round(known.gmacs * 1e9)
    facts = ModelInfo(
        macs=CountsInfo(total=counted) if known.with_attention else CountsInfo(published=counted),
        preprocessing=ImagePreprocessing(crop=spec.preprocessing.crop) if spec else None,
    )
    return Latency(
        model=model,
        precision=FP32,
        runtime="tensorrt",
        runtime_version="8.0.3.4",
        device="GPU",
        artifact=None,
        status="ok",
        reason=None,
        effective=None,
        command="",
        batch=batch,
        median_ms=ms,
        model_info=facts,
    )


def _fit(one: Latency, other: Latency) -> tuple[int, ...]:
    same = (
        one.precision == other.precision,
        one.batch == other.batch,
        one.runtime == other.runtime,
        (one.device or "CPU") == (other.device or "CPU"),
        dict(one.settings) == dict(other.settings),
        one.threads == other.threads,
    )
    return (*map(int, same), -(one.batch or 0))
