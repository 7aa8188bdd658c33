"""inference.yml as PaddleClas and PaddleX write it, and as people change it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from convert import inference_yml
from convert.common.errors import InputError
from convert.families.spec import Preprocessing
from convert.inference_yml import InferenceYml

NORMALIZE = {"scale": 1 / 255, "mean": [0.5, 0.4, 0.3], "std": [0.3, 0.2, 0.1], "order": "", "channel_num": 3}


def transforms(resize: Any = None, crop: Any = 48, normalize: Any = None) -> list[dict[str, Any]]:
    ops = [{"ResizeImage": {"resize_short": 60} if resize is None else resize}]
    ops += [{"CropImage": {"size": crop}}] if crop else []
    return [*ops, {"NormalizeImage": NORMALIZE if normalize is None else normalize}, {"ToCHWImage": None}]


def read(folder: Path, ops: Any = None, post: Any = None, name: str = "inference.yml", **more: Any) -> InferenceYml:
    document = {"PreProcess": {"transform_ops": ops or transforms()}, **more}
    document |= {} if post is None else {"PostProcess": post}
    (folder / name).write_text(yaml.safe_dump(document), encoding="utf-8")
    found = inference_yml.read(folder)
    assert found
    return found


def test_no_file_says_nothing(tmp_path: Path) -> None:
    assert inference_yml.read(tmp_path) is None
    assert inference_yml.model_name(tmp_path) is None


def test_as_paddlex_writes_it(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        post={"Topk": {"topk": 3, "label_list": ["欧", "b c", 7]}},
        name="inference.yaml",
        Global={"model_name": "ViT-tiny 欧"},
        Hpi={"backend_config": {"onnx_runtime": {"cpu_num_threads": 8}}},
    )
    assert found.preprocessing == Preprocessing(60, 48, mean=(0.5, 0.4, 0.3), std=(0.3, 0.2, 0.1))
    assert found.class_names == ("欧", "b c", "7")
    assert (found.model_name, found.multi_label) == ("ViT-tiny 欧", False)
    assert inference_yml.model_name(tmp_path) == "ViT-tiny 欧"


def test_paddleclas_defaults(tmp_path: Path) -> None:
    found = read(tmp_path, [{"DecodeImage": {"to_rgb": True}}, "ToCHWImage"][:1] + transforms(normalize={}))
    assert found.preprocessing == Preprocessing(60, 48, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
    assert (found.class_names, found.multi_label) == (None, False)


def test_resizing_to_a_size_with_pillow(tmp_path: Path) -> None:
    resize = {"size": [48, 48], "interpolation": "Bicubic", "backend": "PIL", "return_numpy": False}
    found = read(tmp_path, transforms(resize, crop=None)).preprocessing
    assert (found.resize_short, found.crop, found.keep_ratio) == (48, 48, False)
    assert (found.backend, found.interpolation) == ("pil", "bicubic")


def test_images_that_are_no_squares(tmp_path: Path) -> None:
    """PaddleClas' order is width and height."""
    found = read(tmp_path, transforms({"size": [60, 20]}, crop=None)).preprocessing
    assert (found.shape, found.resize_short, found.keep_ratio) == ((20, 60), 60, False)
    found = read(tmp_path, transforms(crop=[48, 32])).preprocessing
    assert (found.shape, found.resize_short, found.keep_ratio) == ((32, 48), 60, True)


@pytest.mark.parametrize("scale", ["1.0/255.0", " 1 / 255 ", "0.00392156862745098", None])
def test_scale_as_text_is_data(tmp_path: Path, scale: Any) -> None:
    assert read(tmp_path, transforms(normalize={**NORMALIZE, "scale": scale})).preprocessing.pixel_scale == 1 / 255


def test_a_scale_of_one_is_of_0_to_255(tmp_path: Path) -> None:
    values = {"scale": 1.0, "mean": [51, 102, 127.5], "std": [51, 51, 51]}
    expected = Preprocessing(60, 48, mean=(0.2, 0.4, 0.5), std=(0.2, 0.2, 0.2))
    assert read(tmp_path, transforms(normalize=values)).preprocessing.agrees(expected)


@pytest.mark.parametrize(
    ("post", "names", "multi_label"),
    [
        ({"MultiLabelThreshOutput": {"threshold": 0.4, "label_list": ["a", "b"]}}, ("a", "b"), True),
        ({"ThreshOutput": {"threshold": 0.7, "label_0": "no", "label_1": "a man"}}, ("no", "a man"), False),
        ({"name": "Topk", "topk": 1, "label_list": {1: "b", 0: "a"}}, ("a", "b"), False),
        ({"main_indicator": "PersonAttribute", "PersonAttribute": {"hold_threshold": 0.6}}, None, True),
        ({"Topk": {"topk": 5, "label_list": []}}, None, False),
        ({"NormalizeFeatures": None}, None, False),
    ],
)
def test_what_is_done_with_the_answers(tmp_path: Path, post: Any, names: Any, multi_label: bool) -> None:
    found = read(tmp_path, post=post)
    assert (found.class_names, found.multi_label) == (names, multi_label)
    assert found.embedding is ("NormalizeFeatures" in post)


