"""Weights as files: each layout is read as the same model, and a wrong one is refused in its own names."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from convert.common.errors import InputError
from convert.families.base import Layout, load_spec
from convert.manifest import WeightsOrigin
from convert.weights import resolve as weights
from convert.weights import seeded
from convert.weights.tensors import Array
from tests.convert.weights.checkpoint_files import FILES, TOY, Form, as_jax, assert_same, drawn, save


@pytest.mark.parametrize(("suffix", "form"), FILES.items())
def test_files(tmp_path: Path, suffix: str, form: Form) -> None:
    arrays = drawn()
    given = save(tmp_path / f"toy{suffix}", form(arrays))
    state = weights.resolve(given, TOY)
    assert_same(state, arrays)
    assert (state.origin.kind, state.origin.source, state.origin.note) == ("file", given, "")
    assert state.origin.sha256 == hashlib.sha256(Path(given).read_bytes()).hexdigest()
    assert weights.fingerprint(given, TOY) == WeightsOrigin(kind="file", source=given, sha256=state.origin.sha256)


@pytest.mark.parametrize(("suffix", "form"), FILES.items())
def test_files_of_a_model_without_qkv_bias(tmp_path: Path, suffix: str, form: Form) -> None:
    spec = dataclasses.replace(TOY, qkv_bias=False, mlp_ratio=3)
    given = save(tmp_path / f"toy{suffix}", form(drawn(spec)))
    assert_same(weights.resolve(given, spec), drawn(spec))
    with pytest.raises(InputError, match=r"missing .*(qkv|query).bias"):
        weights.resolve(given, dataclasses.replace(spec, qkv_bias=True))


def test_jax_attention_is_the_same_attention() -> None:
    """Query, key and value of a token, as Flax computes them and as PaddleClas unpacks them, and the way out."""
    pieces = cast(Layout, TOY.jax_layout())
    random = np.random.default_rng(0)

    def of(name: str) -> tuple[list[Array], Array]:
        arrays = [random.normal(size=shape) for shape in pieces[name].parts.values()]
        return arrays, pieces[name].join(*arrays)

    token = random.normal(size=8)
    (kernels, weight), (biases, bias) = of("blocks.1.attn.qkv.weight"), of("blocks.1.attn.qkv.bias")
    unpacked = (token @ weight + bias).reshape(3, 2, 4)  # (which, head, within the head)
    for found, kernel, offset in zip(unpacked, kernels, biases, strict=True):
        assert np.allclose(found, np.einsum("d,dhk->hk", token, kernel) + offset)
    (kernels, weight) = of("blocks.1.attn.proj.weight")
    assert np.allclose(unpacked[2].reshape(8) @ weight, np.einsum("hk,hkd->d", unpacked[2], kernels[0]))


@pytest.mark.parametrize("kind", ["float16", "float64", ">f4"])
def test_other_floats_become_float32(tmp_path: Path, kind: str) -> None:
    arrays = {name: array.astype(kind) for name, array in drawn().items()}
    state = weights.resolve(save(tmp_path / "a.pdparams", arrays), TOY)
    assert_same(state, {name: array.astype(np.float32) for name, array in arrays.items()})


def test_missing_unexpected_and_misshapen_tensors_in_one_line(tmp_path: Path) -> None:
    arrays = drawn()
    del arrays["norm.bias"]
    arrays["dist_token"] = np.zeros((1, 1, 8), np.float32)
    arrays["pos_embed"] = arrays["pos_embed"][:, :4]
    with pytest.raises(InputError) as caught:
        weights.resolve(save(tmp_path / "a.pdparams", arrays), TOY)
    assert caught.value.message == (
        f"{tmp_path / 'a.pdparams'}: not the weights of toy: missing norm.bias (8,); unexpected dist_token (1, 1, 8); "
        "pos_embed is (1, 4, 8) instead of (1, 5, 8)"
    )


def test_a_long_list_is_cut_and_a_hostile_name_is_kept_on_the_line(tmp_path: Path) -> None:
    arrays = {**{f"x{i}": np.zeros(1, np.float32) for i in range(9)}, **drawn()}
    arrays = {"two\nlines": np.zeros(1, np.float32), **arrays}
    with pytest.raises(InputError, match=r"unexpected 'two\\nlines' \(1,\), x0 .*x3 \(1,\) and 5 more$") as caught:
        weights.resolve(save(tmp_path / "a.pdparams", arrays), TOY)
    assert "\n" not in caught.value.message


def test_faults_of_an_npz_are_told_in_its_own_names(tmp_path: Path) -> None:
    arrays = as_jax(drawn())
    del arrays["Transformer/encoderblock_1/MultiHeadDotProductAttention_1/key/bias"]
    arrays["pre_logits/kernel"] = np.zeros((8, 8), np.float32)
    arrays["embedding/kernel"] = arrays["embedding/kernel"][:8]
    with pytest.raises(InputError) as caught:
        weights.resolve(save(tmp_path / "a.npz", arrays), TOY)
    message = caught.value.message
    assert "missing Transformer/encoderblock_1/MultiHeadDotProductAttention_1/key/bias (2, 4);" in message
    assert "unexpected pre_logits/kernel (8, 8);" in message
    assert "embedding/kernel is (8, 16, 3, 8) instead of (16, 16, 3, 8)" in message


@pytest.mark.parametrize(("suffix", "form"), FILES.items())
def test_another_number_of_classes_gets_a_hint(tmp_path: Path, suffix: str, form: Form) -> None:
    given = save(tmp_path / f"a{suffix}", form(drawn(dataclasses.replace(TOY, class_num=7))))
    with pytest.raises(InputError, match=r"set class_num = 7 in a \.toml model spec"):
        weights.resolve(given, TOY)


@pytest.mark.parametrize("wrong", [np.zeros(8, np.int64), np.zeros(8, bool), np.array([None] * 8, object)])
def test_what_are_no_floats(tmp_path: Path, wrong: Array) -> None:
    given = save(tmp_path / "a.pdparams", {**drawn(), "norm.bias": wrong})
    with pytest.raises(InputError, match=rf"not of floating-point numbers: norm\.bias \({wrong.dtype.name}\)"):
        weights.resolve(given, TOY)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300])
def test_what_is_not_finite_is_found_when_it_is_read(tmp_path: Path, value: float) -> None:
    arrays = drawn()
    arrays["head.bias"] = arrays["head.bias"].astype(np.float64)
    arrays["head.bias"][3] = value
    state = weights.resolve(save(tmp_path / "a.pdparams", arrays), TOY)
    state.tensors["head.weight"].read()
    with pytest.raises(InputError, match=r"a\.pdparams: head\.bias holds NaN or infinite values"):
        state.tensors["head.bias"].read()


def test_tensors_are_read_from_the_file_one_by_one(tmp_path: Path) -> None:
    for suffix in (".safetensors", ".npz"):
        given = save(tmp_path / f"a{suffix}", FILES[suffix](drawn()))
        tensors = weights.resolve(given, TOY).tensors
        tensors["norm.bias"].read()
        os.unlink(given)  # noqa: PTH108
        with pytest.raises(InputError, match=r"(head\.bias|head/bias) cannot be read .*get the file anew"):
            tensors["head.bias"].read()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=150)
@given(suffix=st.sampled_from(list(FILES)), data=st.data())
def test_a_damaged_file_is_an_input_error_or_harmless(tmp_path: Path, suffix: str, data: st.DataObject) -> None:
    path = tmp_path / f"a{suffix}"
    save(path, FILES[suffix](drawn()))
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.one_of(st.none(), st.integers(0, len(content))))])
    try:
        for tensor in weights.resolve(str(path), TOY).tensors.values():
            tensor.read()
    except InputError as error:
        message = error.message
    else:
        return
    assert str(path) in message
    assert "\n" not in message


def test_a_trained_model_of_pytorch(shared_data: Path) -> None:
    folder = shared_data / "vit_tiny"
    spec = load_spec(folder / "vit_tiny_patch16_224.toml")
    state = weights.resolve(str(folder / "vit_tiny_patch16_224.safetensors"), spec)
    assert {name: tensor.read().shape for name, tensor in state.tensors.items()} == spec.state_shapes()
    assert sum(tensor.read().size for tensor in state.tensors.values()) == 5_717_416
    for name, tensor in seeded.tensors(0, spec).items():
        if name.endswith("weight") and len(tensor.shape) == 2:  # what is seeded has the spread of what is trained
            assert 1 / 3 < tensor.read().std() / state.tensors[name].read().std() < 3
