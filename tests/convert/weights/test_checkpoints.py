from __future__ import annotations

import json
import os
import pickle
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from convert.common.errors import InputError
from convert.weights import checkpoints
from convert.weights.files.index import NotReadError
from tests.convert.weights.checkpoint_files import tensors

ARRAY = np.arange(6, dtype=np.float32).reshape(2, 3)


def pickled(path: Path, content: object, protocol: int = 4) -> Path:
    path.write_bytes(pickle.dumps(content, protocol))
    return path


@pytest.fixture(scope="module")
def paddle_layer() -> tuple[Any, Any]:
    import paddle

    return paddle, paddle.nn.Linear(3, 2)


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_what_paddle_saves(paddle_layer: tuple[Any, Any], tmp_path: Path, protocol: int) -> None:
    paddle, layer = paddle_layer
    path = tmp_path / "a.pdparams"
    paddle.save(layer.state_dict(), str(path), protocol=protocol)
    found = tensors(path)
    assert list(found) == ["weight", "bias"]
    assert np.array_equal(found["weight"].load(), layer.weight.numpy())
    assert np.array_equal(found["bias"].load(), layer.bias.numpy())


def test_what_paddle_2_0_saved(paddle_layer: tuple[Any, Any], tmp_path: Path) -> None:
    """With the table of parameter names, which is no tensor; and a list of tensors, each a pair with its name."""
    paddle, layer = paddle_layer
    from paddle.framework.io import _legacy_save

    _legacy_save(layer.state_dict(), str(tmp_path / "a.pdparams"))
    assert b"StructuredToParameterName@@" in (tmp_path / "a.pdparams").read_bytes()
    assert list(tensors(tmp_path / "a.pdparams")) == ["weight", "bias"]
    paddle.save([layer.weight], str(tmp_path / "b.pdparams"))
    assert b"tuple" in (tmp_path / "b.pdparams").read_bytes()
    pair = pickle.loads((tmp_path / "b.pdparams").read_bytes())[0]
    found = tensors(pickled(tmp_path / "c.pdparams", {"weight": pair}))
    assert np.array_equal(found["weight"].load(), layer.weight.numpy())


def test_tensors_that_were_cut_up_are_put_together(tmp_path: Path) -> None:
    content = {
        "a": ARRAY,
        "b@@.0": np.arange(4, dtype=np.float32),
        "b@@.1": np.arange(4, 6, dtype=np.float32),
        "UnpackBigParamInfor@@": {"b": {"OriginShape": (3, 2), "slices": ["b@@.0", "b@@.1"]}},
    }
    found = tensors(pickled(tmp_path / "a.pdparams", content, 2))
    assert list(found) == ["a", "b"]
    assert found["b"].shape == (3, 2)
    assert found["b"].load().tolist() == [[0, 1], [2, 3], [4, 5]]


