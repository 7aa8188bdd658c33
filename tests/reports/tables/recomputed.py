"""The example's tables worked out from the raw records, by plain Python and none of the report's own code: samples,
outcomes' counts, and the figures of the manifests."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from convert.zoo import PUBLISHED

Row = dict[str, Any]
MODELS = ("ViT_small_patch16_224", "ViT_base_patch32_384", "vit_tiny_patch16_224")
RUNTIMES = ("paddle", "mnn", "openvino", "ort-cpu")
PRECISIONS = ("fp32", "bf16")
FIELDS = ("kind", "model", "runtime", "precision", "batch")


class Raw:
    """The records as they stand in results.jsonl: the last one of each cell, of the artifact that was recorded last."""

    def __init__(self, folder: Path) -> None:
        lines = [json.loads(line) for line in (folder / "results.jsonl").read_text(encoding="utf-8").splitlines()]
        artifacts = {(one["model"], one["precision"]): one["artifact"] for one in lines}
        last = {
            tuple(one.get(name) for name in FIELDS): one
            for one in lines
            if one["artifact"] == artifacts[one["model"], one["precision"]]
        }
        self.records = sorted(last.values(), key=self._place)
        self.environment = json.loads((folder / "environment.json").read_text(encoding="utf-8"))

    @staticmethod
    def _place(one: Row) -> tuple[int, ...]:
        model, runtime = MODELS.index(one["model"]), RUNTIMES.index(one["runtime"])
        return model, runtime, PRECISIONS.index(one["precision"]), one.get("batch") or 0

    def of(self, kind: str, **fields: Any) -> list[Row]:
        return [r for r in self.records if r["kind"] == kind and all(r[k] == v for k, v in fields.items())]

    def proven(self, one: Row) -> bool:
        same = {name: one[name] for name in ("model", "runtime", "precision")}
        return any(check["passed"] for check in self.of("parity", **same))

    def accurate(self, one: Row) -> bool | None:
        """Whether top-1 held on the same model, runtime and precision; nothing is known of seeded weights."""
        same = {name: one[name] for name in ("model", "runtime", "precision")}
        seeded = self.info(one["model"])["weights"]["kind"] == "seeded"
        return next((r["passed"] for r in self.of("accuracy", **same) if not seeded), None)

    def speeds(self, one: Row) -> bool:
        """Whether numbers of its speed may be shown."""
        return one["status"] in ("ok", "unstable") and self.proven(one)

    def status(self, one: Row) -> str:
        return "unproven" if one["status"] in ("ok", "unstable") and not self.proven(one) else str(one["status"])

    def info(self, model: str) -> Row:
        return next(r["model_info"] for r in self.records if r["model"] == model and r.get("model_info"))


def name(one: Row) -> str:
    return f"{one['runtime']} {one['precision']}"


def ran(one: Row) -> str | None:
    return f"{one['effective']['precision']} on {one['effective']['device']}" if one["effective"] else None


def middle(one: Row) -> float:
    ordered: list[float] = sorted(one["samples_ms"])
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def carried(count: int, percent: int) -> bool:
    """MLPerf's early stopping with one sample beyond: the chance that at most one of so many samples lies above the
    true percentile is at most 1 %; in whole numbers, where nothing is rounded."""
    below, above = percent, 100 - percent
    at_most_one = below**count + count * above * below ** (count - 1)  # of 100 ** count
    return bool(100 * at_most_one <= 100**count)


def percentile(one: Row, percent: int) -> float | None:
    """Nearest rank; given only where the number of samples carries it."""
    ordered: list[float] = sorted(one["samples_ms"])
    if not carried(len(ordered), percent):
        return None
    return ordered[math.ceil(percent * len(ordered) / 100) - 1]


def parts(one: Row) -> list[list[float]]:
    rest = iter(one["samples_ms"])
    return [[next(rest) for _ in range(process["count"])] for process in one["processes"]]


def outliers(samples: list[float]) -> int:
    centre = statistics.median(samples)
    scale = statistics.median(abs(sample - centre) for sample in samples) / statistics.NormalDist().inv_cdf(0.75)
    return sum(abs(sample - centre) > 3 * scale for sample in samples)


def wilson(hits: int, images: int) -> list[float]:
    """Solved from (p - hits / images)^2 = z^2 p (1 - p) / images."""
    z2 = statistics.NormalDist().inv_cdf(0.975) ** 2
    a, b, c = images + z2, -(2 * hits + z2), hits * hits / images
    root = math.sqrt(b * b - 4 * a * c)
    return [max(0.0, (-b - root) / (2 * a)), (-b + root) / (2 * a)]


def answer(raw: Raw) -> Iterator[Row]:
    for model in MODELS:
        cells = [r for r in raw.of("latency", model=model, batch=1) if r["status"] == "ok" and raw.proven(r)]
        cells.sort(key=middle)
        ties = [r for r in cells if r["ci95_ms"][0] <= cells[0]["ci95_ms"][1]]
        (paddle,) = raw.of("latency", model=model, batch=1, runtime="paddle", precision="fp32")
        for one in ties:
            yield {
                "Model": model,
                "Verdict": "tie" if len(ties) > 1 else "fastest",
                "Runtime": name(one),
                "Ran as": ran(one),
                "Median (ms)": middle(one),
                "95 % interval (ms)": one["ci95_ms"],
                "Gain over paddle fp32": middle(paddle) / middle(one),
                "Accuracy": raw.accurate(one),
            }


def latency(raw: Raw) -> Iterator[Row]:
    columns = {(r["batch"], name(r)) for r in raw.of("latency")}
    for model in MODELS:
        row: Row = {"Model": model}
        for batch, runtime in columns:
            found = [r for r in raw.of("latency", model=model, batch=batch) if name(r) == runtime]
            row[f"Batch {batch}, median in ms: {runtime}"] = _speed(raw, found[0]) if found else None
        for batch in (1, 4, 8):
            figure = PUBLISHED[model].v100_ms[batch] if model in PUBLISHED else None
            row[f"Batch {batch}, median in ms: published: V100, TensorRT fp32"] = figure
        yield row


def _speed(raw: Raw, one: Row) -> Any:
    if not raw.speeds(one):
        return raw.status(one)
    return middle(one)


def throughput(raw: Raw) -> Iterator[Row]:
    for one in raw.of("throughput"):
        yield {
            **{"Model": one["model"], "Runtime": name(one), "Batch": one["batch"], "Streams": one["streams"]},
            "Status": "ok",
            "Images per second": max(point["images_per_s"] for point in one["searched"]),
            "95 % interval": one["ci95_images_per_s"],
            "Measured for (s)": one["duration_s"],
            "Points searched": len(one["searched"]),
        }


def server(raw: Raw) -> Iterator[Row]:
    for one in raw.of("server"):
        kept = [p for p in one["points"] if p[f"p{one['percentile']}_ms"] <= one["latency_bound_ms"]]
        for point in one["points"]:
            yield {
                **{"Model": one["model"], "Runtime": name(one), "Status": "ok", "Percentile": one["percentile"]},
                "Bound (ms)": one["latency_bound_ms"],
                "Most queries/s": max(p["qps"] for p in kept),
                "Rate (queries/s)": point["qps_target"],
                **{f"p{percent} (ms)": point[f"p{percent}_ms"] for percent in (50, 90, 99)},
                "Queries": point["count"],
                "Kept the bound": point in kept,
            }


def precision(raw: Raw) -> Iterator[Row]:
    for one in raw.of("latency"):
        same = {key: one[key] for key in ("model", "runtime")}
        exact: Row = next(iter(raw.of("accuracy", **same, precision=one["precision"])), {})
        if not exact and len({r["precision"] for r in raw.of("latency", **same)}) < 2:
            continue
        hits = round(exact["top1"] * exact["images"]) if exact else None
        top1 = hits / exact["images"] if exact and hits is not None else None
        base = raw.of("latency", **same, precision="fp32", batch=one["batch"])
        gains = one["precision"] != "fp32" and raw.speeds(one) and base
        yield {
            **{"Model": one["model"], "Runtime": name(one), "Batch": one["batch"], "Top-1": top1},
            "Accuracy": raw.accurate(one),
            "95 % interval of top-1": wilson(hits, exact["images"]) if hits is not None else None,
            "Change of top-1": top1 - exact["reference_top1"] if top1 is not None else None,
            "McNemar p": exact.get("mcnemar_p"),
            "Status": raw.status(one),
            "Median (ms)": middle(one) if raw.speeds(one) else None,
            "Gain over its own fp32": middle(base[0]) / middle(one) if gains else None,
        }


def cost(raw: Raw) -> Iterator[Row]:
    for one in raw.of("latency"):
        if one["samples_ms"]:
            visible = raw.speeds(one)
            yield {
                **{"Model": one["model"], "Runtime": name(one), "Batch": one["batch"]},
                "Model (MB)": one["memory"]["model_bytes"] / 1e6,
                "Process (MB)": one["peak_memory_bytes"] / 1e6,
                "Device (MB)": None,
                "Load (ms)": statistics.median(p["load_ms"] for p in one["processes"]) if visible else None,
                "First inference (ms)": statistics.median(p["first_ms"] for p in one["processes"]) if visible else None,
            }


def compute(raw: Raw) -> Iterator[Row]:
    for one in raw.of("latency"):
        if raw.speeds(one):
            flop = 2 * raw.info(one["model"])["macs"]["total"] * one["batch"]
            ceiling = raw.environment["ceiling"]["gflops"][one["effective"]["precision"]]
            rate = flop / (middle(one) / 1e3) / 1e9
            yield {
                **{"Model": one["model"], "Runtime": name(one), "Batch": one["batch"], "Ran as": ran(one)},
                "Work (GFLOP)": flop / 1e9,
                "Achieved (GFLOP/s)": rate,
                "Ceiling (GFLOP/s)": ceiling,
                "Share (%)": rate / ceiling * 100,
            }


def accuracy(raw: Raw) -> Iterator[Row]:
    for one in raw.of("accuracy"):
        hits, images, published = round(one["top1"] * one["images"]), one["images"], PUBLISHED.get(one["model"])
        yield {
            **{"Model": one["model"], "Runtime": name(one), "Images": images, "Top-1": hits / images},
            "95 % interval": wilson(hits, images),
            "Top-5": round(one["top5"] * images) / images,
            "Verdict": one["passed"],
            **{"Published top-1": published and published.top1, "Published top-5": published and published.top5},
            "Reference top-1": published and published.reference_top1,
            "Reference top-5": published and published.reference_top5,
        }


def size(raw: Raw) -> Iterator[Row]:
    for model in MODELS:
        published, info = PUBLISHED.get(model), raw.info(model)
        yield {
            "Model": model,
            "FLOPs (G), published": published and published.gmacs,
            "FLOPs (G), counted that way": info["macs"]["published"] / 1e9,
            "GMACs, all": info["macs"]["total"] / 1e9,
            "Params (M), published": published and published.mparams,
            "Params (M), counted that way": info["parameters"]["published"] / 1e6,
            "Params (M), all": info["parameters"]["total"] / 1e6,
        }


def parity(raw: Raw) -> Iterator[Row]:
    for one in raw.of("parity"):
        worst = one["max_abs"]
        yield {
            **{"Model": one["model"], "Runtime": name(one)},
            "Verdict": "passed" if worst <= one["tolerance"]["max_abs"] else "failed",
            **{"Max abs": worst, "Allowed": one["tolerance"]["max_abs"]},
            **{"Paddle's own FP32 error": None, "Factor needed": None},
            **{"Mean abs": one["mean_abs"], "Cosine": one["cosine"], "Top-1 agreement": one["top1_agreement"]},
            **{"Not finite": one["nonfinite"], "Batch-invariant": one["batch_invariant"]},
            **{"Tolerance": one["tolerance"], "Reference": one["reference"], "Inputs": one["inputs"]},
        }


def detail(raw: Raw) -> Iterator[Row]:
    for one in raw.of("latency"):
        visible = raw.speeds(one)
        yield {
            **{"Model": one["model"], "Runtime": name(one), "Batch": one["batch"], "Threads": one["threads"]},
            **{"Ran as": ran(one), "Status": raw.status(one), "Samples": len(one["samples_ms"])},
            "Median (ms)": middle(one) if visible else None,
            "95 % interval (ms)": one["ci95_ms"] if visible else None,
            **{f"p{percent} (ms)": percentile(one, percent) if visible else None for percent in (90, 95, 99)},
        }


def steadiness(raw: Raw) -> Iterator[Row]:
    for one in raw.of("latency"):
        row = {"Model": one["model"], "Runtime": name(one), "Batch": one["batch"], "Status": raw.status(one)}
        names = ("Processes", "Warm-up runs", "CV inside (%)", "CV between (%)", "Outliers", "Half interval (%)")
        known: Row = dict.fromkeys(names)
        if one["samples_ms"]:
            low, high = one["ci95_ms"]
            known |= {
                "Processes": len(one["processes"]),
                "Warm-up runs": [process["warmup_count"] for process in one["processes"]],
                "CV inside (%)": 100 * statistics.median(statistics.pstdev(p) / statistics.mean(p) for p in parts(one)),
                "CV between (%)": 100 * one["interval"]["between_cv"],
                "Outliers": sum(map(outliers, parts(one))),
                "Half interval (%)": 50 * (high - low) / middle(one),
            }
        slowest = max((p["slowdown"] for p in one["processes"] or []), default=None)
        yield row | known | {"Samples": len(one["samples_ms"]), "Slow-down (%)": slowest and 100 * slowest}


def environment(raw: Raw) -> Iterator[Row]:
    def leaves(table: Row, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
        for key, value in table.items():
            if isinstance(value, dict) and value:
                yield from leaves(value, (*path, key))
            else:
                yield (*path, key), value

    for path, value in leaves(raw.environment):
        section = path[0] if len(path) > 1 else ""
        yield {"Section": section or None, "Name": ".".join(path[1:] if section else path), "Value": value}


def missing(raw: Raw) -> Iterator[Row]:
    """What is not well, one by one; the table has the like in one row."""
    for one in raw.records:
        row = {"Models": one["model"], "Runtime": name(one), "Of": one["kind"], "batch": one.get("batch")}
        if one["status"] != "ok":
            yield row | {"Status": one["status"]}
        if one["kind"] in ("latency", "throughput") and raw.status(one) == "unproven":
            yield row | {"Status": "unproven"}


EXPECTED: dict[str, Callable[[Raw], Iterator[Row]]] = {
    **{"answer": answer, "latency": latency, "throughput": throughput, "server": server, "precision": precision},
    **{"cost": cost, "compute": compute, "accuracy": accuracy, "size": size, "parity": parity},
    **{"latency-detail": detail, "steadiness": steadiness, "environment": environment},
}
