"""`config.json` beside a file of weights, which says what no shape shows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from convert.common.errors import InputError
from convert.families.vit import VisionTransformerSpec
from convert.weights.side_config import refuse_another

SPEC = VisionTransformerSpec(name="mine", embed_dim=48, depth=2, num_heads=3, epsilon=1e-6)
OWN = {"num_attention_heads": 3, "layer_norm_eps": 1e-6, "hidden_act": "gelu", "hidden_size": 48}


def beside(folder: Path, content: Any) -> Path:
    (folder / "config.json").write_text(content if isinstance(content, str) else json.dumps(content))
    return folder / "model.safetensors"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"num_attention_heads": 6}, "num_attention_heads = 6, and mine has num_heads = 3"),
        ({"layer_norm_eps": 1e-12}, "layer_norm_eps = 1e-12, and mine has epsilon = 1e-06"),
        ({"hidden_act": "quick_gelu"}, "hidden_act = quick_gelu, and mine has gelu"),
        ({"num_attention_heads": "3"}, "num_attention_heads = 3"),
        ({"hidden_act": ["a\n"]}, "hidden_act"),
    ],
)
def test_another_model_is_refused(tmp_path: Path, change: Any, words: str) -> None:
    with pytest.raises(InputError, match=f"config.json beside it says {words}.*correct the .toml"):
        refuse_another(beside(tmp_path, OWN | change), SPEC)


@pytest.mark.parametrize("content", [OWN, {"architecture": "vit_tiny"}, [], "{", "[" * 100000, {"hidden_act": "relu"}])
def test_its_own_and_what_is_none(tmp_path: Path, content: Any) -> None:
    refuse_another(beside(tmp_path, content), SPEC)
    refuse_another(tmp_path / "elsewhere" / "model.bin", SPEC)
