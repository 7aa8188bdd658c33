"""Artifacts whose manifest is not as it was written, and files that grow while vitbench measures."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from convert import artifact as artifacts
from convert import cli
from convert.build import Request, obtain
from convert.manifest import to_table
from convert.model_options import ModelOptions
from runtimes import registry
from runtimes.base import Options
from runtimes.bench.schedule.outcome import VisitOutcome, Visits
from runtimes.records import blank
from runtimes.records.kinds import Latency
from scripts.fuzz.mutations import CHECKS
from scripts.fuzz.target import Target
from validate.accuracy import top5_file

SPEC = """
name = "toy"
img_size = 32
patch_size = 16
class_num = 7
embed_dim = 16
depth = 1
num_heads = 2
mlp_ratio = 2
qkv_bias = true
epsilon = 1e-6
[preprocessing]
resize_short = 36
crop = 32
"""


def toy(folder: Path, precision: str = "fp32") -> artifacts.Artifact:
    """An artifact of a tiny model, below a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "toy.toml").write_text(SPEC)
    request = Request(str(folder / "toy.toml"), "seeded", precision, root=folder / "artifacts")
    return obtain(request, lambda text: None)[0]


def _make(folder: Path) -> None:
    for precision in ("fp32", "fp16"):
        toy(folder / precision, precision)
        (folder / precision / "artifacts" / "toy" / "fp32" / "reference").mkdir()


def _look(folder: Path) -> Any:
    """What the artifact is to whoever reads it, and to who would make it again."""
    precision = folder.name
    artifact = artifacts.load(folder / "artifacts" / "toy" / precision)
    about = [
        artifact.sha256,
        artifact.base.sha256,
        artifact.spec,
        artifact.no_batch(1),
        artifact.preprocessing_is_models,
    ]
    blank.start(Latency, artifact, registry.get("ort-cpu"), Options(precision=precision))
    artifacts.refuse_others_files(artifact.path)
    for named in ("seeded", None):
        request = Request(str(folder / "toy.toml"), named, precision, root=folder / "artifacts")
        cli.there(request)
    return [*about, artifact.damage(), artifact.arguments(ModelOptions()), to_table(artifact.manifest)]


def _is_manifest(file: Path) -> bool:
    return file.name == artifacts.MANIFEST


def has_checks(folder: Path) -> bool:
    """Whether each document still says what it was written as."""
    files = [file for file in folder.rglob("*") if file.name == artifacts.MANIFEST or file.suffix == ".jsonl"]
    lines = [line for file in files for line in _lines(file)]
    return all(any(f'"{name}":' in line for name in CHECKS) for line in lines)


def _lines(file: Path) -> list[str]:
    text = file.read_text(encoding="utf-8", errors="replace")
    return [text] if file.suffix == ".json" else [line for line in text.split("\n") if line.strip()]


_SAMPLES = (1.5, 1.25)
_RANKED = [[3, 1, 2, 0, 4], None, *([number, 0, 1, 2, 3] for number in range(4, 8))]


def _make_growing(folder: Path) -> None:
    (folder / "run").mkdir()
    visits = Visits(folder / "run")
    numbers = {"samples_ms": _SAMPLES, "warmup_ms": [2.0], "steady": True, "images_per_s": 12.5, "duration_s": 2.5}
    for key in "abc":
        visits.add(key, VisitOutcome.read({"numbers": numbers, "speed_ms": [1.5, 2.5], "seconds": 0.5}))
    _ranked(folder / "run").add(range(len(_RANKED)), _RANKED)


def _ranked(folder: Path) -> top5_file.Ranked:
    return top5_file.Ranked(folder / "a.top5", {"artifact": "a"}, len(_RANKED), 10, resume=True)


def _look_growing(folder: Path) -> None:
    """What is taken up again. Losing some of it is no fault: it is made again. Anything else would be one."""
    told = has_checks(folder) and all(re.search(r",[0-9a-f]{8}$", one) for one in _lines(folder / "a.top5")[1:])
    visits, ranked = Visits.stored(folder).of, _ranked(folder)
    top5_file.load(folder / "a.top5", len(_RANKED), 10)
    if told:
        assert all(one.numbers and one.numbers.samples_ms == _SAMPLES for all in visits.values() for one in all)
        assert all(row in (_RANKED[i], [-1] * 5, [-2, *[-1] * 4]) for i, row in enumerate(ranked.top.tolist()))


TARGETS = [Target("manifests", _make, _look, _is_manifest, has_checks), Target("growing", _make_growing, _look_growing)]
