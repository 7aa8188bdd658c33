"""What is no weights file is said in its own words, wherever a weights file is read."""

from __future__ import annotations

import gzip
import io
import json
import pickle
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from convert.common.errors import InputError
from convert.weights import checkpoints


def tar() -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("a.pdparams"))
    return stream.getvalue()


def zip_of(name: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(name, "x")
    return stream.getvalue()


LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"5" * 64 + b"\nsize 9\n"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (LFS, "a Git LFS pointer, not the file: run `git lfs pull`"),
        (b"\n <HTML lang=zh><head><TITLE>\n404 Not Found\n</TITLE>", r"a web page \(404 Not Found\)"),
        (b"\xef\xbb\xbf<!doctype html><p>x", "a web page, not weights"),
        (b'<?xml version="1.0"?><Error><Code>NoSuchKey</Code></Error>', r"a server's message in XML.*NoSuchKey"),
        (b"<Error><Code>AccessDenied</Code>", "AccessDenied"),
        (json.dumps({"error": "Repository not found"}).encode(), "JSON, not weights.*Repository not found"),
        (b"Entry not found", r"a text, not weights \(Entry not found\)"),
        (b"# weights of my model\n1 2 3\n", "a text, not weights"),
        (b"", "empty: 0 bytes"),
        (bytes(5000), "nothing but zeros"),
        (gzip.compress(b"x" * 99), "a gzip archive, not weights: unpack it"),
        (tar(), "a tar archive, not weights: unpack it"),
        (zip_of("model.pdparams"), r"a zip archive of other files \('model\.pdparams' .*unpack it"),
        (b"\x89HDF\r\n\x1a\n" + bytes(99), "an HDF5 file"),
        (pickle.dumps([{"linear_0.w_0_moment1_0": np.ones(2), "LR_Scheduler": {}}]), "the state of an optimizer"),
        (pickle.dumps({"fc_1.b_0_velocity_0": np.ones(2)}), "the state of an optimizer"),
        (pickle.dumps({"epoch": 3, "metric": 0.5}), "it holds no state dict, but epoch, metric"),
    ],
    ids=lambda value: value if isinstance(value, str) else "data",  # archives hold the time, and ids must not
)
@pytest.mark.parametrize("suffix", [".pdparams", ".pth", ".npz", ".safetensors", ".bin"])
def test_what_is_no_weights_file(tmp_path: Path, data: bytes, words: str, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(data)
    with pytest.raises(InputError, match=words) as caught:
        checkpoints.read(path)
    assert caught.value.message.startswith(f"{path}: ")
    assert caught.value.message.isprintable()


def test_a_pickle_of_protocol_0_is_a_text_and_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.pdparams"
    path.write_bytes(pickle.dumps({"a": np.ones(2, np.float32)}, 0))
    (table,) = checkpoints.read(path).tables
    assert table.tensors["a"].load().tolist() == [1, 1]
