"""The models that are known by name, with their published figures: one TOML file per family, in the words of a spec,
and one of models that come as the official inference model.

Nothing here imports Paddle.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from convert.families.base import ModelSpec, from_spec_table
from convert.families.spec import Preprocessing, from_table

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
    V100. with_attention: whether the page's FLOPs have both products of the attention in them, as Swin's authors count.
    """

    top1: float
    top5: float
    reference_top1: float | None
    reference_top5: float | None
    gmacs: float
    mparams: float
    v100_ms: Mapping[int, float] = field(default_factory=dict)
    with_attention: bool = False


@dataclass(frozen=True)
class HostedModel:
    """A model that there is no layer for, and that comes as the official inference model.

    group: of PaddleClas' configurations. paddlex: whether PaddleX hosts it; PaddleClas hosts each. preprocessing: None
    where vitbench cannot do it, and lacks says what of it. published: None where PaddleClas' pages have no row.
    """

    name: str
    group: str
    paddlex: bool = False
    preprocessing: Preprocessing | None = None
    lacks: str = ""
    published: Published | None = None


def _published(table: Mapping[str, Any]) -> Published:
    latencies = {int(batch): float(ms) for batch, ms in table.get("v100_ms", {}).items()}
    return Published(**{"reference_top1": None, "reference_top5": None, **table, "v100_ms": latencies})


def _read() -> tuple[dict[str, ModelSpec], dict[str, Published], dict[str, tuple[str, ...]]]:
    """Every model and its figures by name, and the names in each file. A file's models are of the family that it is
    named after, but for those that name another."""
    models: dict[str, ModelSpec] = {}
    published: dict[str, Published] = {}
    listed: dict[str, tuple[str, ...]] = {}
    for group in _GROUPS:
        tables = tomllib.loads((Path(__file__).parent / f"{group}.toml").read_text(encoding="utf-8"))
        listed[group] = tuple(tables)
        for name, table in tables.items():
            published[name] = _published(table.pop("published"))
            models[name] = from_spec_table({"name": name, "family": group, **table})
    return models, published, listed


def _hosted() -> tuple[dict[str, HostedModel], dict[str, str]]:
    """The models of `inference.toml`, and the addresses of the places where they are."""
    tables = tomllib.loads((Path(__file__).parent / "inference.toml").read_text(encoding="utf-8"))
    places, models = tables.pop("places"), {}
    for name, table in tables.items():
        if "preprocessing" in table:
            table["preprocessing"] = from_table(Preprocessing, table["preprocessing"])
        if "published" in table:
            table["published"] = _published(table["published"])
        models[name] = HostedModel(name, **table)
    return models, places


_GROUPS = ("vit", "deit", "swin")  # the seven come first
MODELS, PUBLISHED, LISTED = _read()
HOSTED, PLACES = _hosted()
PUBLISHED |= {name: one.published for name, one in HOSTED.items() if one.published}
# What `all` stands for, and the README's seven models.
SEVEN = LISTED["vit"]
DEFAULT_MODEL = "ViT_base_patch32_384"
