from __future__ import annotations

import io
import os
import pickle
import struct
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest

from convert.common.errors import InputError
from convert.weights import checkpoints
from convert.weights.tensors import Array
from tests.convert.weights.checkpoint_files import tensors

DATA = Path(__file__).parent / "data"

# data/torch_zip.pth and data/torch_legacy.pth were written by torch 2.13.0:
#
#   linear = torch.nn.Linear(3, 2)
#   with torch.no_grad():
#       linear.weight.copy_(torch.arange(6.0).reshape(2, 3))
#       linear.bias.copy_(torch.tensor([-1.0, 0.5]))
#   state = linear.state_dict()                          # an OrderedDict with a _metadata attribute
#   base = torch.arange(24, dtype=torch.float32).reshape(4, 6)
#   state["transposed"], state["offset"] = base.t(), base[1:3, 2:5]     # two views of one storage
#   state["half"] = torch.tensor([0.5, -2.0], dtype=torch.float16)
#   state["bfloat"] = torch.tensor([1.5, -3.0, 1e30], dtype=torch.bfloat16)
#   state["double"] = torch.tensor([0.1], dtype=torch.float64)
#   state["count"] = torch.tensor([3])
#   state["parameter"] = torch.nn.Parameter(torch.tensor([7.0]))
#   torch.save({"model": state, "epoch": 3}, "torch_zip.pth")
#   torch.save({"state_dict": state}, "torch_legacy.pth", _use_new_zipfile_serialization=False)
BASE = np.arange(24, dtype=np.float32).reshape(4, 6)
WRITTEN: dict[str, Array] = {
    "weight": np.arange(6, dtype=np.float32).reshape(2, 3),
    "bias": np.array([-1, 0.5], np.float32),
    "transposed": BASE.T,
    "offset": BASE[1:3, 2:5],
    "half": np.array([0.5, -2], np.float16),
    "bfloat": np.array([1.5, -3, 1.0002555517425873e30], np.float32),  # 1e30 with a mantissa of 8 bits
    "double": np.array([0.1]),
    "count": np.array([3]),
    "parameter": np.array([7], np.float32),
}


@pytest.mark.parametrize("name", ["torch_zip.pth", "torch_legacy.pth"])
def test_what_torch_wrote(name: str) -> None:
    (table,) = checkpoints.read(DATA / name).tables
    assert table.key in ("model", "state_dict")
    found = table.tensors
    assert list(found) == list(WRITTEN)
    for key, expected in WRITTEN.items():
        loaded = found[key].load()
        assert found[key].shape == expected.shape
        assert loaded.dtype == found[key].dtype == ("bfloat16" if key == "bfloat" else expected.dtype)
        assert np.array_equal(loaded, expected)


def pickled(content: object, protocol: int = 2) -> bytes:
    """A pickle as torch writes it: a `Storage` is a persistent id, a `Rebuilt` a call of torch's function."""
    stream = io.BytesIO()

    class Pickler(pickle._Pickler):
        write: Callable[[bytes], object]
        save_reduce: Callable[..., None]

        def persistent_id(self, value: Any) -> object:
            return value.pid if isinstance(value, Storage) else None

        def save(self, value: Any, save_persistent_id: bool = True) -> None:
            if isinstance(value, Name):
                self.write(f"c{value.module}\n{value.name}\n".encode())
            elif isinstance(value, Rebuilt):
                self.save_reduce(Name("torch._utils", "_rebuild_tensor_v2"), value.arguments)
            else:
                super().save(value, save_persistent_id)  # type: ignore[misc]

    Pickler(stream, protocol).dump(content)
    return stream.getvalue()


@dataclass
class Name:
    """A global that need not exist here."""

    module: str
    name: str

    def __call__(self) -> NoReturn:
        raise AssertionError("pickle insists that it could be called")


class Storage:
    def __init__(self, key: str = "0", count: int = 6, kind: str = "Float") -> None:
        self.pid = ("storage", Name("torch", f"{kind}Storage"), key, "cpu", count)


class Rebuilt:
    def __init__(self, storage: Storage, offset: int, size: object, stride: object) -> None:
        self.arguments: tuple[object, ...] = (storage, offset, size, stride, False, {})


def zip_file(
    path: Path,
    content: bytes,
    storages: dict[str, bytes] | None = None,
    order: str = "little",
    compression: int = zipfile.ZIP_STORED,
    root: str = "archive",
) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr(f"{root}/data.pkl", content)
        if order:
            archive.writestr(f"{root}/byteorder", order)
        for key, data in (storages or {}).items():
            archive.writestr(f"{root}/data/{key}", data)
    return path


