from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest

from convert import cli
from convert.common.errors import InputError
from convert.model_options import ModelOptions
from convert.models import InferenceFolder, find, find_all
from convert.zoo import MODELS, SEVEN


def test_models_by_name() -> None:
    assert [find(name) for name in MODELS] == list(MODELS.values())


def test_a_list_names_each_model_once() -> None:
    assert find_all("all") == list(SEVEN)
    assert find_all("ViT_base_patch16_224, all")[0] == "ViT_base_patch16_224"
    assert len(find_all("ViT_base_patch16_224,all")) == 7
    with pytest.raises(InputError, match="no model given"):
        find_all(" , ")


def test_an_unknown_name_gets_a_hint() -> None:
    with pytest.raises(InputError, match="did you mean ViT_base_patch16_224"):
        find("ViT_base_patch16_244")


def test_a_folder_with_an_inference_model(tmp_path: Path) -> None:
    folder = tmp_path / "my model"
    folder.mkdir()
    with pytest.raises(InputError, match="no Paddle inference model"):
        find(str(folder))
    (folder / "inference.pdmodel").touch()
    with pytest.raises(InputError, match="no Paddle inference model"):
        find(str(folder))
    (folder / "inference.pdiparams").touch()
    found = find(str(folder))
    assert found == InferenceFolder("my_model", folder / "inference.pdmodel", folder / "inference.pdiparams")
    (folder / "inference.json").touch()
    assert cast(InferenceFolder, find(str(folder))).program.name == "inference.json"
    (folder / "other.json").touch()
    (folder / "other.pdiparams").touch()
    with pytest.raises(InputError, match="several"):
        find(str(folder))


def test_a_file_that_is_no_model(tmp_path: Path) -> None:
    file = tmp_path / "model.onnx"
    file.touch()
    with pytest.raises(InputError, match="neither a"):
        find(str(file))


def test_two_models_of_one_name_are_refused_before_one_replaces_the_other(tmp_path: Path, toy_toml: Path) -> None:
    twin = tmp_path / "twin.toml"
    twin.write_text(toy_toml.read_text().replace("depth = 2", "depth = 1"))
    with pytest.raises(InputError, match="are both called toy"):
        cli.artifacts(f"{toy_toml},{twin}", ModelOptions("seeded"), "fp32", tmp_path)
    assert list(tmp_path.iterdir()) == [twin]
