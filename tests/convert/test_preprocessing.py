"""Which preprocessing an artifact has, what its manifest says of it, and what is made again when it changes."""

from __future__ import annotations

import dataclasses
import os
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import yaml

from convert import artifact as artifacts
from convert import build
from convert.artifact import ASSUMED, Artifact
from convert.build import Request, obtain
from convert.common.errors import InputError
from convert.families.spec import Preprocessing
from convert.images.preprocess import normalise
from convert.manifest import Manifest
from convert.model_options import ModelOptions
from convert.preprocessing import said_by, settled
from convert.zoo import MODELS
from tests.conftest import TOY_TOML
from tests.runtimes.bench import on_paper

EXPORTED = Path(__file__).parent / "data" / "pir"  # takes 32 pixels, has 7 classes
IMAGENET = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225], "scale": "1.0/255.0", "order": ""}


def write_yml(folder: Path, short: int = 40, labels: Any = None, **normalize: Any) -> None:
    ops: list[dict[str, Any]] = [{"ResizeImage": {"resize_short": short}}, {"CropImage": {"size": 32}}]
    ops += [{"NormalizeImage": IMAGENET | normalize}, {"ToCHWImage": None}]
    document = {"PreProcess": {"transform_ops": ops}, "PostProcess": {"Topk": {"topk": 1, "label_list": labels}}}
    (folder / "inference.yml").write_text(yaml.safe_dump(document))


def write_post(folder: Path, post: dict[str, Any]) -> None:
    """Put another PostProcess into the inference.yml that is there."""
    document = yaml.safe_load((folder / "inference.yml").read_text())
    (folder / "inference.yml").write_text(yaml.safe_dump({**document, "PostProcess": post}))


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with the artifact of the exported model; a folder `mine` in it is the model."""
    root = tmp_path_factory.mktemp("mine")
    shutil.copytree(EXPORTED, root / "mine")
    obtain(Request(str(root / "mine"), root=root), print)
    return root


@pytest.fixture
def folder(converted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, where converting again is a failure."""
    root = Path(shutil.copytree(converted, tmp_path / "root"))
    monkeypatch.setattr(build, "_converted", lambda *_: pytest.fail("converted again"))
    monkeypatch.chdir(root)
    return root


def get(root: Path, **options: Any) -> tuple[Artifact, list[str]]:
    said: list[str] = []
    artifact, reused = obtain(Request("mine", root=root, **options), said.append)
    assert reused
    assert artifacts.load(artifact.path) == artifact
    return artifact, said


def notes(artifact: Artifact) -> str:
    return "\n".join(artifact.manifest.notes)


def test_an_assumption_is_said_with_the_way_out(folder: Path) -> None:
    artifact, said = get(folder)
    assert artifact.manifest.preprocessing_source == "assumed"
    assert artifact.preprocessing_is_models is None
    assert "the preprocessing is assumed to be that of PaddleClas' ViTs: resize_short 32" in notes(artifact)
    assert "--preprocessing NAME, TABLE.toml or KEY=VALUE" in notes(artifact)
    assert said == []


def test_inference_yml_is_the_models_word(folder: Path) -> None:
    before, _ = get(folder)
    write_yml(folder / "mine", labels=list("abcdefg"))
    artifact, said = get(folder)
    assert artifact.sha256 == before.sha256
    assert artifact.preprocessing == Preprocessing(40, 32, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
    assert (artifact.manifest.preprocessing_source, artifact.preprocessing_is_models) == ("inference.yml", True)
    assert artifact.manifest.class_names == tuple("abcdefg")
    assert "preprocessing" not in notes(artifact)
    assert "Softmax" in notes(artifact)
    assert len(said) == 1
    assert "is now that of inference.yml: resize_short 40 instead of 32, mean [0.485" in said[0]
    assert get(folder)[1] == []
    write_yml(folder / "mine", short=36)  # edited
    artifact, said = get(folder)
    assert (artifact.preprocessing.resize_short, artifact.manifest.class_names) == (36, None)
    assert "resize_short 36 instead of 40" in said[0]
    assert artifact.arguments(ModelOptions())["preprocessing"] is None


def test_another_one_on_purpose(folder: Path) -> None:
    write_yml(folder / "mine")
    artifact, _ = get(folder, preprocessing="mean=0.1,0.2,0.3")
    assert artifact.preprocessing.mean == (0.1, 0.2, 0.3)
    assert artifact.manifest.own_preprocessing == Preprocessing(
        40, 32, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)
    )
    assert artifact.preprocessing_is_models is False
    wanted = "the preprocessing is not the model's: mean [0.1, 0.2, 0.3] instead of [0.485, 0.456, 0.406]"
    assert artifact.manifest.notes[0] == wanted
    assert artifact.manifest.command.endswith("--preprocessing mean=0.1,0.2,0.3")
    again, said = get(folder)
    assert again.preprocessing_is_models is True
    assert "mean [0.485, 0.456, 0.406] instead of [0.1, 0.2, 0.3]" in said[0]
    assert "--preprocessing" not in again.manifest.command