def test_that_paddle_cuts_up_as_is_read_here(paddle_layer: tuple[Any, Any]) -> None:
    from paddle.framework.io_utils import _unpack_saved_dict

    class Large(np.ndarray):
        """Claims to be large without being so."""

        shape: Any = (1 << 15, 1 << 14)

        def flatten(self) -> Any:  # type: ignore[override]
            return ARRAY

    found = _unpack_saved_dict({"b": ARRAY.view(Large)}, 2)
    assert found.keys() == {"b@@.0", "b@@.1", "b@@.2", "UnpackBigParamInfor@@"}
    assert found["UnpackBigParamInfor@@"]["b"].keys() == {"OriginShape", "slices"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([ARRAY], "no state dict"),
        ({"a": 1.5, "b": {}}, "it holds no state dict, but a, b"),
        ({"a": (ARRAY, ARRAY)}, "no state dict"),
        ({5: ARRAY}, "no state dict"),
        ({"UnpackBigParamInfor@@": {"b": {"OriginShape": (1,), "slices": ["c"]}}}, "a part of a tensor .* is missing"),
    ],
)
def test_pickles_of_something_else(tmp_path: Path, content: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        checkpoints.read(pickled(tmp_path / "a.pdparams", content))


class Evil:
    def __init__(self, target: Path, function: Callable[..., object]) -> None:
        self.reduced = function, (f"open({str(target)!r}, 'w')" if function is exec else f"echo > {target}",)

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return self.reduced


@pytest.mark.parametrize("function", [os.system, exec])
def test_a_hostile_pickle_is_refused(tmp_path: Path, function: Callable[..., object]) -> None:
    target = tmp_path / "made"
    path = pickled(tmp_path / "a.pdparams", {"weight": ARRAY, "bias": Evil(target, function)})
    with pytest.raises(
        InputError, match=rf"a\.pdparams: refused, none of its code was run: it asks for \w+\.{function.__name__}"
    ):
        checkpoints.read(path)
    assert not target.exists()
    pickle.loads(path.read_bytes())
    assert target.exists()


@pytest.mark.parametrize(
    "data", [b"\xff\xfegarbage", b"\x80\x04", b"PK\x03\x04garbage", b"\x01" + bytes(1000), b"\x80\x04\x95\x01."]
)
def test_garbage(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a.pth"
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"a\.pth: damaged, or no file of weights \(.+\); get it anew") as caught:
        checkpoints.read(path)
    assert "\n" not in caught.value.message


def test_a_truncated_pickle(tmp_path: Path) -> None:
    data = pickle.dumps({"weight": np.ones((100, 100), np.float32)}, 4)
    for size in (len(data) // 2, len(data) - 1):
        (tmp_path / "a.pdparams").write_bytes(data[:size])
        with pytest.raises(InputError, match="damaged"):
            checkpoints.read(tmp_path / "a.pdparams")


def test_a_file_that_cannot_be_opened(tmp_path: Path) -> None:
    (tmp_path / "a.npz").mkdir()
    with pytest.raises(InputError, match="cannot be read"):
        checkpoints.read(tmp_path / "a.npz")


def test_safetensors(tmp_path: Path) -> None:
    written = {name: ARRAY.astype(name) for name in ("float16", "float32", "float64", "int64")}
    save_file(written, tmp_path / "a.safetensors")
    found = tensors(tmp_path / "a.safetensors")
    assert found.keys() == written.keys()
    for name, expected in written.items():
        assert found[name].shape == (2, 3)
        assert np.array_equal(found[name].load(), expected)
    assert [found[name].dtype for name in ("float16", "float32", "float64")] == ["float16", "float32", "float64"]
    assert found["int64"].dtype == "int64"


def test_safetensors_in_bfloat16(tmp_path: Path) -> None:
    values = np.array([[1.5, -3], [2.0**100, -0.0]], np.float32)
    content = struct.pack("<f", 7) + (values.view(np.uint32) >> 16).astype("<u2").tobytes()
    header = {
        "a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]},
        "b": {"dtype": "BF16", "shape": [2, 2], "data_offsets": [4, 12]},
    }
    text = json.dumps(header).encode()
    (tmp_path / "a.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + content)
    found = tensors(tmp_path / "a.safetensors")
    assert found["b"].dtype == "bfloat16"
    assert found["b"].load().dtype == "bfloat16"
    assert np.array_equal(found["b"].load().astype(np.float32), values)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz(tmp_path: Path, save: Callable[..., None]) -> None:
    save(tmp_path / "a.npz", **{"Transformer/a/kernel": ARRAY, "b": np.asfortranarray(ARRAY, ">f8")})
    found = tensors(tmp_path / "a.npz")
    assert {key: (tensor.shape, tensor.dtype) for key, tensor in found.items()} == {
        "Transformer/a/kernel": ((2, 3), "float32"),
        "b": ((2, 3), "float64"),
    }
    assert all(np.array_equal(tensor.load(), ARRAY) for tensor in found.values())


def test_an_npz_of_objects_is_not_unpickled(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", a=np.array([Evil(tmp_path / "made", os.system)], object))
    found = tensors(tmp_path / "a.npz")
    assert found["a"].dtype == "object"
    with pytest.raises(NotReadError, match="of object"):
        found["a"].load()
    assert not (tmp_path / "made").exists()
