from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from convert.common.errors import InputError
from runtimes import __main__ as doctor
from runtimes import base, registry
from runtimes.base import Runtime
from runtimes.system import conflicts

OWN = [
    *("paddle", "ort-cpu", "ort-cuda", "ort-tensorrt", "tensorrt", "openvino", "mnn", "ncnn", "paddle-lite"),
    "served",
]


def broken(name: str, package: str) -> Runtime:
    return Runtime(name, package, (package,), ("fp32",), lambda: [], lambda artifact, options: pytest.fail("opened"))


def test_each_runtime_is_available_or_with_a_reason() -> None:
    states = registry.examine(registry.names())
    assert list(states) == OWN
    for name, state in states.items():
        assert state["name"] == name
        assert "fp32" in state["precisions"]
        assert state["available"] is (state["reason"] is None)
        if state["available"]:
            assert state["devices"]
            assert state["version"]
        else:
            assert len(state["reason"].split()) > 2, "a sentence"
    for name in ("paddle", "ort-cpu", "openvino", "mnn"):
        assert states[name]["available"], states[name]["reason"]


def test_looking_does_not_import_them_here() -> None:
    code = (
        "import sys; from runtimes import registry; registry.available(None);"
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
    with pytest.raises(InputError, match="unknown runtime onnx; there are paddle, ort-cpu, ort-cuda"):
        registry.available(["onnx"])
    with pytest.raises(InputError, match="no runtime given"):
        registry.available([])

    def examine(names: list[str], settings: object) -> dict[str, dict[str, object]]:
        return {
            name: {
                **{"available": name == "openvino", "reason": "it is not installed"},
                **{"devices": ["CPU", "GPU.0"], "precisions": ["fp32"]},
            }
            for name in names
        }

    monkeypatch.setattr(registry, "examine", examine)
    with pytest.raises(InputError, match="runtime ort-cpu is not available: it is not installed"):
        registry.available(["openvino", "ort-cpu"])
    assert [runtime.name for runtime in registry.available(None)] == ["openvino"]
    assert [runtime.name for runtime in registry.available(None, "GPU")] == ["openvino"]
    with pytest.raises(InputError, match=r"openvino is not available: it finds no device NPU, only CPU, GPU\.0"):
        registry.available(["openvino"], "NPU")
    with pytest.raises(InputError, match="no runtime is available here on NPU"):
        registry.available(None, "NPU")


def test_the_doctor() -> None:
    command = [sys.executable, "-m", "runtimes"]
    result = subprocess.run([*command, "--json"], capture_output=True, text=True, check=True)
    document = json.loads(result.stdout)
    assert {"name", "available", "reason", "version", "devices", "precisions"} <= document["runtimes"][0].keys()
    assert document["problems"] == []
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "ort-cpu" in result.stdout
    assert "--option paddle.kernels=default|plain (default default):" in result.stdout


def test_the_doctor_fails_on_packages_that_break_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conflicts, "problems", lambda: [conflicts.Problem("remove one", ("ort-cpu",))])
    result = CliRunner().invoke(doctor.main, ["--json"])
    assert result.exit_code == 1
    assert json.loads(result.stdout)["problems"] == ["remove one"]
    assert result.stderr == "failed: remove one\n"


PLUGIN = """
from runtimes.base import Runtime
RUNTIME = Runtime("{name}", "json", ("plugin",), ("fp32",), lambda: ["CPU"], lambda artifact, options: None)
"""


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, str], None]]:
    """Installs a package with one adapter, as pip would have it: a module and its entry point."""

    def install(name: str, source: str) -> None:
        (tmp_path / "plugin_adapter.py").write_text(source)
        folder = tmp_path / "plugin-1.2.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: plugin\nVersion: 1.2\n")
        (folder / "entry_points.txt").write_text(f"[{registry.ENTRY_POINTS}]\n{name} = plugin_adapter:RUNTIME\n")
        monkeypatch.syspath_prepend(str(tmp_path))
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))
        registry._found.cache_clear()

    yield install
    monkeypatch.undo()
    sys.modules.pop("plugin_adapter", None)
    registry._found.cache_clear()


def test_a_third_party_joins_through_an_entry_point(plugin: Callable[[str, str], None]) -> None:
    plugin("mine", PLUGIN.format(name="mine"))
    assert registry.names() == [*OWN, "mine"]
    state = registry.examine(["mine"])["mine"]
    assert (state["available"], state["version"], state["devices"]) == (True, "1.2", ["CPU"])
    assert state["distribution"] == "plugin"


def test_a_precision_that_the_machine_lacks_is_none_of_it(plugin: Callable[[str, str], None]) -> None:
    source = PLUGIN.replace('("fp32",)', '("fp32", "bf16")').replace(
        "None)", "None, lacks=lambda: {{'bf16': 'too old'}})"
    )
    plugin("mine", source.format(name="mine"))
    state = registry.examine(["mine"])["mine"]
    assert (state["precisions"], state["lacks"]) == (["fp32"], {"bf16": "too old"})
    assert [runtime.precisions for runtime in registry.available(["mine"])] == [("fp32",)]


def test_two_adapters_of_one_name_are_an_error(plugin: Callable[[str, str], None]) -> None:
    plugin("openvino", PLUGIN.format(name="openvino"))
    with pytest.raises(
        InputError, match=r"plugin_adapter:RUNTIME and runtimes.adapters.openvino both bring .* openvino"
    ):
        registry.names()


@pytest.mark.parametrize("source", ["RUNTIME = 1", "raise OSError('no such library')"])
def test_a_third_party_that_is_broken_is_unavailable_and_no_more(
    plugin: Callable[[str, str], None], source: str
) -> None:
    plugin("mine", source)
    state = registry.examine(["mine"])["mine"]
    assert not state["available"]
    assert "its adapter plugin_adapter:RUNTIME cannot be loaded: " in state["reason"]
    assert [runtime.name for runtime in registry.available(["ort-cpu"])] == ["ort-cpu"]


def test_one_runtime_is_the_reference() -> None:
    (reference,) = (runtime for runtime in map(registry.get, registry.names()) if runtime.reference)
    assert reference.reads == "paddle"