def legacy_file(path: Path, content: bytes, keys: Sequence[str] = (), data: bytes = b"", version: int = 1001) -> Path:
    head = [0x1950A86A20F9469CFC6C, version, {"protocol_version": 1001, "little_endian": True, "type_sizes": {}}]
    parts = [pickle.dumps(part, 2) for part in head]
    path.write_bytes(b"".join([*parts, content, pickle.dumps(list(keys), 2), data]))
    return path


def test_big_endian_storages(tmp_path: Path) -> None:
    content = pickled({"a": Rebuilt(Storage(), 0, (2, 3), (3, 1))})
    data = np.arange(6, dtype=">f4").tobytes()
    path = zip_file(tmp_path / "a.pth", content, {"0": data}, order="big")
    assert tensors(path)["a"].load().tolist() == [[0, 1, 2], [3, 4, 5]]


@pytest.mark.parametrize(
    ("offset", "size", "stride"),
    [
        (1, (2, 3), (3, 1)),  # one too far
        (0, (2, 3), (4, 1)),
        (7, (1,), (1,)),
        (-1, (2,), (1,)),
        (0, (-2,), (1,)),
        (3, (2,), (-1,)),
        (0, (2, 3), (1,)),
        (0, (2.0,), (1,)),
        (0, 6, 1),
    ],
)
def test_a_view_beyond_its_storage(tmp_path: Path, offset: int, size: object, stride: object) -> None:
    path = zip_file(tmp_path / "a.pth", pickled({"a": Rebuilt(Storage(), offset, size, stride)}), {"0": bytes(24)})
    with pytest.raises(InputError, match="damaged"):
        checkpoints.read(path)


@pytest.mark.parametrize("data", [{"0": bytes(20)}, {"0": bytes(28)}, {"1": bytes(24)}])
def test_a_storage_of_another_size(tmp_path: Path, data: dict[str, bytes]) -> None:
    path = zip_file(tmp_path / "a.pth", pickled({"a": Rebuilt(Storage(), 0, (6,), (1,))}), data)
    with pytest.raises(InputError, match="24 bytes"):
        tensors(path)["a"].load()


def test_legacy_storages_are_held_to_their_counts(tmp_path: Path) -> None:
    content = pickled({"a": Rebuilt(Storage(), 2, (2,), (2,))})
    data = struct.pack("<q", 6) + np.arange(6, dtype="<f4").tobytes()
    assert tensors(legacy_file(tmp_path / "a.pth", content, ["0"], data))["a"].load().tolist() == [2, 4]
    for keys, wrong in ((["0"], data[:-1]), (["0"], struct.pack("<q", 5) + data[8:]), ([], b""), (["0", "1"], data)):
        with pytest.raises(InputError, match="damaged"):
            checkpoints.read(legacy_file(tmp_path / "a.pth", content, keys, wrong))


@pytest.mark.parametrize(
    ("content", "message"),
    [([1], "no state dict"), ({"a": 1}, "no state dict, but a"), ({1: Rebuilt(Storage(), 0, (6,), (1,))}, "no state")],
)
def test_what_is_no_state_dict(tmp_path: Path, content: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        checkpoints.read(zip_file(tmp_path / "a.pth", pickled(content), {"0": bytes(24)}))


def test_other_archives_and_versions(tmp_path: Path) -> None:
    good = pickled({"a": Rebuilt(Storage(), 0, (6,), (1,))})
    with pytest.raises(InputError, match=r"a zip archive of other files \('a/b/data\.pkl', .*not weights"):
        checkpoints.read(zip_file(tmp_path / "a.pth", good, root="a/b"))
    with pytest.raises(InputError, match="compressed"):
        checkpoints.read(zip_file(tmp_path / "a.pth", good, compression=zipfile.ZIP_DEFLATED))
    with pytest.raises(InputError, match="version"):
        checkpoints.read(legacy_file(tmp_path / "a.pth", good, version=1000))


class Evil:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return os.system, (f"echo > {self.target}",)


@pytest.mark.parametrize("make", [zip_file, legacy_file])
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_hostile_pickle_inside_is_refused(tmp_path: Path, make: Callable[[Path, bytes], Path], protocol: int) -> None:
    target = tmp_path / "made"
    path = make(tmp_path / "a.pth", pickle.dumps({"model": {"a": Evil(target)}}, protocol))
    with pytest.raises(InputError, match=r"refused, none of its code was run: it asks for \w+\.system"):
        checkpoints.read(path)
    assert not target.exists()


def test_a_hostile_pickle_in_place_of_the_legacy_magic_number(tmp_path: Path) -> None:
    path = tmp_path / "a.pth"
    path.write_bytes(pickle.dumps(Evil(tmp_path / "made"), 2))
    with pytest.raises(InputError, match="refused"):
        tensors(path)
    assert not (tmp_path / "made").exists()
