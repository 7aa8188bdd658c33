"""What `config.json` beside a file of weights says, as Hugging Face's transformers write it: what no shape shows.

A model of the same shapes with other heads, another epsilon or another activation loads and answers wrongly.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from convert.common.errors import InputError, shown
from convert.families.base import ModelSpec

_FILE = "config.json"
_MOST_BYTES = 1 << 20
# transformers' ViTConfig -> the field of a spec.
_FIELDS = {"num_attention_heads": "num_heads", "layer_norm_eps": "epsilon"}
_ACTIVATION = "gelu"  # with erf: that of every family here; `gelu_new` and `quick_gelu` are other functions


def refuse_another(weights: Path, spec: ModelSpec) -> None:
    """InputError where the `config.json` beside a file of weights is of another model than the spec.

    Nothing where there is none, or it is no configuration of transformers.
    """
    file = weights.with_name(_FILE)
    config = _read(file)
    if "num_attention_heads" not in config:
        return
    faults = [
        f"{key} = {shown(str(config[key]), 40)}, and {spec.name} has {field} = {getattr(spec, field)}"
        for key, field in _FIELDS.items()
        if key in config and hasattr(spec, field) and not _equal(config[key], getattr(spec, field))
    ]
    activation = config.get("hidden_act", _ACTIVATION)
    if activation != _ACTIVATION:
        faults.append(f"hidden_act = {shown(str(activation), 40)}, and {spec.name} has {_ACTIVATION}")
    if faults:
        raise InputError(
            f"{weights}: {file.name} beside it says {'; '.join(faults)}: correct the .toml model spec, or take the file"
            " away if it is of another model"
        )


def _read(file: Path) -> dict[str, Any]:
    try:
        if file.stat().st_size > _MOST_BYTES:
            return {}
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _equal(one: object, other: float) -> bool:
    return isinstance(one, (int, float)) and math.isclose(one, other, rel_tol=1e-6)
