"""OpenVINO on a processor with bf16: as it comes it misses FP32 parity, with our hint it passes."""

from __future__ import annotations

import numpy as np
import pytest

from convert.artifact import Artifact
from convert.images import inputs
from runtimes import registry
from runtimes.base import Options
from validate.parity import reference
from validate.parity.check import Case, check
from validate.parity.metrics import compare
from validate.parity.tolerances import tolerance


def test_without_the_hint_parity_is_missed_and_with_it_passed(toy_artifact: Artifact) -> None:
    import openvino

    core = openvino.Core()
    if "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        pytest.skip("this processor has no bf16: OpenVINO would not choose it")
    images = inputs.seeded(toy_artifact.preprocessing, 4)
    truth = reference.obtain(toy_artifact, images)
    bounds = tolerance("fp32", truth)

    untold = core.compile_model(str(toy_artifact.onnx), "CPU")
    assert untold.get_property("INFERENCE_PRECISION_HINT") == openvino.Type.bf16
    logits = np.concatenate([untold(image[None])[0] for image in images.images])
    missed = bounds.violation(compare(logits, truth.logits, images.names, bounds.max_abs))
    assert missed is not None
    assert "logits differ by up to" in missed

    openvino_runtime = registry.get("openvino")
    record = check(Case(toy_artifact, openvino_runtime, Options(), images, (1, 4), truth)).record
    assert record.passed, record.reason
    assert record.effective
    assert record.effective.precision == "fp32"
    assert record.effective.details["layers_by_precision"].keys() <= {"f32", "i32"}
