"""Which tensors of a file are the model: by names and shapes, said, and refused where it could be something else."""

from __future__ import annotations

import dataclasses
import pickle
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import save_file

from convert.common.errors import InputError
from convert.families.base import ModelSpec
from convert.families.deit import DistilledVisionTransformerSpec
from convert.weights import resolve as weights
from convert.weights.tensors import StateDict
from tests.convert.weights.checkpoint_files import TOY, Arrays, as_jax, assert_same, drawn, save, transposed

DEIT = DistilledVisionTransformerSpec(**{f.name: getattr(TOY, f.name) for f in dataclasses.fields(TOY)})


def resolved(folder: Path, content: Any, key: str | None = None, spec: ModelSpec = TOY) -> StateDict:
    path = folder / "a.pdparams"
    path.write_bytes(pickle.dumps(content, 4))
    return weights.resolve(str(path), spec, key)


def note(state: StateDict) -> str:
    (found,) = state.notes
    assert found.startswith("a.pdparams: ")
    return found.removeprefix("a.pdparams: ")


def prefixed(prefix: str, arrays: Arrays) -> Arrays:
    return {prefix + name: array for name, array in arrays.items()}


@pytest.mark.parametrize(
    "prefix", ["module.", "_layers.", "backbone.", "model.", "encoder.", "student.", "module.model.", "net.0.", "a/b/"]
)
def test_a_prefix_is_taken_off_and_said(tmp_path: Path, prefix: str) -> None:
    state = resolved(tmp_path, prefixed(prefix, drawn()))
    assert_same(state, drawn())
    assert note(state) == f"the prefix {prefix} was taken off its names"


def test_a_prefix_before_jax_names(tmp_path: Path) -> None:
    state = weights.resolve(save(tmp_path / "a.npz", prefixed("opt/target/", as_jax(drawn()))), TOY)
    assert_same(state, drawn())


def test_tensors_beside_a_prefix_are_said(tmp_path: Path) -> None:
    extra = {"head_teacher.weight": np.ones((8, 5), np.float32), "criterion.scale": np.ones(1, np.float32)}
    state = resolved(tmp_path, {**prefixed("backbone.", drawn()), **extra})
    assert_same(state, drawn())
    assert "not read, 2 tensors beside the model: head_teacher.weight, criterion.scale" in note(state)


def test_tensors_that_are_not_known_are_refused_with_a_prefix_too(tmp_path: Path) -> None:
    extra = {"module.blocks.0.attn.lora_a": np.ones((8, 2), np.float32)}
    with pytest.raises(InputError, match=r"unexpected blocks\.0\.attn\.lora_a \(8, 2\)"):
        resolved(tmp_path, {**prefixed("module.", drawn()), **extra})


def test_what_training_adds_is_read_past_and_said(tmp_path: Path) -> None:
    state = resolved(tmp_path, {**drawn(), "norm.num_batches_tracked": np.array(7), "epoch": 12, "tag": "x"})
    assert_same(state, drawn())
    assert "no use outside of training: norm.num_batches_tracked" in note(state)
    assert "no tensors: epoch (a number), tag (a text)" in note(state)


@pytest.mark.parametrize("path", [("model",), ("state_dict",), ("net", "weights")])
def test_an_entry_is_found_and_said(tmp_path: Path, path: tuple[str, ...]) -> None:
    content: Any = drawn()
    for name in reversed(path):
        content = {name: content, "epoch": 3}
    content["optimizer"] = {"state": {0: {"exp_avg": np.ones(3)}}}
    state = resolved(tmp_path, content)
    assert_same(state, drawn())
    assert note(state) == f"its entry {'.'.join(path)} was taken; its entries epoch, optimizer were not read"


@pytest.mark.parametrize("average", ["state_dict_ema", "ema", "model_ema", "ema.module"])
def test_an_average_beside_it_is_said_and_can_be_chosen(tmp_path: Path, average: str) -> None:
    other: Any = drawn(seed=4)
    outer, *inner = average.split(".")
    content = {"state_dict": drawn(), outer: {inner[0]: other} if inner else other}
    state = resolved(tmp_path, content)
    assert_same(state, drawn())
    assert f"{average} would fit too (--weights-key {average})" in note(state)
    chosen = resolved(tmp_path, content, average)
    assert_same(chosen, other)
    assert chosen.origin.key == average
    assert_same(resolved(tmp_path, content, "state_dict"), drawn())