def test_a_file_of_class_names(tmp_path: Path) -> None:
    post = {"Topk": {"class_id_map_file": "../utils/labels.txt"}}
    found = read(tmp_path, post=post)
    assert found.class_names is None
    assert found.notes == (
        "the class names are not known: ../utils/labels.txt, which inference.yml names, is not in the folder",
    )
    (tmp_path / "labels.txt").write_text("0 great white\n1 hen\n", encoding="utf-8")
    assert read(tmp_path, post=post).class_names == ("great white", "hen")


@pytest.mark.parametrize(
    ("ops", "message"),
    [
        ([{"CropImageAtRatio": {"ratio": 1}}, *transforms()], "CropImageAtRatio, which vitbench does not do"),
        (transforms()[::-1], "vitbench does them once each"),
        ([*transforms(), *transforms()], "once each"),
        (transforms({"resize_long": 60}), "ResizeImage has the key 'resize_long'"),
        (transforms({"size": [60, 70]}), "vitbench cuts nothing out of images that are no squares"),
        (transforms(crop=[48, 64]), "height = 64 does not fit into resize_short = 60"),
        (transforms({"size": [60]}, crop=None), "no number of pixels"),
        (transforms(crop=None), "no CropImage"),
        (transforms()[1:], "no ResizeImage"),
        (transforms({"resize_short": 60, "interpolation": "random"}), "interpolation = 'random' is none of"),
        (transforms({"resize_short": "60"}), "is no number of pixels"),
        (transforms({}), "size = None is no number of pixels"),
        (transforms({"resize_short": 40}), "does not fit"),
        (transforms(normalize={**NORMALIZE, "channel_num": 4}), "channel_num = 4: vitbench does 3 only"),
        (transforms(normalize={**NORMALIZE, "output_fp16": True}), "output_fp16"),
        (transforms(normalize={**NORMALIZE, "scale": "__import__('os')"}), "no quotient of two"),
        (transforms(normalize={**NORMALIZE, "scale": "1/0"}), "no quotient of two"),
        (transforms(normalize={**NORMALIZE, "scale": 1.0}), "the scale is another one"),
        (transforms(normalize={**NORMALIZE, "mean": [127.5] * 3, "std": [127.5] * 3}), "the scale is another one"),
        (transforms(normalize={**NORMALIZE, "mean": 0.5}), "mean = 0.5 is no list"),
        (transforms(normalize={**NORMALIZE, "mean": [0.5, 0.5]}), "three numbers"),
        (transforms(normalize={**NORMALIZE, "std": [10**400, 1, 1]}), "too large|three numbers"),
        ([{"DecodeImage": {"to_rgb": False}}, *transforms()], "to_rgb = False: vitbench does true only"),
        ([{"DecodeImage": {"channel_first": True}}, *transforms()], "channel_first"),
        ([{"a": 1, "b": 2}], "which is no transform"),
        ("ResizeImage", "no list of transforms"),
    ],
)
def test_what_it_says_and_vitbench_cannot_do(tmp_path: Path, ops: Any, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        read(tmp_path, ops)
    assert caught.value.message.startswith(f"{tmp_path / 'inference.yml'}: ")
    assert caught.value.message.endswith("take the file away and give --preprocessing")
    assert "\n" not in caught.value.message


@pytest.mark.parametrize(
    ("post", "message"),
    [
        ({"Segment": {}}, "PostProcess has 'Segment'"),
        ({"Topk": {"top": 1}}, "Topk has the key 'top'"),
        ({"Topk": {"label_list": ["a", False]}}, "name of class 1 is False and no text"),
        ({"Topk": {"label_list": {1: "a", 2: "b"}}}, "not numbered from 0"),
        ({"ThreshOutput": {"threshold": "half"}}, "is no number"),
    ],
)
def test_bad_postprocessing(tmp_path: Path, post: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read(tmp_path, post=post)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"PreProcess: [", "no YAML"),
        (b"\xff\xfe\x00", "no YAML"),
        (b"- 1", "the file = \\[1\\] is no table"),
        (b"mode: paddle\narch: YOLO", "has no PreProcess"),
        (b"a: !!python/object/apply:os.getcwd []", "no YAML that can be read as data"),
        (b"a: &a [1]\nb: {<<: *a}", "merge key"),
        (b"[" * 20000, "nested too deep"),
        (b"", "has no PreProcess"),
        (b" " * ((16 << 20) + 1), "larger than 16 MiB"),
    ],
)
def test_other_files(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "inference.yml").write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        inference_yml.read(tmp_path)
    assert "\n" not in caught.value.message


def test_two_files(tmp_path: Path) -> None:
    read(tmp_path)
    with pytest.raises(InputError, match="keep the one"):
        read(tmp_path, name="inference.yaml")


@given(content=st.binary(max_size=60) | st.text(alphabet="PreProcess: [{}]-&*!?\n ", max_size=60).map(str.encode))
def test_any_bytes_give_a_clear_line(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    folder = tmp_path_factory.mktemp("any")
    (folder / "inference.yml").write_bytes(content)
    with pytest.raises(InputError) as caught:
        inference_yml.read(folder)
    assert "\n" not in caught.value.message