def test_the_models_own_in_other_words(folder: Path) -> None:
    write_yml(folder / "mine", scale=1.0, mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375])
    own, _ = get(folder)
    named, said = get(folder, preprocessing="imagenet")
    assert named.preprocessing == own.preprocessing
    assert named.preprocessing_is_models is True
    assert said == []


def test_what_was_said_once_stays_where_the_model_says_nothing(folder: Path) -> None:
    artifact, said = get(folder, preprocessing="imagenet")
    assert "is now that of --preprocessing imagenet" in said[0]
    assert "preprocessing" not in notes(artifact)
    again, said = get(folder)
    assert again.manifest == artifact.manifest
    assert said == []
    assert again.arguments(ModelOptions())["preprocessing"] == "imagenet"
    assert again.arguments(ModelOptions(preprocessing="inception"))["preprocessing"] == "inception"
    other, _ = get(folder, preprocessing="resize_short=48")  # departs from the assumption, as the command says
    assert other.preprocessing == Preprocessing(48, 32)
    write_yml(folder / "mine")
    assert get(folder)[0].manifest.preprocessing_source == "inference.yml"


def test_it_does_not_stay_for_another_model_of_the_name(folder: Path) -> None:
    artifact, _ = get(folder, preprocessing="imagenet")
    weights = dataclasses.replace(artifact.manifest.weights, sha256="of another file")
    other = dataclasses.replace(artifact.manifest, weights=weights)
    found = settled(other, said_by_folder(folder), None, artifact)
    assert found.preprocessing_source == "assumed"


def said_by_folder(folder: Path) -> Any:
    return said_by(build.inference_folder(folder / "mine"), "mine")  # type: ignore[attr-defined]


def test_a_model_that_normalises_pixels_itself(folder: Path) -> None:
    artifact, _ = get(folder)
    raw = dataclasses.replace(artifact.manifest, raw_pixels=True)
    image = np.arange(3 * 32 * 32, dtype=np.uint32).reshape(3, 32, 32).astype(np.uint8)

    def found(option: str | None) -> Manifest:
        made = settled(raw, said_by_folder(folder), option, artifact)
        assert (normalise(image, made.preprocessing) == image).all()
        return made

    assert found(None).preprocessing_source == "assumed"
    assert found("resize_short=40").preprocessing.resize_short == 40
    assert len(found("resize_short=40").notes) == 1  # of the Softmax
    assert "of --preprocessing imagenet are not used: the model takes pixels of 0 to 255" in found("imagenet").notes[0]
    write_yml(folder / "mine")
    made = found(None)
    assert "of inference.yml are not used" in made.notes[0]
    assert (made.preprocessing.resize_short, made.own_preprocessing) == (40, None)


def test_what_does_not_fit_the_model(folder: Path) -> None:
    with pytest.raises(InputError, match="--preprocessing crop=16: mine takes 32 pixels, and the crop has 16"):
        get(folder, preprocessing="crop=16")
    with pytest.raises(InputError, match="--preprocessing 'imagenot'"):
        Request("mine", preprocessing="imagenot")
    write_yml(folder / "mine", labels=list("abc"))
    artifact, _ = get(folder)
    assert artifact.manifest.class_names is None
    assert "the class names are not used: inference.yml has 3 of them, and the model 7 classes" in notes(artifact)
    text = (folder / "mine" / "inference.yml").read_text()
    (folder / "mine" / "inference.yml").write_text(text.replace("size: 32", "size: 24"))
    with pytest.raises(InputError, match=r"inference.yml: mine takes 32 pixels, and the crop has 24"):
        get(folder)


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_an_artifact_that_cannot_be_written(folder: Path) -> None:
    artifact, _ = get(folder)
    artifact.path.chmod(0o500)
    with pytest.raises(InputError, match="cannot be written"):
        obtain(Request("mine", root=folder, preprocessing="imagenet"), print)
    artifact.path.chmod(0o700)


def test_a_spec_on_the_scale_of_0_to_255(tmp_path: Path) -> None:
    file = tmp_path / "toy.toml"
    file.write_text(TOY_TOML.replace("mean = [0.5, 0.5, 0.5]", "mean = [102, 102, 102]").replace(
        "std = [0.5, 0.5, 0.5]", "std = [51, 51, 51]"))  # fmt: skip
    artifact, _ = obtain(Request(str(file), "seeded:1", root=tmp_path), print)
    assert artifact.preprocessing.agrees(Preprocessing(36, 32, mean=(0.4,) * 3, std=(0.2,) * 3))
    assert "mean [102.0, 102.0, 102.0] and std [51.0, 51.0, 51.0] are of pixels from 0 to 255" in notes(artifact)
    assert artifact.manifest.preprocessing_source == f"spec {file}"
    file.write_text(TOY_TOML.replace("mean = [0.5, 0.5, 0.5]", "mean = [102, 102, 102]"))
    with pytest.raises(InputError, match=rf"model spec {file}: mean .*neither pixels from 0 to 1"):
        obtain(Request(str(file), "seeded:1", root=tmp_path), print)


