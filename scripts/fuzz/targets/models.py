"""Graphs: ONNX files that are held against an artifact, and Paddle inference models that are converted."""

from __future__ import annotations

import shutil
from pathlib import Path

import onnx

from convert.build import Request, obtain
from scripts.fuzz.target import Target, run
from scripts.fuzz.targets.artifacts import toy
from validate.bisect.__main__ import main as bisect

_DATA = Path(__file__).parents[3] / "tests" / "convert" / "data"


def _make_onnx(folder: Path) -> None:
    artifact = toy(folder / "toy")
    onnx.save(onnx.load(artifact.onnx), folder / "toy" / "other.onnx")


def _look_at_onnx(folder: Path) -> None:
    words = ("--model", folder / "toy.toml", "--artifacts", folder / "artifacts", "--runtime", "ort-cpu")
    run(bisect, *words, "--onnx", folder / "other.onnx", "--out", folder / "out")


def _is_other(file: Path) -> bool:
    return file.name == "other.onnx"


def _make_paddle(folder: Path) -> None:
    for name in ("pir", "pdmodel"):
        shutil.copytree(_DATA / name, folder / name)


def _look_at_paddle(folder: Path) -> None:
    obtain(Request(str(folder), root=folder / "artifacts"), lambda text: None)


TARGETS = [
    Target("onnx", _make_onnx, _look_at_onnx, _is_other, memory_gb=6),
    Target("paddle", _make_paddle, _look_at_paddle, memory_gb=6),
]
