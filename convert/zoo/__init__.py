"""The models that are known by name, with their published figures: one TOML file per family, in the words of a spec.

Nothing here imports Paddle.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from convert.families.base import ModelSpec, from_spec_table

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


@dataclass(frozen=True)
class Published:
    """A model's row on PaddleClas' page on its family; None where the page says nothing.

    Accuracies are fractions on the 50,000 images of ILSVRC 2012 validation; `reference_*` are those of the original
    authors. gmacs: the column "FLOPs (G)", which counts multiply-accumulates of convolutions and linear layers only.
    mparams: "Params (M)", without pos_embed and the class tokens. v100_ms: batch -> ms, FP32, TensorRT 8.0.3.4 on a
    V100.
    """

    top1: float
    top5: float
    reference_top1: float
    reference_top5: float | None
    gmacs: float
    mparams: float
    v100_ms: Mapping[int, float]


def _published(table: Mapping[str, Any]) -> Published:
    latencies = {int(batch): float(ms) for batch, ms in table["v100_ms"].items()}
    return Published(**{"reference_top5": None, **table, "v100_ms": latencies})


def _read() -> tuple[dict[str, ModelSpec], dict[str, Published]]:
    """Every model and its figures by name, the default family's first. A file is named after its family."""
    models: dict[str, ModelSpec] = {}
    published: dict[str, Published] = {}
    for file in sorted(Path(__file__).parent.glob("*.toml"), reverse=True):
        for name, table in tomllib.loads(file.read_text(encoding="utf-8")).items():
            published[name] = _published(table.pop("published"))
            models[name] = from_spec_table({"name": name, "family": file.stem, **table})
    return models, published


MODELS, PUBLISHED = _read()
# What `all` stands for, and the README's seven models.
SEVEN = tuple(name for name, spec in MODELS.items() if spec.family == "vit")
DEFAULT_MODEL = "ViT_base_patch32_384"
