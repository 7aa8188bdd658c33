from __future__ import annotations

import importlib.metadata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtimes import registry
from runtimes.system import conflicts
from runtimes.system.conflicts import Problem, problems


def test_here_is_no_conflict() -> None:
    assert problems() == []
    assert conflicts.version("OnnxScript") == importlib.metadata.version("onnxscript")
    assert conflicts.version("no-such-package") is None


def test_two_onnx_runtimes_overwrite_each_other() -> None:
    (problem,) = problems({"onnxruntime": "1.31.1", "onnxruntime-gpu": "1.31.1", "onnx": "1.17.0"})
    assert "pip uninstall -y onnxruntime onnxruntime-gpu" in problem.sentence
    assert problem.runtimes == ("ort-cpu", "ort-cuda", "ort-tensorrt")
    assert problems({"onnxruntime": "1.31.1", "onnxruntime-extensions": "0.14"}) == []


def test_two_tensorrt_versions() -> None:
    (problem,) = problems({"tensorrt-cu12-libs": "10.16.1.11", "tensorrt-cu13": "11.4.0.106", "tensorrt-rtx": "1.7.1"})
    assert "tensorrt-cu12-libs 10.16.1.11, tensorrt-cu13 11.4.0.106" in problem.sentence
    assert problem.runtimes == ("tensorrt", "ort-tensorrt")


def test_a_tensorrt_provider_without_its_tensorrt() -> None:
    eleven = {"onnxruntime-gpu": "1.31.1", "tensorrt-cu13-libs": "11.4.0.106"}
    (problem,) = problems(eleven)
    assert "needs libnvinfer.so.10, and TensorRT 11 is installed" in problem.sentence
    assert problem.runtimes == ("ort-tensorrt",)
    assert problems({**eleven, "tensorrt-cu13-libs": "10.16.1.11"}) == []
    assert problems({"tensorrt-cu13-libs": "11.4.0.106"}) == []  # TensorRT alone may be any


def test_a_conflict_makes_the_runtimes_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conflicts, "problems", lambda: [Problem("two of a kind: remove one", ("ort-cpu",))])
    assert registry.get("ort-cpu").unavailable() == "two of a kind: remove one"
    assert registry.get("openvino").unavailable() is None


@given(st.dictionaries(st.text("abcdefgh-", min_size=1), st.from_regex(r"[0-9]{1,3}(\.[0-9a-z]+)*", fullmatch=True)))
def test_other_packages_are_no_problem(distributions: dict[str, str]) -> None:
    assert problems(distributions) == []
