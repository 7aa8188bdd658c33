"""A toy's weights as files of each layout that users have."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
from safetensors.numpy import save_file

from convert import zoo
from convert.families.spec import Preprocessing
from convert.families.vit import VisionTransformerSpec
from convert.weights import checkpoints, seeded
from convert.weights.tensors import Array, StateDict, Stored

Arrays = dict[str, Array]
Form = Callable[[Arrays], Arrays]

TOY = VisionTransformerSpec(
    name="toy",
    img_size=32,
    patch_size=16,
    class_num=5,
    embed_dim=8,
    depth=2,
    num_heads=2,
    qkv_bias=True,
    preprocessing=Preprocessing(32, 32),
)
BASE = zoo.MODELS["ViT_base_patch16_224"]


def drawn(spec: VisionTransformerSpec = TOY, seed: int = 9) -> Arrays:
    return {name: tensor.read() for name, tensor in seeded.tensors(seed, spec).items()}


def transposed(arrays: Arrays) -> Arrays:
    return {name: np.ascontiguousarray(array.T) if array.ndim == 2 else array for name, array in arrays.items()}


def as_jax(arrays: Arrays, spec: VisionTransformerSpec = TOY) -> Arrays:
    """The arrays as Google's code would hold them, from what its modules compute."""
    dim, heads = spec.embed_dim, spec.num_heads
    split = (heads, dim // heads)
    jax = {
        "cls": arrays["cls_token"],
        "embedding/kernel": arrays["patch_embed.proj.weight"].transpose(2, 3, 1, 0),
        "embedding/bias": arrays["patch_embed.proj.bias"],
        "Transformer/posembed_input/pos_embedding": arrays["pos_embed"],
        "Transformer/encoder_norm/scale": arrays["norm.weight"],
        "Transformer/encoder_norm/bias": arrays["norm.bias"],
        "head/kernel": arrays["head.weight"],
        "head/bias": arrays["head.bias"],
    }
    for i in range(spec.depth):
        block, key = f"blocks.{i}", f"Transformer/encoderblock_{i}"
        attention = f"{key}/MultiHeadDotProductAttention_1"
        weight, bias = arrays[f"{block}.attn.qkv.weight"], arrays.get(f"{block}.attn.qkv.bias")
        for position, part in enumerate(("query", "key", "value")):
            columns = slice(position * dim, (position + 1) * dim)
            jax[f"{attention}/{part}/kernel"] = weight[:, columns].reshape(dim, *split)
            if bias is not None:
                jax[f"{attention}/{part}/bias"] = bias[columns].reshape(split)
        jax[f"{attention}/out/kernel"] = arrays[f"{block}.attn.proj.weight"].reshape(*split, dim)
        jax[f"{attention}/out/bias"] = arrays[f"{block}.attn.proj.bias"]
        for ours, theirs, name in (
            ("norm1", "LayerNorm_0", "scale"),
            ("norm2", "LayerNorm_2", "scale"),
            ("mlp.fc1", "MlpBlock_3/Dense_0", "kernel"),
            ("mlp.fc2", "MlpBlock_3/Dense_1", "kernel"),
        ):
            jax[f"{key}/{theirs}/{name}"] = arrays[f"{block}.{ours}.weight"]
            jax[f"{key}/{theirs}/bias"] = arrays[f"{block}.{ours}.bias"]
    return jax


def save(path: Path, arrays: Arrays) -> str:
    if path.suffix == ".pdparams":
        path.write_bytes(pickle.dumps(arrays, 4))
    elif path.suffix == ".safetensors":
        save_file(arrays, path)
    else:
        np.savez(path, **cast(dict[str, Any], arrays))
    return str(path)


def tensors(path: Path) -> Mapping[str, Stored]:
    """Those of a file that holds nothing else."""
    (table,) = checkpoints.read(path).tables
    assert not table.key
    return table.tensors


def assert_same(state: StateDict, arrays: Arrays) -> None:
    assert state.tensors.keys() == arrays.keys()
    for name, expected in arrays.items():
        found = state.tensors[name].read()
        assert state.tensors[name].shape == found.shape == expected.shape
        assert found.dtype == np.float32
        assert found.flags.c_contiguous
        assert np.array_equal(found, expected)


FILES: dict[str, Form] = {".pdparams": dict, ".safetensors": transposed, ".npz": as_jax}
