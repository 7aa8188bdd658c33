"""An ONNX file with no Paddle model beside it: taken, measured, compared, and vouched for by nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from onnx import TensorProto, helper, numpy_helper

import vitbench
from convert import other_onnx
from convert.artifact import ASSUMED, Artifact
from convert.build import Request, obtain
from convert.common.errors import InputError
from convert.manifest import to_table
from runtimes import registry
from runtimes.bench.plan import plan_file
from runtimes.options import Selection
from validate.accuracy.__main__ import main as accuracy
from validate.bisect.__main__ import main as bisect
from validate.parity.__main__ import main as parity
from validate.parity.inputs import InputOptions
from validate.profile.__main__ import main as profile
from validate.ship.__main__ import main as ship

Shape = list[Any]
OUTPUT = ["unk__7", "Gemm_dim_1"]  # as exporters call what they leave open


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """An ONNX file that gives five classes to an image of 8 x 8 pixels."""

    def written(shape: Shape = ["n", 3, 8, 8], kind: int = TensorProto.FLOAT, **changes: Any) -> Path:  # noqa: B006
        rng = np.random.default_rng(0)
        initializers = [
            numpy_helper.from_array(rng.standard_normal((3, 5)).astype(changes.get("dtype", np.float32)), "w"),
            numpy_helper.from_array(np.array([2, 3]), "axes"),
        ]
        nodes = [
            helper.make_node("ReduceMean", ["x", "axes"], ["mean"], keepdims=0),
            helper.make_node("MatMul", ["mean", "w"], ["y"]),
        ]
        if kind_within := changes.get("cast"):
            nodes.append(helper.make_node("Cast", ["y"], ["z"], to=kind_within))
        if changes.get("quantised"):
            nodes.append(helper.make_node("DequantizeLinear", ["z", "z"], ["q"]))
        if changes.get("pooled"):
            nodes, initializers = [helper.make_node("GlobalAveragePool", ["x"], ["y"])], []
        graph = helper.make_graph(
            nodes,
            "g",
            [helper.make_tensor_value_info("x", kind, shape)],
            [
                helper.make_tensor_value_info(
                    "y", kind, list("abcd") if changes.get("pooled") else changes.get("output", OUTPUT)
                )
            ],
            initializers,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
        file = tmp_path / str(changes.get("name", "some one.onnx"))
        onnx.save(model, str(file))
        return file

    return written


def taken(root: Path, file: Path, **changes: Any) -> Artifact:
    return obtain(Request(**{"model": str(file), "root": root, **changes}), lambda text: None)[0]


def run(command: Any, *words: object) -> tuple[int, str, list[dict[str, Any]]]:
    result = CliRunner().invoke(command, [str(word) for word in words])
    return result.exit_code, result.stderr, json.loads(result.stdout)["records"] if result.stdout else []


def compared(root: Path, file: Path, *words: object) -> tuple[int, str, list[dict[str, Any]]]:
    usual = ("--artifacts", root, "--limit", 2, "--batch", "1,2", "--out", root.parent / "run", "--json")
    return run(parity, "--onnx", file, *usual, *words)


def test_its_classes_are_found_by_running_it(write: Callable[..., Path], tmp_path: Path) -> None:
    artifact = taken(tmp_path / "artifacts", write())
    assert (artifact.model, artifact.classes, artifact.image_shape, artifact.batch) == ("some_one", 5, (8, 8), None)
    assert artifact.manifest.unvouched
    assert to_table(artifact.manifest)["unvouched"] is True
    assert artifact.manifest.preprocessing_source == ASSUMED
    assert other_onnx.UNVOUCHED in artifact.manifest.notes
    again, reused = obtain(Request("some_one", root=tmp_path / "artifacts"), lambda text: None)
    assert (reused, again.sha256) == (True, artifact.sha256)
    stated = taken(tmp_path / "artifacts", write(), preprocessing="imagenet")
    assert (stated.sha256, stated.manifest.preprocessing_source) == (artifact.sha256, "--preprocessing imagenet")


def test_what_it_leaves_open_is_said_with_an_option(write: Callable[..., Path], tmp_path: Path) -> None:
    file = write(["N", "c", "?", "what ever"])
    with pytest.raises(InputError, match="leaves height and width open: say the pixels with --image-size"):
        taken(tmp_path / "artifacts", file)
    artifact = taken(tmp_path / "artifacts", file, image_size=16)
    assert (artifact.image_shape, artifact.manifest.image_size) == ((16, 16), 16)
    (found,) = onnx.load(str(artifact.onnx)).graph.input
    assert [one.dim_value or one.dim_param for one in found.type.tensor_type.shape.dim] == ["N", 3, 16, 16]


def test_images_that_are_no_squares(write: Callable[..., Path], tmp_path: Path) -> None:
    artifact = taken(tmp_path / "artifacts", write(["N", 3, 8, "w"]), image_size=12)
    assert (artifact.image_shape, artifact.preprocessing.shape) == ((8, 12), (8, 12))
    again = taken(tmp_path / "artifacts", write(["N", 3, 8, "w"]))
    assert (again.sha256, again.manifest.image_size) == (artifact.sha256, 12)
    with pytest.raises(InputError, match="and --image-size is 12"):
        taken(tmp_path / "fixed", write([1, 3, 8, 12]), image_size=12)


def test_a_fixed_batch_is_kept(write: Callable[..., Path], tmp_path: Path) -> None:
    file = write([2, 3, 8, 8], output=[2, 5])
    assert taken(tmp_path / "artifacts", file).batch == 2
    status, said, (record,) = run(
        parity,
        *("--onnx", file, "--artifacts", tmp_path / "artifacts", "--limit", 2, "--out", tmp_path / "run", "--json"),
        *("--runtime", "ort-cpu"),
    )
    assert (status, record["passed"], record["batches"]) == (0, True, [2]), said


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"shape": ["n", 3, 8, "w"]}, "which leaves one side open: say the pixels with --image-size"),
        ({"shape": ["n", 8, 8, 3]}, "is needed"),
        (
            {"pooled": True},
            r"its output is float32 \[1, 3, 1, 1\] for 1 image, and float32 \(batch, classes\) is needed",
        ),
        ({"kind": TensorProto.FLOAT16, "dtype": np.float16}, "a file in FP32 is needed, and it has float16"),
        ({"cast": TensorProto.FLOAT16}, "a file in FP32 is needed, and it has float16"),
        ({"cast": TensorProto.FLOAT, "quantised": True}, "it has DequantizeLinear"),
        ({"name": "ViT_base_patch16_224.onnx"}, "a model of PaddleClas has that name"),
    ],
)
def test_what_cannot_be_taken_is_refused(
    write: Callable[..., Path], tmp_path: Path, changes: dict[str, Any], match: str
) -> None:
    with pytest.raises(InputError, match=match):
        taken(tmp_path / "artifacts", write(**changes))
    assert not list((tmp_path / "artifacts").glob("*/*/manifest.json"))


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"precision": "bf16"}, "not made into bf16"),
        ({"weights": "w.npz", "opset": 18}, "leave --opset, --weights out"),
        ({"image_size": 9}, "--image-size is 9"),
    ],
)
def test_options_that_mean_nothing_are_refused(
    write: Callable[..., Path], tmp_path: Path, changes: dict[str, Any], match: str
) -> None:
    with pytest.raises(InputError, match=match):
        taken(tmp_path / "artifacts", write(), **changes)


def test_its_name_does_not_hide_that_it_is_taken_as_it_is(write: Callable[..., Path], tmp_path: Path) -> None:
    taken(tmp_path / "artifacts", write())
    with pytest.raises(InputError, match="not made into bf16"):
        obtain(Request("some_one", precision="bf16", root=tmp_path / "artifacts"), lambda text: None)


def test_runtimes_are_held_against_onnxs_own_reference(write: Callable[..., Path], tmp_path: Path) -> None:
    status, said, records = compared(tmp_path / "artifacts", write(), "--runtime", "ort-cpu,openvino")
    assert (status, {one["passed"] for one in records}) == (0, {True}), said
    assert said.count("nothing vouches for this ONNX file") == 1
    assert "passed" not in said
    for record in records:
        assert record["reference"] == "ONNX's own reference in float64, batch 1: no Paddle program"
        assert record["model_info"]["unvouched"] is True
        assert record["tolerance"].get("paddle_max_abs") is None
        assert "Paddle" not in record["tolerance"]["unit"]


def test_paddle_is_left_out_and_refused_by_name(write: Callable[..., Path], tmp_path: Path) -> None:
    artifact = taken(tmp_path / "artifacts", write())
    paddle, ort = registry.get("paddle"), registry.get("ort-cpu")
    assert Selection([paddle, ort], named=False).having("fp32", artifact) == [ort]
    assert Selection([ort], named=True).having("fp32", artifact) == [ort]
    with pytest.raises(InputError, match="paddle reads a Paddle program, and some_one is an ONNX file alone: leave it"):
        Selection([paddle, ort], named=True).having("fp32", artifact)
    assert paddle.cannot_load(artifact) == "paddle reads a Paddle program, and some_one is an ONNX file alone"


def test_paddle_is_refused_before_anything_is_computed(
    write: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("validate.parity.reference.obtain", lambda *of: pytest.fail("that takes half a minute"))
    status, said, records = compared(tmp_path / "artifacts", write(), "--runtime", "paddle,ort-cpu")
    assert (status, records) == (2, []), said
    assert "--runtime: paddle reads a Paddle program, and some_one is an ONNX file alone: leave it out" in said
    assert "some_one: the ONNX file as it is, in " in said
    assert "converted" not in said


def test_a_runtime_that_computes_something_else_fails(
    write: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from validate.parity import reference

    right = reference._compute
    monkeypatch.setattr(
        reference,
        "_compute",
        lambda *of: reference.Reference((found := right(*of)).logits + 1e-3, found.paddle + 1e-3, True),
    )
    status, said, records = compared(tmp_path / "artifacts", write(), "--runtime", "ort-cpu")
    assert (status, records[0]["passed"]) == (1, False), said


def test_photos_need_a_preprocessing(write: Callable[..., Path], tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    rng = np.random.default_rng(0)
    for number in range(3):
        cv2.imwrite(str(photos / f"{number}.png"), rng.integers(0, 255, (9, 12, 3), np.uint8))
    (photos / "val_list.txt").write_text("".join(f"{number}.png {number}\n" for number in range(3)))
    root, file = tmp_path / "artifacts", write()
    with pytest.raises(InputError, match="does not say how photos become its input: use --preprocessing"):
        InputOptions(photos).load(taken(root, file))
    usual = ("--onnx", file, "--artifacts", root, "--images", photos, "--runtime", "ort-cpu", "--json")
    status, said, _ = run(accuracy, *usual, "--out", tmp_path / "other")
    assert (status, "does not say how photos become its input" in said) == (2, True), said
    status, said, records = run(accuracy, *usual, "--preprocessing", "imagenet", "--out", tmp_path / "accuracy")
    assert (status, records[0]["images"], records[0].get("passed")) == (0, 3, None), said
    assert InputOptions(photos).load(taken(root, file)).images.shape == (3, 3, 8, 8)


@pytest.mark.parametrize(
    ("command", "words"), [(bisect, ()), (ship, ("--to", "onnx")), (profile, ("--runtime", "ort-cpu"))]
)
def test_what_needs_a_paddle_program_says_so(
    write: Callable[..., Path], tmp_path: Path, command: Any, words: tuple[str, ...]
) -> None:
    usual = ("--model", write(), "--artifacts", tmp_path / "artifacts", "--out", tmp_path / "out")
    status, said, _ = run(command, *usual, *words)
    assert (status, "needs the Paddle model that this ONNX file comes from" in said) == (2, True), said


def test_bisect_holds_a_file_against_no_model_that_nobody_named(tmp_path: Path) -> None:
    status, said, _ = run(bisect, "--onnx", tmp_path / "some one.onnx", "--artifacts", tmp_path / "artifacts")
    assert (status, "name with --model the Paddle model" in said) == (2, True), said


def test_a_plan_may_name_a_file_alone(tmp_path: Path) -> None:
    found = plan_file.parse('onnx = "some one.onnx"', tmp_path / "plan.toml", tmp_path)
    assert (found.matrices[0].model, found.matrices[0].onnx) == (("some one.onnx",), None)
    with pytest.raises(InputError, match=r"--onnx some\.bin: without --model an \.onnx file is needed"):
        plan_file.parse('onnx = "some.bin"', tmp_path / "plan.toml", tmp_path)


def test_python_may_name_a_file_alone(write: Callable[..., Path], tmp_path: Path) -> None:
    artifact = vitbench.convert(onnx=write(), artifacts=tmp_path / "artifacts")
    assert (artifact.model, artifact.manifest.unvouched) == ("some_one", True)
    run = vitbench.parity(artifact, runtimes=["ort-cpu"], limit=1, out=tmp_path / "run")
    assert "Nothing vouches for some_one" in run.report(tmp_path / "report.md").read_text(encoding="utf-8")
    assert "Nothing vouches for some_one" in run._repr_html_()
