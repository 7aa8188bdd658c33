"""Results folders, made record by record."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

EXAMPLE = Path(__file__).parent / "data" / "example"


class Make:
    """Records as the other commands write them; any field can be given another value."""

    def _common(self, kind: str, /, **fields: Any) -> dict[str, Any]:
        record = {
            "kind": kind,
            "model": "ViT_base_patch32_384",
            "precision": "fp32",
            "runtime": "ort-cpu",
            "device": "CPU",
            "artifact": "a" * 64,
            "status": "ok",
            "reason": None,
            "effective": {"precision": fields.get("precision", "fp32"), "device": "CPU", "details": {}},
            "command": f"python -m {kind}",
        }
        return record | fields

    def latency(self, median: float | None = 100.0, half: float = 1.0, **fields: Any) -> dict[str, Any]:
        """A latency whose interval reaches `half` ms to both sides; without a median it was not measured."""
        interval = None if median is None else [median - half, median + half]
        numbers = {"samples_ms": [], "count": 30, "median_ms": median, "ci95_ms": interval}
        return self._common("latency", **{"batch": 1, "threads": 2, **numbers, **fields})

    def parity(self, passed: bool | None = True, **fields: Any) -> dict[str, Any]:
        numbers = {"max_abs": 4.1e-6, "mean_abs": 6e-7, "cosine": 0.9999999, "top1_agreement": 1.0, "nonfinite": 0}
        return self._common("parity", **{"passed": passed, **numbers, **fields})

    def accuracy(self, top1: float = 0.7761, **fields: Any) -> dict[str, Any]:
        numbers = {"dataset": "photos/val_list.txt", "images": 134, "top1": top1, "top5": 0.9254, "passed": True}
        return self._common("accuracy", **{**numbers, "top1_ci95": [top1 - 0.07, top1 + 0.07], **fields})

    def weights(self, kind: str, **fields: Any) -> dict[str, Any]:
        """The extra field that tells about the model."""
        macs, parameters = {"published": 12_657_690_624, "total": 13_036_376_064}, {"published": 88_186_600}
        return {"weights": {"kind": kind, **fields}, "macs": macs, "parameters": parameters}


@pytest.fixture(scope="session")
def make() -> Make:
    return Make()


@pytest.fixture
def folder(tmp_path: Path):
    """Write records, and the environment where one is given, into a new results folder."""

    def write(*records: dict[str, Any], environment: dict[str, Any] | None = None) -> Path:
        run = tmp_path / "run"
        run.mkdir(exist_ok=True)
        (run / "results.jsonl").write_text("".join(json.dumps(r) + "\n" for r in records), encoding="utf-8")
        if environment is not None:
            (run / "environment.json").write_text(json.dumps(environment), encoding="utf-8")
        return run

    return write


@pytest.fixture(scope="session")
def example() -> Path:
    return EXAMPLE
