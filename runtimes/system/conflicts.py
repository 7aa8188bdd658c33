"""Packages that break each other in one environment: found by name, before anything is loaded."""

from __future__ import annotations

import functools
import importlib.metadata
import re
from collections.abc import Mapping
from dataclasses import dataclass

from convert.common.errors import listing

_ONNX_RUNTIME = ("ort-cpu", "ort-cuda", "ort-tensorrt")
# Everything that unpacks into the folder `onnxruntime`.
_ONNX_RUNTIMES = re.compile(r"onnxruntime(-gpu|-openvino|-directml|-qnn|-training|-migraphx|-rocm)?")
_TENSORRT = re.compile(r"tensorrt(-cu\d+)?(-bindings|-libs)?")


@dataclass(frozen=True)
class Problem:
    """sentence: what is wrong and what to do. runtimes: those that it makes unusable."""

    sentence: str
    runtimes: tuple[str, ...]


@functools.cache
def installed() -> dict[str, str]:
    """Version of each installed distribution, by its normalised name (PEP 503)."""
    found = ((d.metadata["Name"], d.version) for d in importlib.metadata.distributions())
    return {_normalised(name): version for name, version in found if name}


def version(distribution: str) -> str | None:
    """The installed version of a distribution, None where it is not installed."""
    return installed().get(_normalised(distribution))


def _normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def problems(distributions: Mapping[str, str] | None = None) -> list[Problem]:
    """What cannot be together, among the given distributions (name to version) or those installed here."""
    distributions = installed() if distributions is None else distributions
    found = []
    onnx_runtimes = sorted(name for name in distributions if _ONNX_RUNTIMES.fullmatch(name))
    if len(onnx_runtimes) > 1:
        sentence = (
            f"{listing(onnx_runtimes)} are installed into the same folder, where each overwrites the other:"
            f" run `pip uninstall -y {' '.join(onnx_runtimes)}`, then install one of them"
        )
        found.append(Problem(sentence, _ONNX_RUNTIME))
    tensorrt = {name: version for name, version in distributions.items() if _TENSORRT.fullmatch(name)}
    majors = sorted({int(version.partition(".")[0]) for version in tensorrt.values()})
    if len(majors) > 1:
        pairs = [f"{name} {version}" for name, version in sorted(tensorrt.items())]
        sentence = (
            f"several TensorRT versions are installed together ({listing(pairs)}):"
            f" run `pip uninstall -y {' '.join(sorted(tensorrt))}`, then install one version"
        )
        found.append(Problem(sentence, ("tensorrt", "ort-tensorrt")))
    elif majors and majors[0] != 10 and "onnxruntime-gpu" in distributions:
        sentence = (
            f"the TensorRT provider of onnxruntime-gpu needs libnvinfer.so.10, and TensorRT {majors[0]} is installed:"
            " run `pip install 'tensorrt-cu13<11'`, which serves the runtime tensorrt as well"
        )
        found.append(Problem(sentence, ("ort-tensorrt",)))
    return found
