"""Every adapter on the toy: the same logits, and what it says of itself is what runs."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from convert.artifact import Artifact
from convert.common import typed, worker
from runtimes import registry
from runtimes.base import Effective, Options, Runtime, UnavailableError, cache_folder, discrepancy, lowest_precision
from runtimes.infer import Pass, infer

RUNTIMES = registry.names()


def available(name: str) -> Runtime:
    runtime = registry.get(name)
    if reason := runtime.unavailable():
        pytest.skip(reason)
    return runtime


@pytest.mark.parametrize("name", RUNTIMES)
def test_an_adapter(toy_artifact: Artifact, images: np.ndarray, expected: np.ndarray, name: str) -> None:
    runtime = available(name)
    with runtime.open(toy_artifact, Options(device=runtime.default_device, threads=1)) as session:
        assert (session.inputs[0].name, session.inputs[0].shape[1:]) == ("x", (3, 32, 32))
        assert session.outputs[0].shape[1:] == (7,)
        first = session.run(images)
        np.testing.assert_allclose(first, expected, atol=2e-5 * np.abs(expected).max())
        assert first.dtype == np.float32
        kept = first.copy()
        other = session.run(images[:2] + 1)
        assert other.shape == (2, 7)
        np.testing.assert_array_equal(first, kept)  # an array of the caller's own
        effective = session.effective()
        assert discrepancy(name, effective, Options(device=runtime.default_device)) is None
        assert effective.details["threads"] == 1
        np.testing.assert_array_equal(session.run(images), first)


def test_paddle_runs_on_onednn_and_its_reference_without(toy_artifact: Artifact) -> None:
    def libraries(extra: dict[str, str]) -> dict[str, int]:
        with registry.get("paddle").open(toy_artifact, Options(extra=extra)) as session:
            found: dict[str, int] = session.effective().details["operators_by_library"]
            return found

    assert libraries({})["onednn_op"] > 20
    assert "onednn_op" not in libraries({"kernels": "plain"})


def test_paddle_without_its_parameters_is_refused(
    toy_artifact: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved = Artifact(tmp_path, toy_artifact.manifest)
    moved.paddle_program.parent.mkdir()
    moved.paddle_program.write_bytes(toy_artifact.paddle_program.read_bytes())
    with pytest.raises(UnavailableError, match=r"inference\.pdiparams is missing"):
        registry.get("paddle").open(moved, Options())
    monkeypatch.setenv("ONEDNN_DEFAULT_FPMATH_MODE", "BF16")
    with pytest.raises(UnavailableError, match="FP32 would not be FP32"):
        registry.get("paddle").open(toy_artifact, Options())


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (Options(precision="none"), "has no none"),
        (Options(device="TPU"), "finds no device TPU"),
        (Options(extra={"speed": "high"}), "knows no option speed: it"),
    ],
)
def test_what_a_runtime_cannot_do_is_refused(toy_artifact: Artifact, options: Options, reason: str) -> None:
    with pytest.raises(UnavailableError, match=reason):
        registry.get("ort-cpu").open(toy_artifact, options)


@pytest.mark.parametrize("name", [name for name in RUNTIMES if registry.get(name).intermediate])
def test_every_output_of_a_model_by_its_name(toy_artifact: Artifact, images: np.ndarray, name: str) -> None:
    runtime = available(name)
    with runtime.open(toy_artifact, Options(device=runtime.default_device)) as session:
        found = session.run_all(images)
        assert list(found) == ["logits"]
        np.testing.assert_array_equal(found["logits"], session.run(images))


def test_what_a_runtime_takes_is_checked_before_anything_is_loaded() -> None:
    with pytest.raises(UnavailableError, match=r"paddle\.kernels=fast: default\|plain is needed"):
        registry.get("paddle").check(Options(extra={"kernels": "fast"}))
    with pytest.raises(UnavailableError, match="paddle has no streams"):
        registry.get("paddle").check(Options(streams=2))
    registry.get("openvino").check(Options(streams=2))


def test_openvino_takes_streams(toy_artifact: Artifact) -> None:
    with registry.get("openvino").open(toy_artifact, Options(streams=2, threads=2)) as session:
        assert session.effective().details["streams"] == 2


def test_what_must_be_set_before_the_process_starts_is_asked_for(
    toy_artifact: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    paddle = dataclasses.replace(registry.get("paddle"), environment=lambda options: {"VITBENCH_TEST": "0"})
    with pytest.raises(UnavailableError, match="paddle needs VITBENCH_TEST=0 in the environment when its process"):
        paddle.open(toy_artifact, Options())
    monkeypatch.setenv("VITBENCH_TEST", "0")
    paddle.open(toy_artifact, Options()).close()


@pytest.mark.parametrize(
    ("ran", "asked", "reason"),
    [
        ("CPU", "CPU", None),
        ("GPU", "GPU.0", None),
        ("GPU.0", "GPU", None),
        ("GPU.0", "GPU.1", "x ran on GPU.0 instead of GPU.1"),
        ("CPU", "GPU", "x ran on CPU instead of GPU"),
        ("CPU+GPU", "GPU", "x ran on CPU+GPU instead of GPU"),
    ],
)
def test_a_gpu_label_never_carries_a_cpu_number(ran: str, asked: str, reason: str | None) -> None:
    assert discrepancy("x", Effective("fp32", ran), Options(device=asked)) == reason
    lower = Effective("bf16", ran)
    assert discrepancy("x", lower, Options(device=asked)) == "x computed in bf16 instead of fp32"


def test_a_cache_is_keyed_by_all_that_it_depends_on(toy_artifact: Artifact, tmp_path: Path) -> None:
    one = cache_folder(toy_artifact, Options(), "mnn", "3.6")
    assert one.parent == toy_artifact.path / "cache" / "mnn"
    elsewhere = cache_folder(toy_artifact, Options(cache=str(tmp_path)), "mnn", "3.6")
    assert (elsewhere.name, elsewhere.parent) == (one.name, tmp_path / "mnn")
    other = Artifact(toy_artifact.path, dataclasses.replace(toy_artifact.manifest, files={}))
    keys = [cache_folder(toy_artifact, Options(), "mnn", "3.7"), cache_folder(other, Options(), "mnn", "3.6"), one]
    assert len({folder.name for folder in keys}) == 3


def test_options_survive_a_journey_through_json() -> None:
    options = Options("bf16", "GPU.1", 2, 3, (1, 4), "c", {"kernels": "plain"})
    assert typed.read(Options, json.loads(json.dumps(typed.table(options)))) == options


def test_onnx_runtime_tells_nothing_before_it_ran(toy_artifact: Artifact) -> None:
    with (
        registry.get("ort-cpu").open(toy_artifact, Options()) as session,
        pytest.raises(UnavailableError, match="nothing has run yet"),
    ):
        session.effective()


def test_openvino_computes_in_bf16_unless_it_is_told_not_to(
    toy_artifact: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    import openvino

    from runtimes.adapters.openvino import HINTS

    core = openvino.Core()
    if "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        pytest.skip("this processor has no bf16: OpenVINO would not choose it")
    untold = core.compile_model(str(toy_artifact.onnx), "CPU")
    assert untold.get_property("INFERENCE_PRECISION_HINT") == openvino.Type.bf16
    with registry.get("openvino").open(toy_artifact, Options()) as session:
        assert session.effective().details["layers_by_precision"].keys() <= {"f32", "i32"}
    monkeypatch.setitem(HINTS, "fp32", "bf16")
    with registry.get("openvino").open(toy_artifact, Options()) as session:
        assert session.effective().precision == "bf16", "the read-back must see what the hint prevents"


@pytest.mark.parametrize(
    ("types", "precision"),
    [(["f32"], "fp32"), (["f32", "bf16"], "bf16"), (["float", "int64"], "fp32"), (["u8", "f16", "f32"], "int8")],
)
def test_one_layer_in_a_lower_precision_decides(types: list[str], precision: str) -> None:
    assert lowest_precision(types) == precision


def test_no_layer_is_no_precision() -> None:
    with pytest.raises(UnavailableError, match="no precision"):
        lowest_precision(["int64"])


def test_infer_gives_each_pass_in_its_order(toy_artifact: Artifact, images: np.ndarray, expected: np.ndarray) -> None:
    passes = [Pass(1, range(5)), Pass(4, range(5)), Pass(2, [4, 3, 2, 1, 0])]
    found, effective = infer(toy_artifact, "ort-cpu", Options(), images, passes)
    assert effective.precision == "fp32"
    for logits, one in zip(found, passes, strict=True):
        np.testing.assert_allclose(logits, expected[list(one.order)], atol=2e-5 * np.abs(expected).max())


def test_infer_gives_the_reason_when_a_runtime_refuses(toy_artifact: Artifact, images: np.ndarray) -> None:
    with pytest.raises(worker.JobError, match="has no bf16"):
        infer(toy_artifact, "ort-cpu", Options("bf16"), images, [Pass(1, [0])])
