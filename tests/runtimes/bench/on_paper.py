"""Cells that exist on paper only: a model without files, and runtimes that load nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from convert.artifact import Artifact
from convert.manifest import from_table
from runtimes import registry
from runtimes.base import Options, Runtime, Session, Setting
from runtimes.bench.plan.matrix import Cell
from runtimes.bench.plan.plan import CellCost, Plan, PlanEstimate
from runtimes.bench.plan.settings import Policy

NATURE: dict[str, Any] = {"package": "json", "distributions": ("numpy",), "devices": lambda: ["CPU"]}


def _nothing(artifact: Artifact, options: Options) -> Session:
    raise AssertionError("it exists on paper only")


def runtime(name: str = "ort-cpu", precisions: tuple[str, ...] = ("fp32",), **changes: Any) -> Runtime:
    # What a runtime of that name takes, where there is one.
    known = registry.get(name) if name in registry.names() else None
    said = {field: getattr(known, field) for field in ("footprint", "holds_lock", "writes_cache")} if known else {}
    settings = {"gelu": Setting("erf", "which", ("erf", "tanh"))}
    return Runtime(
        name, precisions=precisions, open_session=_nothing, settings=settings, **{**NATURE, **said, **changes}
    )


def artifact(model: str = "vit", megabytes: int = 100, folder: Path = Path("nowhere"), **changes: Any) -> Artifact:
    preprocessing = {"resize_short": 36, "crop": 32}
    spec = {"name": model, "img_size": 32, "patch_size": 8, "embed_dim": 16, "num_heads": 2}
    table = {
        "model": model,
        "precision": "fp32",
        "opset": 17,
        "inputs": [{"name": "x", "dtype": "float32", "shape": ["batch", 3, 32, 32]}],
        "outputs": [{"name": "logits", "dtype": "float32", "shape": ["batch", 7]}],
        "preprocessing": preprocessing,
        "weights": {"kind": "seeded", "source": "seeded:0", "sha256": "0", "note": "", "requested": "seeded:0"},
        "macs": {"published": 10**10, "total": 10**10},
        "parameters": {"published": 1, "total": 1},
        "files": {"model.onnx": {"bytes": megabytes << 20, "sha256": model}},
        "notes": [],
        "spec": {**spec, "preprocessing": preprocessing},
        **changes,
    }
    table["macs"] = {"published": 10**10, **table["macs"]}
    return Artifact(folder / model / "fp32", from_table(table))


def cell(model: Artifact | None = None, on: Runtime | None = None, batch: int = 1, **changes: Any) -> Cell:
    model, on = model or artifact(), on or runtime()
    fields: dict[str, Any] = {"precision": "fp32", "options": Options(threads=2, batches=(1, batch)), **changes}
    return Cell(model.model, model, on, batch=batch, **fields)


def plan(*cells: Cell, visit_s: float = 10.0, processes: int = 2, parity_s: float = 0.0, **changes: Any) -> Plan:
    """Cells each visit to which is estimated to take so long."""
    costs = tuple(CellCost(visit_s / 2, processes * visit_s / 2, 1 << 30, 0, "rate", processes) for _ in cells)
    seconds = parity_s + len(cells) * processes * visit_s
    estimate = PlanEstimate(costs, parity_s, seconds, 1 << 30, 0, 4 << 30, None)
    return Plan(cells, **{"refused": (), "effort": Policy(processes), "estimate": estimate, **changes})
