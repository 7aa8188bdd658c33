from __future__ import annotations

import copy
import getpass
import json
import socket
from pathlib import Path
from typing import Any

import pytest

from runtimes.gpu import nvml_library
from runtimes.system import conflicts, environment
from tests.runtimes.fake_nvml import FakeNvml, Gpu


def test_it_says_what_can_change_a_number_and_not_whose_machine_it_is() -> None:
    described = environment.describe()
    assert described["machine"]["cores_usable"] >= 1
    assert described["machine"]["memory_bytes"] > 1 << 28
    assert described["packages"]["onnxruntime"]
    assert described["packages"]["scipy"]
    assert described["vitbench"]["version"]
    text = json.dumps(described)
    assert socket.gethostname() not in text or len(socket.gethostname()) < 4
    assert str(Path.home()) not in text
    assert f'"{getpass.getuser()}"' not in text


def test_gpus_are_listed_or_the_reason_why_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    pretended = FakeNvml(Gpu(), Gpu(name="Another"))
    monkeypatch.setattr(nvml_library, "api", lambda: pretended)
    described = environment.describe()
    assert [gpu["name"] for gpu in described["gpus"]] == ["Pretended GPU", "Another"]
    assert described["unmeasured"] == {}
    pretended.gpus.clear()
    described = environment.describe()
    assert (described["gpus"], described["unmeasured"]) == ([], {"gpus": "the NVIDIA driver finds no GPU"})


def test_cuda_libraries_are_versions_that_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    installed = {
        "nvidia-cudnn-cu13": "9.1",
        "nvidia-cublas": "13.1",
        "nvidia-ml-py": "13",
        "numpy": "2",
        "leftpad": "1",
    }
    monkeypatch.setattr(conflicts, "installed", lambda: installed)
    packages = environment.describe()["packages"]
    assert packages == {"numpy": "2", "nvidia-ml-py": "13", "nvidia-cublas": "13.1", "nvidia-cudnn-cu13": "9.1"}


@pytest.fixture(scope="module")
def described() -> dict[str, Any]:
    found = environment.describe()
    found["gpus"] = [{"name": "A GPU", "memory_bytes": 1 << 34, "power_limit_w": 300.0, "clock_sm_mhz": 1200}]
    return found


def _changed(described: dict[str, Any], path: str, value: object) -> dict[str, Any]:
    changed = copy.deepcopy(described)
    *folders, last = path.split(".")
    place: Any = changed
    for name in folders:
        place = place[int(name) if name.isdigit() else name]
    place[last] = value
    return changed


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("machine.cpu", "another"),
        ("machine.cores_usable", 77),
        ("machine.caches", {"L3": {"bytes": 1, "instances": 1}}),
        ("machine.instruction_sets", ["avx2"]),
        ("machine.memory_bytes", 1 << 44),
        ("machine.hypervisor", "another"),
        ("machine.huge_pages", "never or ever"),
        ("machine.frequency.governor", "powersave, or so"),
        ("machine.container.cpu_quota", 0.25),
        ("gpus", []),
        ("gpus.0.name", "Another GPU"),
        ("gpus.0.power_limit_w", 250.0),
    ],
)
def test_another_machine_has_another_key(described: dict[str, Any], path: str, value: object) -> None:
    assert environment.machine_key(_changed(described, path, value)) != environment.machine_key(described)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("time_utc", "2001-01-01T00:00:00Z"),
        ("machine.load_average_1min", 55.0),
        ("os.kernel", "another"),
        ("packages", {}),
        ("variables", {"OMP_NUM_THREADS": "1"}),
        ("vitbench", {}),
        ("gpus.0.clock_sm_mhz", 300),
        ("machine.container.kind", "another"),
    ],
)
def test_what_passes_or_belongs_to_the_software_does_not_change_the_key(
    described: dict[str, Any], path: str, value: object
) -> None:
    assert environment.machine_key(_changed(described, path, value)) == environment.machine_key(described)


def test_the_key_survives_json_and_a_little_less_memory(described: dict[str, Any]) -> None:
    key = environment.machine_key(described)
    assert len(key) == 16
    assert environment.machine_key(json.loads(json.dumps(described))) == key
    gib = 1 << 30
    for missing in (0, 9 << 20, 200 << 20):
        assert environment.machine_key(_changed(described, "machine.memory_bytes", 16 * gib - missing)) == (
            environment.machine_key(_changed(described, "machine.memory_bytes", 16 * gib))
        )


def test_it_is_written_once_for_a_run(tmp_path: Path) -> None:
    environment.save(tmp_path)
    file = tmp_path / "environment.json"
    assert json.loads(file.read_text())["machine"]
    file.write_text('{"of": "the beginning"}')
    environment.save(tmp_path)
    assert json.loads(file.read_text()) == {"of": "the beginning"}


def test_label() -> None:
    machine = {"cpu": "Intel(R) Xeon(R) Platinum 8480C CPU @ 2.00GHz", "cores_usable": 1}
    assert environment.label({"machine": machine, "gpus": [{"name": "NVIDIA H100"}] * 2}) == (
        "Intel Xeon Platinum 8480C, 1 core, NVIDIA H100"
    )
    assert environment.label({}) == "unknown machine"


def test_who_answered_is_the_same_for_machines_of_one_kind(described: dict[str, Any]) -> None:
    found = environment.answering(described, 2)
    assert found == environment.answering(_changed(described, "time_utc", "later"), 2)
    assert found.endswith(", 2 threads")
    assert environment.answering(described, 1).endswith(", 1 thread")
    other = _changed(described, "machine.caches", {})
    assert environment.answering(other, 2) != found