@pytest.mark.parametrize("nested", [True, False])
def test_two_models_in_a_file_are_refused_and_named(tmp_path: Path, nested: bool) -> None:
    student, teacher = drawn(), drawn(seed=4)
    content: Any = {**prefixed("Student.", student), **prefixed("Teacher.", teacher)}
    if nested:
        content = {"Student": prefixed("module.", student), "Teacher": prefixed("module.", teacher)}
    labels = "Student.module, Teacher.module" if nested else "Student, Teacher"
    with pytest.raises(InputError, match=f"several state dicts of this model: {labels}; say which with --weights-key"):
        resolved(tmp_path, content)
    for key, expected in (("Student", student), ("Teacher", teacher), ("Teacher.", teacher)):
        assert_same(resolved(tmp_path, content, key), expected)


def test_a_key_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"--weights-key best: .*; there is state_dict$"):
        resolved(tmp_path, {"state_dict": drawn()}, "best")
    with pytest.raises(InputError, match=r"--weights-key seeds: drawn weights are one state dict"):
        weights.resolve("seeded:3", TOY, "seeds")


def test_a_key_is_part_of_what_the_weights_are_known_by(tmp_path: Path) -> None:
    state = resolved(tmp_path, {"a": drawn(), "b": drawn(seed=4)}, "b")
    found = weights.fingerprint(str(tmp_path / "a.pdparams"), TOY, "b")
    assert found == state.origin
    assert found != weights.fingerprint(str(tmp_path / "a.pdparams"), TOY, "a")


@pytest.mark.parametrize("suffix", [".pdparams", ".safetensors", ".npz"])
@pytest.mark.parametrize("turned", [True, False])
def test_shapes_prove_how_linear_weights_lie(tmp_path: Path, suffix: str, turned: bool) -> None:
    usual = {".pdparams": False, ".safetensors": True, ".npz": False}[suffix]
    state = weights.resolve(save(tmp_path / f"a{suffix}", transposed(drawn()) if turned else drawn()), TOY)
    assert_same(state, drawn())
    words = "as PyTorch's, (out, in)" if turned else "as Paddle's, (in, out)"
    expected = () if turned == usual else (f"a{suffix}: its Linear weights lie {words}, by their shapes",)
    assert state.notes == expected


def test_linear_weights_that_lie_in_two_ways_are_refused(tmp_path: Path) -> None:
    arrays = {**drawn(), "blocks.1.mlp.fc2.weight": transposed(drawn())["blocks.1.mlp.fc2.weight"]}
    with pytest.raises(InputError, match=r"two ways.*as Paddle's.*; blocks\.1\.mlp\.fc2\.weight as PyTorch's"):
        resolved(tmp_path, arrays)


def test_a_suffix_that_is_wrong_is_said(tmp_path: Path) -> None:
    save_file(transposed(drawn()), tmp_path / "a.pdparams")
    state = weights.resolve(str(tmp_path / "a.pdparams"), TOY)
    assert_same(state, drawn())
    assert note(state) == "whatever its name says, it is a safetensors file"


def test_bfloat16_of_paddle(tmp_path: Path) -> None:
    """Paddle writes it as 16-bit integers; LayerNorms may have stayed float32."""
    arrays = drawn()
    held = {
        name: array if "norm" in name else array.astype(ml_dtypes.bfloat16).view(np.uint16)
        for name, array in arrays.items()
    }
    state = resolved(tmp_path, held)
    expected = {n: a if "norm" in n else a.astype(ml_dtypes.bfloat16).astype(np.float32) for n, a in arrays.items()}
    assert_same(state, expected)
    count = sum("norm" not in name for name in arrays)
    assert note(state) == f"{count} of its tensors are bfloat16, which Paddle writes as uint16"
    with pytest.raises(InputError, match=r"not of floating-point numbers: norm\.bias \(int16\)"):
        resolved(tmp_path, {**held, "norm.bias": np.zeros(8, np.int16)})


