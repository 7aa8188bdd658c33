"""`config.pbtxt`: read back by the rules of protobuf's text format."""

from __future__ import annotations

from dataclasses import replace

import pytest

from convert.artifact import Artifact
from convert.common.errors import InputError
from runtimes.served.triton import Deployment, config
from tests.runtimes.served.pbtxt import parsed


def test_requests_are_put_together_for_onnx_runtime(toy_artifact: Artifact) -> None:
    found = parsed(config(toy_artifact, Deployment(max_batch=4, threads=2, delay_us=100)))
    assert found == {
        "name": "toy",
        "backend": "onnxruntime",
        "max_batch_size": 4,
        "input": [{"name": "x", "data_type": "TYPE_FP32", "dims": [3, 32, 32]}],
        "output": [{"name": "logits", "data_type": "TYPE_FP32", "dims": [7]}],
        "instance_group": [{"kind": "KIND_CPU", "count": 1}],
        "model_warmup": [
            {
                "name": f"{size} of [3, 32, 32]",
                "batch_size": size,
                "inputs": {"key": "x", "value": {"data_type": "TYPE_FP32", "dims": [3, 32, 32], "zero_data": "true"}},
            }
            for size in (1, 4)
        ],
        "dynamic_batching": {"max_queue_delay_microseconds": 100},
        "parameters": [{"key": "intra_op_thread_count", "value": {"string_value": "2"}}],
    }


def test_openvino_has_the_batch_in_its_shapes(toy_artifact: Artifact) -> None:
    found = parsed(config(toy_artifact, Deployment("openvino", threads=2)))
    assert (found["max_batch_size"], found["default_model_filename"]) == (0, "model.onnx")
    assert found["input"][0]["dims"] == [-1, 3, 32, 32]
    assert found["model_warmup"][0]["inputs"]["value"]["dims"] == [1, 3, 32, 32]
    assert "dynamic_batching" not in found
    told = {one["key"]: one["value"]["string_value"] for one in found["parameters"]}
    assert told == {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": "2"}


def test_tensorrt_is_on_the_gpu_and_a_fixed_batch_stays(toy_artifact: Artifact) -> None:
    manifest = toy_artifact.manifest
    (port,) = manifest.inputs
    fixed = replace(toy_artifact, manifest=replace(manifest, inputs=(replace(port, shape=(2, 3, 32, 32)),)))
    found = parsed(config(fixed, Deployment("tensorrt", threads=2)))
    assert (found["instance_group"][0]["kind"], found["max_batch_size"]) == ("KIND_GPU", 0)
    assert found["input"][0]["dims"] == [2, 3, 32, 32]
    assert "parameters" not in found


def test_what_is_not_known_is_refused(toy_artifact: Artifact) -> None:
    with pytest.raises(InputError, match="backend 'onnx': onnxruntime, openvino, tensorrt are known for Triton"):
        config(toy_artifact, Deployment("onnx"))
    manifest = toy_artifact.manifest
    (port,) = manifest.inputs
    half = replace(toy_artifact, manifest=replace(manifest, inputs=(replace(port, dtype="float16"),)))
    with pytest.raises(InputError, match="x is of type float16"):
        config(half, Deployment())


def test_a_name_stays_inside_its_quotation_marks(toy_artifact: Artifact) -> None:
    manifest = toy_artifact.manifest
    (port,) = manifest.inputs
    named = replace(toy_artifact, manifest=replace(manifest, inputs=(replace(port, name='a" b\\\n'),)))
    assert parsed(config(named, Deployment()))["input"][0]["name"] == 'a\\" b\\\\\\n'
