"""OpenVINO's precisions: its own switch on the FP32 file, int8 from the file's types, and what the device lacks."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from convert.artifact import Artifact
from convert.build import Request, obtain
from convert.images.inputs import seeded
from runtimes import registry
from runtimes.base import Options, UnavailableError
from runtimes.infer import Pass, infer
from runtimes.probe.neighbours import SATURATED
from runtimes.system.processor import cpuinfo

openvino = pytest.importorskip("openvino", reason="openvino is not installed here")


def _able() -> list[str]:
    return list(openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"))


def _variant(toy_toml: Path, toy_root: Path, precision: str) -> Artifact:
    return obtain(Request(str(toy_toml), precision=precision, root=toy_root), print)[0]


def test_bf16_is_its_own_switch_on_the_fp32_file(toy_toml: Path, toy_root: Path, toy_artifact: Artifact) -> None:
    if "BF16" not in _able():
        pytest.skip("this processor has no bf16")
    variant = _variant(toy_toml, toy_root, "bf16")
    images = seeded(variant.preprocessing, 2).images
    with registry.get("openvino").open(variant, Options("bf16")) as session:
        found = session.run(images)
        assert session.effective().precision == "bf16"
    compiled = openvino.Core().compile_model(str(toy_artifact.onnx), "CPU", {"INFERENCE_PRECISION_HINT": "bf16"})
    np.testing.assert_array_equal(found, compiled(images)[0])


@pytest.mark.parametrize("rest", ["fp32", "bf16"])
def test_int8_is_read_back_and_the_rest_is_as_asked(toy_toml: Path, toy_root: Path, rest: str) -> None:
    if rest == "bf16" and "BF16" not in _able():
        pytest.skip("this processor has no bf16")
    variant = _variant(toy_toml, toy_root, "int8")
    with registry.get("openvino").open(variant, Options("int8", extra={"int8_rest": rest})) as session:
        session.run(seeded(variant.preprocessing, 1).images)
        effective = session.effective()
    assert effective.precision == "int8"
    assert ("bf16" in effective.details["layers_by_precision"]) == (rest == "bf16")


def test_what_the_device_lacks_is_refused(toy_toml: Path, toy_root: Path) -> None:
    if "FP16" in _able():
        pytest.skip("this processor has FP16")
    variant = _variant(toy_toml, toy_root, "fp16")
    with pytest.raises(UnavailableError, match="CPU has no fp16 for OpenVINO, only "):
        registry.get("openvino").open(variant, Options("fp16"))


def test_it_is_compiled_for_each_batch_that_comes(toy_artifact: Artifact) -> None:
    images = seeded(toy_artifact.preprocessing, 5).images
    with registry.get("openvino").open(toy_artifact, Options(batches=(2, 5))) as session:
        for batch in (2, 5, 3, 2):
            found = session.run(images[:batch])
            assert session.effective().details["input_shape"] == f"[{batch},3,32,32]"
            one_by_one = np.concatenate([session.run(image[None]) for image in images[:batch]])
            np.testing.assert_allclose(found, one_by_one, atol=1e-5)
        assert session.inputs[0].shape == (-1, 3, 32, 32)  # what it takes


def test_or_once_for_all_of_them(toy_artifact: Artifact) -> None:
    images = seeded(toy_artifact.preprocessing, 3).images
    with registry.get("openvino").open(toy_artifact, Options(extra={"shapes": "dynamic"})) as session:
        for batch in (1, 3):
            session.run(images[:batch])
            assert session.effective().details["input_shape"] == "[?,3,32,32]"


def test_twins_share_what_was_compiled(toy_artifact: Artifact, monkeypatch: pytest.MonkeyPatch) -> None:
    images = seeded(toy_artifact.preprocessing, 4).images
    with registry.get("openvino").open(toy_artifact, Options(batches=(4,))) as session:
        expected = session.run(images)
        monkeypatch.setattr(type(session), "_compile", lambda *_: pytest.fail("compiled again"))
        twin = session.twin()
        assert twin is not None
        np.testing.assert_array_equal(twin.run(images), expected)
        twin.close()
        np.testing.assert_array_equal(session.run(images), expected)


@pytest.mark.parametrize(
    ("precision", "asked", "found"),
    [
        ("fp32", "fastest", "STATIC"),
        ("int8", "fastest", "AUTO"),
        ("int8", "default", "STATIC"),
        ("fp32", "auto", "AUTO"),
    ],
)
def test_how_layers_are_shared_out(
    toy_toml: Path, toy_root: Path, toy_artifact: Artifact, precision: str, asked: str, found: str
) -> None:
    artifact = toy_artifact if precision == "fp32" else _variant(toy_toml, toy_root, precision)
    with registry.get("openvino").open(artifact, Options(precision, extra={"partitioner": asked})) as session:
        session.run(seeded(artifact.preprocessing, 1).images)
        assert session.effective().details["partitioner"].upper().endswith(found)


def test_an_instruction_set_without_a_kernel_for_a_layer_is_named(toy_artifact: Artifact) -> None:
    """Only a processor with AVX512 shows it: pretended here."""

    def compile_model(*_: object) -> None:
        raise RuntimeError("Exception from src/core.cpp: Supported primitive descriptors list is empty for node: fc1")

    with registry.get("openvino").open(toy_artifact, Options()) as session:
        session._isa, session._core = "avx2", SimpleNamespace(compile_model=compile_model)  # type: ignore[attr-defined]
        with pytest.raises(UnavailableError, match="OpenVINO has no kernel of this instruction set"):
            session._compile(0, None)  # type: ignore[attr-defined]


@pytest.mark.skipif("avx2" not in cpuinfo().get("flags", ""), reason="this processor has no AVX2")
def test_a_process_of_its_own_computes_with_less_of_the_processor(toy_toml: Path, toy_root: Path) -> None:
    """Below VNNI two products of int8 are added in 16 bits, on any processor."""
    # Where there is AVX512, OpenVINO 2026.4.1 has no kernels for int8 with AVX2 alone.
    isa, family = ("avx512_core", "avx512") if "avx512f" in cpuinfo().get("flags", "").split() else ("avx2", "avx2")
    variant, options = _variant(toy_toml, toy_root, "int8"), Options("int8", extra={"isa": isa})
    with pytest.raises(UnavailableError, match=f"needs ONEDNN_MAX_CPU_ISA={isa.upper()} in the environment"):
        registry.get("openvino").open(variant, options)
    _, effective = infer(variant, "openvino", options, seeded(variant.preprocessing, 1).images, [Pass(1, [0])])
    assert (effective.details["isa"], effective.details["int8_sums"]) == (family, SATURATED)
    assert "isa_not_read_back" not in effective.details
