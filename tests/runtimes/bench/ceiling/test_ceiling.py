"""The machine's ceiling: the best that was ever reached, and null with a reason where nothing was."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from convert.common.isolate import JobError
from runtimes.base import UnavailableError
from runtimes.bench.ceiling import __main__ as ceiling
from runtimes.gpu import cuda

_MEASURE = ceiling.measure  # as it is, also where a test replaces it
_GFLOPS = st.one_of(st.none(), st.floats(0.1, 1e6))


def _product(job: Mapping[str, Any], precision: str, gflops: float) -> dict[str, Any]:
    return {
        **{"precision": precision, "library": job["library"], "gflops": gflops, "count": 9},
        **{"shape": [8, 8, 8], "how": f"{job['library']} kernels"},
    }


def _call(target: str, job: Mapping[str, Any], timeout_s: float) -> dict[str, Any]:
    """Stands in for the processes: OpenVINO is the fastest in FP32 and has no fp16, ONNX Runtime is in int8."""
    if target.endswith("bandwidth:run_job"):
        return {"read": 40.04, "copy": 30.0, "scale": 31.0, "add": 44.44}
    if target.endswith("bandwidth:run_gpu_job"):
        return {"copy": 3000.04}
    speed = {"openvino": {"fp32": 200.04, "bf16": 400.0, "int8": 700.0}, "onnxruntime": {"fp32": 150.0, "int8": 800.0}}
    speeds = speed.get(job["library"], {"fp32": 100.0})
    found = [_product(job, name, speeds[name]) for name in job["precisions"] if name in speeds]
    return {"found": found, "unmeasured": {name: f"no {name} here" for name in job["precisions"] if name not in speeds}}


def _nothing_works(target: str, job: Mapping[str, Any], timeout_s: float) -> dict[str, Any]:
    raise JobError("the process was ended by SIGILL")


@pytest.fixture(autouse=True)
def _no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_devices() -> list[str]:
        raise UnavailableError("no CUDA driver: pretended")

    monkeypatch.setattr(cuda, "devices", no_devices)


def _measured(gflops: float = 100.0, occasions: int = 1) -> ceiling.Measurement:
    return {**_MEASURE(call=_call), "occasions": occasions, "gflops": {"fp32": gflops, "fp16": None}}


def test_the_best_library_is_the_ceiling_of_each_precision() -> None:
    found = ceiling.measure(call=_call)
    assert found["gflops"] == {"fp32": 200.0, "bf16": 400.0, "fp16": None, "int8": 800.0}
    assert found["how"]["fp32"] == "openvino kernels, 8 x 8 x 8, fastest of 9"
    assert found["how"]["int8"].startswith("onnxruntime kernels")
    assert (found["bandwidth_gb_s"], found["how"]["bandwidth_gb_s"].split()[:2]) == (44.4, ["numpy", "add"])
    assert found["gpus"] == []
    assert {name: found["unmeasured"][name] for name in ("fp16", "gpus")} == {
        "fp16": "no fp16 here",
        "gpus": "no CUDA driver: pretended",
    }
    assert not {"fp32", "bf16", "int8", "bandwidth_gb_s"} & set(found["unmeasured"])
    json.dumps(found)


def test_what_no_process_could_measure_is_null_with_the_reason() -> None:
    found = ceiling.measure(call=_nothing_works)
    assert set(found["gflops"].values()) == {None}
    assert found["bandwidth_gb_s"] is None
    assert set(found["unmeasured"]) == {"fp32", "bf16", "fp16", "int8", "bandwidth_gb_s", "gpus"}
    assert found["unmeasured"]["bf16"] == "openvino: the process was ended by SIGILL"
    assert found["unmeasured"]["bandwidth_gb_s"] == "the process was ended by SIGILL"
    assert any(line.startswith("CPU fp32 - openvino: the process") for line in ceiling.summary(found))


def test_each_gpu_has_a_ceiling_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda, "devices", lambda: ["GPU.0", "GPU.1"])
    found = ceiling.measure(call=_call)
    assert [gpu["device"] for gpu in found["gpus"]] == ["GPU.0", "GPU.1"]
    assert found["gpus"][1]["gflops"] == {"fp32": 150.0, "tf32": None, "bf16": None, "fp16": None, "int8": 800.0}
    assert found["gpus"][1]["bandwidth_gb_s"] == 3000.0
    assert found["gpus"][1]["unmeasured"] == {name: f"no {name} here" for name in ("tf32", "bf16", "fp16")}
    assert "gpus" not in found["unmeasured"]
    assert any(line.startswith("GPU.1 int8 800.0 GOP/s: onnxruntime") for line in ceiling.summary(found))


@given(_GFLOPS, _GFLOPS, st.one_of(st.none(), st.floats(1, 500)), st.one_of(st.none(), st.floats(1, 500)))
def test_a_ceiling_never_sinks(old: float | None, new: float | None, slow: float | None, fast: float | None) -> None:
    def made(name: str, gflops: float | None, bandwidth: float | None) -> ceiling.Measurement:
        numbers = {"fp32": gflops, "bandwidth_gb_s": bandwidth}
        reasons = {key: f"not in {name}" for key, value in numbers.items() if value is None}
        how = {key: name for key, value in numbers.items() if value is not None}
        gpu = {"device": "GPU", "gflops": {"fp32": gflops}, "how": dict(how), "bandwidth_gb_s": None, "unmeasured": {}}
        return {
            **{"gflops": {"fp32": gflops}, "bandwidth_gb_s": bandwidth, "bandwidth": {"of": name}, "how": how},
            **{"unmeasured": reasons, "gpus": [gpu], "occasions": 1},
        }

    merged = ceiling.merge(made("old", old, slow), made("new", new, fast))
    for first, last, found, key in (
        (old, new, merged["gflops"]["fp32"], "fp32"),
        (slow, fast, merged["bandwidth_gb_s"], "bandwidth_gb_s"),
    ):
        best = max((value for value in (first, last) if value is not None), default=None)
        assert found == best
        assert (key in merged["unmeasured"]) == (best is None)
        assert (key in merged["how"]) == (best is not None)
        if best is not None and first != last:
            assert merged["how"][key] == ("old" if best == first else "new")
    assert merged["gpus"][0]["gflops"]["fp32"] == merged["gflops"]["fp32"]
    assert merged["occasions"] == 2


def test_it_is_measured_on_three_quiet_occasions_and_then_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, speeds = tmp_path / "cache" / "ceiling.json", iter([90.0, 110.0, 100.0, 95.0, 120.0])
    occasions = iter([1, 0, 1, 1, 1])
    monkeypatch.setattr(ceiling, "measure", lambda seconds: _measured(next(speeds), next(occasions)))
    told = [ceiling.known(file=file)["gflops"]["fp32"] for _ in range(6)]
    assert told == [90.0, 110.0, 110.0, 110.0, 110.0, 110.0]
    assert next(speeds) == 120.0, "four measurements were needed, as one was not quiet"
    assert ceiling.known(file=file)["occasions"] == 3


def test_fresh_measures_again_and_forget_begins_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, speeds = tmp_path / "ceiling.json", iter([90.0, 80.0, 70.0])
    monkeypatch.setattr(ceiling, "measure", lambda seconds: _measured(next(speeds), 3))
    assert ceiling.known(file=file)["gflops"]["fp32"] == 90.0
    assert ceiling.known(fresh=True, file=file)["gflops"]["fp32"] == 90.0
    ceiling.forget(file)
    assert ceiling.known(file=file)["gflops"]["fp32"] == 70.0


@pytest.mark.parametrize("text", ["", "{", "[]", "7", '{"format": 0, "occasions": 3}'])
def test_a_damaged_file_is_measured_over(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "ceiling.json"
    file.write_text(text)
    monkeypatch.setattr(ceiling, "measure", lambda seconds: _measured(90.0))
    assert ceiling.known(file=file)["gflops"]["fp32"] == 90.0
    assert ceiling.read(file)


def test_a_cache_that_cannot_be_written_is_no_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(ceiling, "measure", lambda seconds: _measured(90.0))
    assert ceiling.known(file=tmp_path / "file" / "ceiling.json")["gflops"]["fp32"] == 90.0


def test_load_of_others_is_what_is_not_our_childrens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ceiling.psutil, "cpu_count", lambda: 2)
    before = ceiling.Used(10.0, 100.0, 5.0)
    assert ceiling.foreign_load(before, ceiling.Used(14.0, 108.0, 13.0)) == 0.0
    assert ceiling.foreign_load(before, ceiling.Used(14.0, 108.0, 9.0)) == 0.5


def test_a_loaded_machine_is_no_quiet_occasion(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ceiling, "foreign_load", lambda before, after: 0.3)
    found = ceiling.measure(call=_call)
    assert (found["foreign_load"], found["occasions"]) == (0.3, 0)
    monkeypatch.setattr(ceiling, "foreign_load", lambda before, after: 0.02)
    assert ceiling.measure(call=_call)["occasions"] == 1


def test_the_command_prints_one_document(monkeypatch: pytest.MonkeyPatch) -> None:
    measured = ceiling.measure(call=_call)
    monkeypatch.setattr(ceiling, "known", lambda fresh, seconds: measured)
    told = CliRunner().invoke(ceiling.main, ["--json"])
    assert (told.exit_code, json.loads(told.stdout)["ceiling"]) == (0, json.loads(json.dumps(measured)))
    told = CliRunner().invoke(ceiling.main, [])
    assert "CPU fp32 200.0 GFLOP/s: openvino kernels, 8 x 8 x 8, fastest of 9" in told.stdout
    assert "CPU fp16 - no fp16 here" in told.stdout


def test_numbers_are_plain_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ceiling, "measure", lambda seconds: ceiling.Measurement(_measured()))
    told = ceiling.known(file=tmp_path / "ceiling.json")
    assert not any(isinstance(value, np.generic) for value in told["gflops"].values())
    assert ceiling.read(tmp_path / "ceiling.json") == told


def test_a_ceiling_that_was_never_measured_undisturbed_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, occasions = tmp_path / "ceiling.json", iter([0, 1])
    monkeypatch.setattr(ceiling, "measure", lambda seconds: {**_measured(90.0, next(occasions)), "foreign_load": 0.53})
    sentence = "never measured undisturbed: others took 53% of the processor, so it is too low"
    first = ceiling.known(file=file)
    assert first["disturbed"] == sentence
    assert ceiling.summary(first)[-1] == sentence
    assert ceiling.known(file=file)["disturbed"] is None


def test_a_machine_that_is_never_quiet_is_not_measured_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    monkeypatch.setattr(
        ceiling, "measure", lambda seconds: calls.append(1) or _measured(90.0, 0) | {"foreign_load": 0.5}
    )
    for _ in range(10):
        found = ceiling.known(file=tmp_path / "ceiling.json")
    assert len(calls) == ceiling.MOST_TRIES
    assert found["disturbed"]
