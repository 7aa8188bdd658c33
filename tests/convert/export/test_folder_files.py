"""The files of an inference model: what is none, and what is not in float32."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from convert.common.errors import InputError
from convert.export import folder_files
from convert.models import InferenceFolder

DATA = Path(__file__).parents[1] / "data" / "pir"


@pytest.fixture
def source(tmp_path: Path) -> InferenceFolder:
    folder = tmp_path / "model"
    shutil.copytree(DATA, folder)
    return InferenceFolder("model", folder / "inference.json", folder / "inference.pdiparams")


@pytest.mark.parametrize("which", ["program", "params"])
@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "a Git LFS pointer, not the file"),
        (b"\n<!doctype HTML>\n<title>Not found</title>", "a web page, not the file"),
        (b"", "empty"),
    ],
)
def test_what_came_instead_of_the_file_is_recognised(
    source: InferenceFolder, tmp_path: Path, which: str, content: bytes, words: str
) -> None:
    getattr(source, which).write_bytes(content)
    with pytest.raises(InputError, match=words):
        folder_files.read(source, tmp_path)


def test_files_that_are_cut_or_do_not_belong_together(source: InferenceFolder, tmp_path: Path) -> None:
    whole = source.params.read_bytes()
    source.params.write_bytes(whole[:-3])
    with pytest.raises(InputError, match=r"cannot read .*inference.pdiparams: damaged.*the parameter file is cut"):
        folder_files.read(source, tmp_path)
    source.params.write_bytes(whole + whole)
    with pytest.raises(InputError, match=r"parameters where inference.json has \d+: they are not of one export"):
        folder_files.read(source, tmp_path)
    source.params.write_bytes(whole)
    source.program.write_text(source.program.read_text()[:-40])
    with pytest.raises(InputError, match=r"cannot read .*inference.json: no JSON, or a damaged one"):
        folder_files.read(source, tmp_path)
    source.program.write_text('{"architectures": ["ViT"]}')
    with pytest.raises(InputError, match="no program of Paddle 3"):
        folder_files.read(source, tmp_path)


def test_a_model_in_float32_is_taken_as_it_is(source: InferenceFolder, tmp_path: Path) -> None:
    found = folder_files.read(source, tmp_path)
    assert (found.program, found.bytes_in, found.notes) == (source.program, False, ())


@pytest.mark.parametrize(("kind", "gone"), [("half", "bf16"), ("bytes", "ui8")])
def test_other_types_become_float32(toys: Path, tmp_path: Path, kind: str, gone: str) -> None:
    folder = toys / kind
    found = folder_files.read(
        InferenceFolder(kind, folder / "inference.json", folder / "inference.pdiparams"), tmp_path
    )
    text = found.program.read_text()
    assert f"t_{gone}" in (folder / "inference.json").read_text()
    assert f"t_{gone}" not in text
    assert json.loads(text).keys() == json.loads((folder / "inference.json").read_text()).keys()
    assert found.bytes_in == (kind == "bytes")


def test_it_is_said(answers: dict[str, dict[str, Any]]) -> None:
    assert answers["half"]["notes"] == ["exported in bfloat16: it has the same weights here, and computes in FP32"]
    assert answers["bytes"]["notes"][0].startswith("the input is uint8, its normalisation is inside")