def as_hugging_face(arrays: Arrays, base: str, heads: dict[str, str]) -> Arrays:
    """The arrays under the names of transformers, Linear weights (out, in)."""
    names = {
        "cls_token": f"{base}.embeddings.cls_token",
        "dist_token": f"{base}.embeddings.distillation_token",
        "pos_embed": f"{base}.embeddings.position_embeddings",
        "patch_embed.proj": f"{base}.embeddings.patch_embeddings.projection",
        "norm": f"{base}.layernorm",
        **heads,
    }
    layers = {
        "norm1": "layernorm_before",
        "norm2": "layernorm_after",
        "attn.proj": "attention.output.dense",
        "mlp.fc1": "intermediate.dense",
        "mlp.fc2": "output.dense",
    }
    found = {}
    for name, array in transposed(arrays).items():
        layer, _, kind = name.rpartition(".")
        if layer.endswith("attn.qkv"):
            start = f"{base}.encoder.layer.{layer.split('.')[1]}.attention.attention"
            for part, rows in zip(("query", "key", "value"), np.split(array, 3), strict=True):
                found[f"{start}.{part}.{kind}"] = rows
        elif layer.startswith("blocks."):
            _, number, rest = layer.split(".", 2)
            found[f"{base}.encoder.layer.{number}.{layers[rest]}.{kind}"] = array
        elif name in names:
            found[names[name]] = array
        else:
            found[f"{names[layer]}.{kind}"] = array
    return found


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("prefix", ["", "model."])
def test_hugging_face_vit(tmp_path: Path, bias: bool, prefix: str) -> None:
    spec = dataclasses.replace(TOY, qkv_bias=bias, mlp_ratio=3)
    arrays = prefixed(prefix, as_hugging_face(drawn(spec), "vit", {"head": "classifier"}))
    pooler = {f"{prefix}vit.pooler.dense.bias": np.ones(8, np.float32)}
    state = weights.resolve(save(tmp_path / "model.safetensors", {**arrays, **pooler}), spec)
    assert_same(state, drawn(spec))
    (said,) = state.notes
    assert "names are those of Hugging Face's transformers" in said
    assert "vit.pooler.dense.bias" in said


def test_hugging_face_names_in_paddles_layout(tmp_path: Path) -> None:
    state = resolved(tmp_path, transposed(as_hugging_face(drawn(), "vit", {"head": "classifier"})))
    assert_same(state, drawn())


def test_hugging_face_deit(tmp_path: Path) -> None:
    two = {"head": "cls_classifier", "head_dist": "distillation_classifier"}
    state = weights.resolve(save(tmp_path / "a.safetensors", as_hugging_face(drawn(DEIT), "deit", two)), DEIT)
    assert_same(state, drawn(DEIT))


def test_hugging_face_deit_with_one_head(tmp_path: Path) -> None:
    """Its logits are those of the class token alone: the mean of twice that and of nothing."""
    arrays = as_hugging_face(drawn(DEIT), "deit", {"head": "classifier", "head_dist": "dropped"})
    arrays = {name: array for name, array in arrays.items() if not name.startswith("dropped")}
    state = weights.resolve(save(tmp_path / "a.safetensors", arrays), DEIT)
    token = np.random.default_rng(0).standard_normal(8).astype(np.float32)
    held = {name: state.tensors[name].read() for name in DEIT.state_shapes() if name.startswith("head")}
    first, second = (token @ held[f"{name}.weight"] + held[f"{name}.bias"] for name in ("head", "head_dist"))
    exact = token @ drawn(DEIT)["head.weight"] + drawn(DEIT)["head.bias"]
    np.testing.assert_allclose((first + second) / 2, exact, rtol=1e-6)
    assert not second.any()


@pytest.mark.parametrize("size", [64, 80])
@pytest.mark.parametrize("spec", [TOY, DEIT])
def test_the_image_size_that_a_file_is_of(tmp_path: Path, size: int, spec: ModelSpec) -> None:
    preprocessing = dataclasses.replace(TOY.preprocessing, resize_short=size, crop=size)
    other = dataclasses.replace(spec, img_size=size, preprocessing=preprocessing)
    with pytest.raises(InputError, match=rf"pos_embed is .* \(the file is of img_size = {size}: set that"):
        resolved(tmp_path, drawn(other), spec=spec)  # type: ignore[arg-type]