def test_another_preprocessing_of_a_spec_converts_nothing_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "toy.toml"
    file.write_text(TOY_TOML)
    before, _ = obtain(Request(str(file), "seeded:1", root=tmp_path), print)
    monkeypatch.setattr(build, "_converted", lambda *_: pytest.fail("converted again"))
    file.write_text(TOY_TOML.replace("resize_short = 36", "resize_short = 34"))
    artifact, reused = obtain(Request(str(file), root=tmp_path), print)
    assert reused
    assert artifact.sha256 == before.sha256
    assert artifact.preprocessing.resize_short == 34
    assert artifact.spec
    assert artifact.spec.preprocessing.resize_short == 34
    assert artifacts.load(artifact.path) == artifact


def test_int8_is_calibrated_again_and_bf16_is_not(
    toy_toml: Path, toy_root: Path, toy_artifact: Artifact, tmp_path: Path
) -> None:
    root = Path(shutil.copytree(toy_root, tmp_path / "root"))
    photos = tmp_path / "photos"
    photos.mkdir()
    for number in range(8):
        pixels = np.random.default_rng(number).integers(0, 256, (40, 36, 3), dtype=np.uint8)
        assert cv2.imwrite(str(photos / f"{number}.png"), pixels)

    def made(precision: str, option: str | None = None, **more: Any) -> tuple[Artifact, bool]:
        request = Request(str(toy_toml), None, precision, root=root, preprocessing=option, **more)
        return obtain(request, print)

    for precision in ("int8", "bf16"):
        calibration: dict[str, Any] = {"calibration": photos} if precision == "int8" else {}
        plain, _ = made(precision, **calibration)
        assert made(precision, **calibration)[1]
        other, reused = made(precision, "imagenet", **calibration)
        assert reused is (precision == "bf16")
        assert (other.sha256 == plain.sha256) is reused
        assert other.preprocessing.mean == (0.485, 0.456, 0.406)
        assert other.manifest.notes[0].startswith("the preprocessing is not the model's")
        assert "--preprocessing imagenet" in other.manifest.command
        assert made(precision, "imagenet", **calibration) == (other, True)


def test_a_spec_that_is_one_of_paddleclas_but_for_its_images() -> None:
    spec = dataclasses.replace(MODELS["ViT_base_patch16_224"], preprocessing=Preprocessing(224, 224))
    assert said_by(spec, "my.toml").reference == MODELS[spec.name].preprocessing
    assert said_by(dataclasses.replace(spec, class_num=37), "my.toml").reference is None
    assert said_by(MODELS[spec.name], spec.name).source == "PaddleClas' zoo"


def test_of_a_model_of_the_zoo_with_other_classes_the_preprocessing_is_assumed_and_said() -> None:
    """Whoever trained it had images of his own; what was said once stays, and that of the zoo is where one begins."""
    zoo, name = MODELS["DeiT_base_patch16_384"], "DeiT_base_patch16_384"
    said = said_by(dataclasses.replace(zoo, name="pets", class_num=37), name)
    artifact = on_paper.artifact("pets", inputs=[{"name": "x", "dtype": "float32", "shape": ["batch", 3, 384, 384]}])
    found = settled(artifact.manifest, said, None, None)
    assert found.preprocessing == zoo.preprocessing
    assert found.preprocessing_source == ASSUMED
    assert found.notes[0].startswith(f"the preprocessing is assumed to be that of {name}, whose architecture it has: ")
    assert "nothing beside the model says it: set it with --preprocessing" in found.notes[0]
    stated = settled(artifact.manifest, said, "imagenet", None)
    kept = settled(artifact.manifest, said, None, dataclasses.replace(artifact, manifest=stated))
    assert kept.preprocessing == stated.preprocessing
    assert not any("assumed" in note for note in (*stated.notes, *kept.notes))
    assert said_by(zoo, name).preprocessing == zoo.preprocessing, "its own classes, its own images"


@pytest.mark.parametrize(
    ("post", "head"),
    [({"MultiLabelThreshOutput": {"threshold": 0.3}}, "multi-label"), ({"NormalizeFeatures": None}, "features")],
)
def test_what_is_done_behind_the_model_says_what_its_outputs_are(folder: Path, post: Any, head: str) -> None:
    write_yml(folder / "mine")
    assert get(folder)[0].manifest.head == "logits"
    write_post(folder / "mine", post)
    artifact, _ = get(folder)
    assert artifact.manifest.head == head
    assert any(note.startswith(f"the head is {head}") for note in artifact.manifest.notes)
    assert get(folder)[0].manifest == artifact.manifest
    write_post(folder / "mine", {"Topk": {"topk": 1}})
    again, _ = get(folder)
    assert again.manifest.head == "logits"
    assert not any(note.startswith("the head is") for note in again.manifest.notes)
