"""ncnn on the toy: what it computes in, what it must not take, its files, and what other converters may bring."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from convert.artifact import Artifact
from convert.manifest import FileEntry
from runtimes import registry
from runtimes.base import Options, UnavailableError, discrepancy
from runtimes.ncnn import net, pnnx

pytest.importorskip("ncnn")
NCNN = registry.get("ncnn")


@pytest.fixture(autouse=True)
def without_pnnx(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(pnnx.VARIABLE, raising=False)
    monkeypatch.setenv("PATH", "")


def with_operator(artifact: Artifact, folder: Path, kind: str) -> Artifact:
    """The toy's logits through one operator more."""
    model = onnx.load(artifact.onnx)
    model.graph.node[-1].output[0] = "before"
    model.graph.node.append(helper.make_node(kind, ["before"], ["logits"]))
    onnx.save(model, folder / "model.onnx")
    files = {"model.onnx": FileEntry(1, kind)}
    return Artifact(folder, replace(artifact.manifest, files=files))


@pytest.mark.parametrize(
    ("options", "precision", "named"),
    [
        ((), "fp32", {}),
        (("use_fp16_storage",), "fp16", {"weights of a head": 10}),
        (("use_bf16_storage",), "bf16", None),
    ],
)
def test_a_switch_that_is_left_on_is_seen(
    toy_artifact: Artifact,
    cache: str,
    monkeypatch: pytest.MonkeyPatch,
    options: tuple[str, ...],
    precision: str,
    named: dict[str, int] | None,
) -> None:
    monkeypatch.setitem(net.ON, "fp32", options)
    with NCNN.open(toy_artifact, Options(cache=cache)) as session:
        effective = session.effective()
    bits = effective.details["fraction_bits_kept"]
    if precision == "fp16" and set(bits.values()) == {23}:
        pytest.skip("this processor has no FP16 conversion: ncnn would not use it")
    assert effective.precision == precision
    assert {name: kept for name, kept in bits.items() if kept < 23} == (
        dict.fromkeys(bits, 7) if named is None else named
    )
    said = discrepancy("ncnn", effective, Options())
    assert said == (f"ncnn computed in {precision} instead of fp32" if options else None)


def test_bf16_is_asked_for_by_its_name(
    toy_artifact: Artifact, images: np.ndarray, expected: np.ndarray, cache: str
) -> None:
    with NCNN.open(toy_artifact, Options("bf16", cache=cache)) as session:
        off = np.abs(session.run(images) - expected).max() / np.abs(expected).max()
        assert 1e-4 < off < 4e-2
        assert session.effective().precision == "bf16"


@pytest.mark.parametrize("shape", [(1, 3, 24, 24), (1, 1, 32, 32), (3, 32, 32)])
def test_images_of_another_shape_are_refused(toy_artifact: Artifact, cache: str, shape: tuple[int, ...]) -> None:
    with (
        NCNN.open(toy_artifact, Options(cache=cache)) as session,
        pytest.raises(UnavailableError, match=r"the model takes \(3, 32, 32\) float32"),
    ):
        session.run(np.zeros(shape, np.float32))


def test_files_are_used_again_and_written_again_when_damaged(
    toy_artifact: Artifact, images: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = Options(cache=str(tmp_path))

    def logits() -> np.ndarray:
        with NCNN.open(toy_artifact, options) as session:
            return session.run(images)

    first = logits()
    (weights,) = tmp_path.rglob("model.bin")
    with monkeypatch.context() as patched:
        patched.setattr("convert.common.worker.call", lambda *_: pytest.fail("written again"))
        np.testing.assert_array_equal(logits(), first)
    weights.write_bytes(weights.read_bytes()[:-4000])
    np.testing.assert_array_equal(logits(), first)
    param = weights.with_suffix(".param")
    param.write_text(param.read_text().replace("GELU", "GULE"))  # no byte more or less
    with pytest.raises(UnavailableError, match=r"ncnn cannot load .*model.param \(error -1\)"):
        logits()
    assert not list(tmp_path.rglob(".*")), "nothing half-made is left"


def test_an_operator_that_is_not_known_is_named(toy_artifact: Artifact, tmp_path: Path) -> None:
    other = with_operator(toy_artifact, tmp_path, "Softplus")
    with pytest.raises(UnavailableError, match=f"does not know the operator Softplus; name .* in {pnnx.VARIABLE}"):
        NCNN.open(other, Options())


@pytest.mark.parametrize(
    ("layers", "reason"),
    [
        ("Reshape a 1 1 in0 out0 0=3072", r"answers \(1, 3072\), 100% finite"),
        ("InnerProduct a 1 1 in0 b 0=7 2=21504\\nBinaryOp c 1 1 b out0 0=3 1=1 2=0.0", r"answers \(1, 7\), 0% finite"),
        ("Hardmax a 1 1 in0 out0", r"no model: ncnn cannot load .*model\.param"),
    ],
)
def test_what_pnnx_wrote_is_tried(
    toy_artifact: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layers: str, reason: str
) -> None:
    program = tmp_path / "pnnx"
    head = f"7767517\\n{layers.count('1 1') + 1} {layers.count('1 1') + 1}\\nInput x 0 1 in0"
    zeros = "/usr/bin/head -c 86020 /dev/zero > model.ncnn.bin"
    program.write_text(f"#!/bin/sh\nprintf '{head}\\n{layers}\\n' > model.ncnn.param\n{zeros}\n")
    program.chmod(0o755)
    monkeypatch.setenv(pnnx.VARIABLE, str(program))
    with pytest.raises(UnavailableError, match=f"does not know the operator Softplus, and pnnx wrote .*{reason}"):
        NCNN.open(with_operator(toy_artifact, tmp_path, "Softplus"), Options())


def test_what_our_writer_does_not_know_goes_through_pnnx(
    toy_artifact: Artifact, images: np.ndarray, expected: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    if not (tool := pnnx.find()):
        pytest.skip(f"pnnx is not here: {pnnx.ADVICE}")
    monkeypatch.setenv(pnnx.VARIABLE, str(tool))
    with NCNN.open(with_operator(toy_artifact, tmp_path, "Softplus"), Options()) as session:
        np.testing.assert_allclose(session.run(images), np.log1p(np.exp(expected)), rtol=1e-5, atol=1e-5)
        assert session.effective().details["written_by"] == "pnnx"
        assert session.outputs[0].name == "logits"


def test_several_outputs_by_their_names(toy_artifact: Artifact, images: np.ndarray, tmp_path: Path) -> None:
    model = onnx.load(toy_artifact.onnx)
    inner = next(node.output[0] for node in model.graph.node if node.op_type == "Softmax")
    model.graph.output.append(helper.make_tensor_value_info(inner, TensorProto.FLOAT, ["batch", 2, 17, 17]))
    onnx.save(model, tmp_path / "model.onnx")
    with NCNN.open(Artifact(tmp_path, toy_artifact.manifest), Options()) as session:
        found = session.run_all(images)
        np.testing.assert_array_equal(found["logits"], session.run(images))
    assert list(found) == ["logits", inner]
    np.testing.assert_allclose(found[inner].sum(-1), np.ones((len(images), 2, 17)), atol=1e-5)
