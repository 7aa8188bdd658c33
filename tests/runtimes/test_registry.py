from __future__ import annotations

import json
import subprocess
import sys

import pytest

from convert.errors import InputError
from runtimes import base, registry
from runtimes.base import Runtime


def broken(name: str, package: str) -> Runtime:
    return Runtime(name, package, package, ("fp32",), lambda: [], lambda artifact, options: pytest.fail("opened"))


def test_every_runtime_is_available_here_with_its_state() -> None:
    states = registry.examine(registry.names())
    assert list(states) == ["paddle", "ort-cpu", "openvino"]
    for name, state in states.items():
        assert state["name"] == name
        assert (state["available"], state["reason"]) == (True, None)
        assert state["devices"][0] == "CPU"
        assert "fp32" in state["precisions"]
        assert state["version"]


def test_looking_does_not_import_them_here() -> None:
    code = (
        "import sys; from runtimes import registry; registry.select(None);"
        "print([m for m in ('paddle', 'onnxruntime', 'openvino') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_what_is_not_there_has_a_reason() -> None:
    assert "no_such_package cannot be imported: No module named" in str(broken("x", "no_such_package").unavailable())
    assert broken("x", "json").unavailable() == "json is installed but finds no device"
    with pytest.raises(base.UnavailableError, match="finds no device"):
        broken("x", "json").open(None, base.Options())  # type: ignore[arg-type]


def test_a_runtime_asked_for_by_name_must_be_there(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="unknown runtime onnx; there are paddle, ort-cpu, openvino"):
        registry.select("onnx")
    with pytest.raises(InputError, match="no runtime given"):
        registry.select(" ,")

    def examine(names: list[str]) -> dict[str, dict[str, object]]:
        return {name: {"available": name == "openvino", "reason": "it is not installed"} for name in names}

    monkeypatch.setattr(registry, "examine", examine)
    with pytest.raises(InputError, match="runtime ort-cpu is not available: it is not installed"):
        registry.select("openvino,ort-cpu")
    assert [runtime.name for runtime in registry.select(None)] == ["openvino"]


def test_the_doctor() -> None:
    command = [sys.executable, "-m", "runtimes"]
    result = subprocess.run([*command, "--json"], capture_output=True, text=True, check=True)
    states = json.loads(result.stdout)["runtimes"]
    assert {"name", "available", "reason", "version", "devices", "precisions"} <= states[0].keys()
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "ort-cpu" in result.stdout
