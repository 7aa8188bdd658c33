from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest

from convert import cli
from convert.common.errors import InputError
from convert.model_options import ModelOptions
from convert.models import InferenceFolder, called, find, find_all
from convert.zoo import MODELS, SEVEN


def test_models_by_name() -> None:
    assert [find(name) for name in MODELS] == list(MODELS.values())


def test_a_list_names_each_model_once() -> None:
    assert find_all("all") == list(SEVEN)
    assert find_all("ViT_base_patch16_224, all")[0] == "ViT_base_patch16_224"
    assert len(find_all("ViT_base_patch16_224,all")) == 7
    with pytest.raises(InputError, match="no model given"):
        find_all(" , ")


def test_a_path_with_commas_is_one_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("red, green,blue", "red"):
        (tmp_path / name).mkdir()
    (tmp_path / "it's, mine.toml").touch()
    assert find_all("red, green,blue") == ["red, green,blue"]
    assert find_all("ViT_base_patch16_224,it's, mine.toml, red,red, green,blue") == [
        "ViT_base_patch16_224",
        "it's, mine.toml",
        "red",
        "red, green,blue",
    ]
    assert find_all(",".join(["blue"] * 300)) == ["blue"]  # longer than a name can be


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


def _exported(folder: Path, yml: str | None = None) -> str:
    folder.mkdir(parents=True)
    for name in ("inference.json", "inference.pdiparams"):
        (folder / name).touch()
    if yml is not None:
        (folder / "inference.yml").write_text(yml, encoding="utf-8")
    return str(folder)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("ConvNeXt/inference", "ConvNeXt"),
        ("ConvNeXt/Inference", "ConvNeXt"),
        ("output/花卉/best_model/inference", "花卉"),
        ("flowers/best_model", "flowers"),
        ("花卉模型", "花卉模型"),
        ("e\u0301tage", "\u00e9tage"),
        ("a/v1.2", "v1.2"),
    ],
)
def test_a_folder_that_says_nothing_gives_the_name_to_the_one_above(tmp_path: Path, path: str, name: str) -> None:
    assert cast(InferenceFolder, find(_exported(tmp_path / path))).name == name


def test_the_name_of_a_home_folder_is_no_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cast(InferenceFolder, find(_exported(tmp_path / "export" / "inference"))).name == "inference"


@pytest.mark.parametrize(
    ("yml", "name"),
    [
        ("Global:\n  model_name: PP-HGNetV2-B0\n", "PP-HGNetV2-B0"),
        ("Global: {model_name: '../我的 模型'}\n", "我的_模型"),
        ("Global: {model_name: 3}\n", "net"),
        ("Global: {model_name: '..'}\n", "net"),
        ("PreProcess: []\n", "net"),
        ("- a\n", "net"),
        ("", "net"),
        ("a: [", "net"),
        ("!!python/object/apply:os.system ['false']", "net"),
    ],
)
def test_inference_yml_says_the_name(tmp_path: Path, yml: str, name: str) -> None:
    pytest.importorskip("yaml")
    assert cast(InferenceFolder, find(_exported(tmp_path / "net" / "inference", yml))).name == name


def test_a_name_of_ones_own(toy_toml: Path) -> None:
    toy = find(str(toy_toml))
    assert called(toy, None) == "toy"
    assert called(toy, "e\u0301l\u00e8ve") == "\u00e9l\u00e8ve"
    assert called(MODELS["ViT_base_patch16_224"], "ViT_base_patch16_224") == "ViT_base_patch16_224"
    for name in ("", "a/b", ".x"):
        with pytest.raises(InputError, match="choose another"):
            called(toy, name)
    with pytest.raises(InputError, match="ViT_base_patch32_384: that is a model of PaddleClas, and toy differs"):
        called(toy, "ViT_base_patch32_384")
    with pytest.raises(InputError, match="one name for 7 models"):
        cli.artifacts("all", ModelOptions(name="mine"), "fp32")


def test_a_file_that_is_no_model(tmp_path: Path) -> None:
    file = tmp_path / "model.bin"
    file.touch()
    with pytest.raises(InputError, match="neither a"):
        find(str(file))


def test_two_models_of_one_name_are_refused_before_one_replaces_the_other(tmp_path: Path, toy_toml: Path) -> None:
    twin = tmp_path / "twin.toml"
    twin.write_text(toy_toml.read_text().replace("depth = 2", "depth = 1"))
    with pytest.raises(InputError, match="are both called toy"):
        cli.artifacts(f"{toy_toml},{twin}", ModelOptions("seeded"), "fp32", tmp_path)
    assert list(tmp_path.iterdir()) == [twin]
