"""The model's own preprocessing, and another one on purpose."""

from __future__ import annotations

import contextlib
import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convert.artifact import Artifact
from convert.common.errors import InputError
from convert.families.spec import Preprocessing
from convert.zoo import MODELS
from validate.accuracy.preprocessing import changed, choose

BASE = Preprocessing(256, 224)


class TestChanged:
    def test_names_and_values(self) -> None:
        imagenet = changed(BASE, ["imagenet"])
        assert (imagenet.mean, imagenet.std) == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
        assert changed(imagenet, ["inception"]) == BASE
        assert changed(BASE, ["resize_short=248; interpolation=bicubic"]) == Preprocessing(248, 224, "bicubic")
        assert changed(BASE, ["imagenet", "std=1,1,1"]).std == (1, 1, 1)
        assert changed(BASE, ["mean = 0.1, 0.2, 0.3"]).mean == (0.1, 0.2, 0.3)

    @pytest.mark.parametrize(
        ("argument", "message"),
        [
            ("imagnet", "imagenet, inception or KEY=VALUE"),
            ("", "is needed"),
            ("mean=0.5", "three numbers"),
            ("mean=a,b,c", "three numbers"),
            ("std=0,1,1", "above zero"),
            ("mean=nan,0,0", "three numbers"),
            ("crop=8.5", "whole number"),
            ("crop=300", "does not fit"),
            ("resize_short=-1", "whole number"),
            ("interpolation=best", "none of"),
            ("crops=224", "is needed"),
        ],
    )
    def test_bad_arguments(self, argument: str, message: str) -> None:
        with pytest.raises(InputError, match=message) as caught:
            changed(BASE, [argument])
        assert caught.value.message.startswith("--preprocessing")
        assert "\n" not in caught.value.message

    @given(st.text())
    def test_any_text_gives_a_preprocessing_or_a_clear_line(self, text: str) -> None:
        with contextlib.suppress(InputError):
            assert isinstance(changed(BASE, [text]), Preprocessing)


def changing(artifact: Artifact, **changes: Any) -> Artifact:
    """The artifact with changes in its manifest."""
    return dataclasses.replace(artifact, manifest=dataclasses.replace(artifact.manifest, **changes))


class TestChoose:
    def test_the_models_own(self, make_artifact: Any) -> None:
        chosen = choose(make_artifact(), [])
        assert (chosen.is_models, chosen.warning()) == (True, "")

    def test_a_manifest_that_says_something_else(self, make_artifact: Any) -> None:
        artifact = changing(make_artifact(), preprocessing=Preprocessing(8, 8, mean=(0.485, 0.456, 0.406)))
        with pytest.raises(InputError, match=r"is not that of fake: mean \[0.485, 0.456, 0.406\] instead of \[0.5"):
            choose(artifact, [])
        chosen = choose(artifact, ["std=1,1,1"])  # an override departs from the model's own, not from the manifest's
        assert chosen.used.mean == (0.5, 0.5, 0.5)
        assert chosen.is_models is False
        assert (
            chosen.warning() == "the preprocessing is not the model's: std [1.0, 1.0, 1.0] instead of [0.5, 0.5, 0.5]"
        )
        assert choose(artifact, ["inception"]).is_models is True

    def test_one_of_the_seven_is_held_against_paddleclas(self, make_artifact: Any) -> None:
        artifact, preprocessing = make_artifact("ViT_base_patch16_224"), Preprocessing(224, 224)
        spec = dataclasses.replace(MODELS["ViT_base_patch16_224"], preprocessing=preprocessing)
        with pytest.raises(InputError, match="resize_short 224 instead of 256"):
            choose(changing(artifact, spec=spec.table(), preprocessing=preprocessing), [])
        own = dataclasses.replace(spec, class_num=37)  # a model of one's own that is called so
        assert choose(changing(artifact, spec=own.table(), preprocessing=preprocessing), []).is_models is True

    def test_an_inference_model_says_nothing(self, make_artifact: Any) -> None:
        artifact = changing(make_artifact(), spec=None)
        assert choose(artifact, []).is_models is None
        assert choose(artifact, ["imagenet"]).is_models is False

    def test_another_size_than_the_model_takes(self, make_artifact: Any) -> None:
        with pytest.raises(InputError, match="crop=4: fake takes 8 pixels"):
            choose(make_artifact(), ["crop=4"])
