"""Small results whose reports are golden: what they are, as folders with records and an environment."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.reports import runs, synthetic

BASE, TINY = "ViT_base_patch32_384", "vit_tiny_patch16_224"
_FACTS = {
    "weights": {"kind": "pretrained", "source": "ViT_base_patch32_384_pretrained.pdparams"},
    "macs": {"published": 12_657_690_624, "total": 13_036_376_064},
    "parameters": {"published": 88_186_600, "total": 88_297_192},
}
_ENVIRONMENT = runs.ENVIRONMENT | {"vitbench": {"version": "0.1.0"}, "ceiling": synthetic.ENVIRONMENT["ceiling"]}
_OTHER = {
    "time_utc": "2026-11-25T09:30:00Z",
    "machine": {"cpu": "Intel(R) Xeon(R) Platinum 8480C CPU @ 2.00GHz", "cores_usable": 4, "memory_bytes": 2**35},
    "gpus": [{"name": "NVIDIA H100"}],
    "os": {"system": "Linux", "kernel": "6.8.0"},
    "packages": {"onnxruntime": "1.31.0", "openvino": "2026.4.1"},
    "vitbench": {"version": "0.1.0"},
}


def _command(module: str, runtime: str, precision: str, more: str) -> str:
    return f"python -m {module} --model {BASE} --runtime {runtime} --precision {precision}{more}"


def _parity(runtime: str, precision: str = "fp32", **fields: Any) -> dict[str, Any]:
    numbers = {"max_abs": 4.1e-6, "mean_abs": 6.2e-7, "cosine": 0.99999999, "top1_agreement": 1.0, "nonfinite": 0}
    about = {"reference": "paddle float64", "inputs": {"source": "8 seeded images", "count": 8}}
    tolerance = {"max_abs": 3.2e-5, "factor": 8.0, "unit": "Paddle's own FP32 error", "paddle_max_abs": 4e-6}
    record = runs.common("parity", runtime=runtime, precision=precision, batch_invariant=True, passed=True)
    record |= numbers | about | {"model": BASE, "model_info": _FACTS, "batches": [1, 4, 8]}
    record |= {"tolerance": tolerance | {"needed": 1.0, "cosine": 0.9999999}}
    return record | {"command": _command("validate.parity", runtime, precision, "")} | fields


def _latency(runtime: str, batch: int, median: float | None, precision: str = "fp32", **fields: Any) -> dict[str, Any]:
    """A latency whose two processes are 0.4 % apart; without a median it was not measured."""
    times = [] if median is None else [[share * median * (1 + step / 500) for step in range(5)] for share in (1, 1.004)]
    record = runs.latency(times) if times else runs.common("latency", threads=2, median_ms=None, count=0)
    record |= {"runtime": runtime, "precision": precision, "batch": batch, "model": BASE, "model_info": _FACTS}
    record |= {"effective": {"precision": precision, "device": "CPU", "details": {}} if times else None}
    if times:
        record |= {"load_ms": 800.0, "first_ms": 1.2 * record["median_ms"]}
        record |= {"memory": {"model_bytes": 353_000_000, "process_bytes": 520_000_000, "device_bytes": None}}
    return record | {"command": _command("runtimes.bench", runtime, precision, f" --batch {batch}")} | fields


def _accuracy(runtime: str, precision: str, top1: float, **fields: Any) -> dict[str, Any]:
    record = runs.common("accuracy", runtime=runtime, precision=precision, dataset="val_list.txt", images=5000)
    record |= {"model": BASE, "model_info": _FACTS, "top1": top1, "top1_ci95": [top1 - 0.012, top1 + 0.011]}
    record |= {"top5": 0.954, "reference_top1": 0.8176, "mcnemar_p": 1.0, "passed": True, "keep": 0.99}
    command = _command("validate.accuracy", runtime, precision, " --images val_list.txt")
    return record | {"effective": {"precision": precision, "device": "CPU"}, "command": command} | fields


def failed() -> list[tuple[list[dict[str, Any]], dict[str, Any]]]:
    """Nothing ended well: two runtimes broke, one is missing, one is another model."""
    broken = {"status": "failed", "reason": "the process was killed: out of memory (exit status -9)"}
    absent = {"status": "unavailable", "reason": "MNN cannot be imported: No module named 'MNN'"}
    unlike: dict[str, Any] = {
        "status": "failed",
        "reason": "logits differ by up to 0.31; 3.2e-05 is allowed",
        "passed": False,
    }
    numbers = ("passed", "max_abs", "mean_abs", "cosine", "top1_agreement", "nonfinite")
    unchecked: dict[str, Any] = dict.fromkeys(numbers)
    unchecked |= dict.fromkeys(("batch_invariant", "tolerance", "artifact", "effective"))
    records = [
        _parity("paddle", **unchecked, **broken),
        _parity("mnn", **unchecked, **absent),
        _parity("ort-cpu", **unlike, max_abs=0.31, cosine=0.9871, top1_agreement=0.75),
    ]
    for batch in (1, 4):
        records += [_latency("paddle", batch, None, **broken), _latency("mnn", batch, None, **absent)]
        records.append(_latency("ort-cpu", batch, 130.0 * batch))
    return [(records, _ENVIRONMENT)]


def single() -> list[tuple[list[dict[str, Any]], dict[str, Any]]]:
    """One cell, and its parity."""
    return [([_parity("ort-cpu"), _latency("ort-cpu", 1, 134.0)], _ENVIRONMENT)]


def precisions() -> list[tuple[list[dict[str, Any]], dict[str, Any]]]:
    """fp32, bf16 and int8: int8 of OpenVINO is the fastest and lost accuracy, that of ONNX Runtime has no accuracy."""
    records, medians = [_parity("paddle"), _latency("paddle", 1, 196.0)], {"fp32": 138.0, "bf16": 84.0, "int8": 61.0}
    records.append(_accuracy("paddle", "fp32", 0.8176))
    coarse = {"tolerance": {"max_abs": 2.1, "factor": 0.25, "unit": "the largest logit", "cosine": 0.97}}
    for precision, median in medians.items():
        bounds = {} if precision == "fp32" else coarse | {"max_abs": 0.2, "mean_abs": 0.03, "cosine": 0.9995}
        records += [_parity("openvino", precision, **bounds), _latency("openvino", 1, median, precision)]
    records += [_accuracy("openvino", "fp32", 0.8176), _accuracy("openvino", "bf16", 0.8172, mcnemar_p=0.79)]
    records.append(_accuracy("openvino", "int8", 0.7802, mcnemar_p=1.3e-21, passed=False))
    for precision, median in {"fp32": 134.0, "int8": 93.0}.items():
        records += [_parity("ort-cpu", precision), _latency("ort-cpu", 1, median, precision)]
    refused = {"status": "refused", "reason": "ort-cpu has no bf16, only fp32 and int8"}
    records.append(_latency("ort-cpu", 1, None, "bf16", **refused))
    return [(records, _ENVIRONMENT)]


def machines() -> list[tuple[list[dict[str, Any]], dict[str, Any]]]:
    """Two machines: on one all is proven, on the other one runtime has no parity, and each has a cell of its own."""
    one = [_parity("paddle"), _parity("ort-cpu"), _latency("paddle", 1, 196.0), _latency("ort-cpu", 1, 134.0)]
    one.append(_latency("ort-cpu", 4, 524.0))
    other = [_parity("paddle"), _parity("openvino"), _latency("paddle", 1, 71.0), _latency("openvino", 1, 44.0)]
    other.append(_latency("ort-cpu", 1, 48.0))
    return [(one, _ENVIRONMENT), (other, _OTHER)]


def wide() -> list[tuple[list[dict[str, Any]], dict[str, Any]]]:
    """7 models x 7 runtimes x 5 precisions x 3 batch sizes: 735 cells."""
    return [(synthetic.records(samples=10), synthetic.ENVIRONMENT)]


CASES: dict[str, Callable[[], list[tuple[list[dict[str, Any]], dict[str, Any]]]]] = {
    "failed": failed,
    "single": single,
    "precisions": precisions,
    "machines": machines,
    "wide": wide,
}


def folders(name: str, root: Path) -> list[Path]:
    """The case's results folders below `root`: NAME, or NAME-1, NAME-2 where there are several."""
    made = CASES[name]()
    paths = [root / (name if len(made) == 1 else f"{name}-{number}") for number in range(1, len(made) + 1)]
    for path, (records, environment) in zip(paths, made, strict=True):
        path.mkdir()
        lines = "".join(json.dumps(record) + "\n" for record in records)
        (path / "results.jsonl").write_text(lines, encoding="utf-8")
        (path / "environment.json").write_text(json.dumps(environment), encoding="utf-8")
    return paths
