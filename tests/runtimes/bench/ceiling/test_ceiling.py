"""The machine's ceiling: the best that was ever reached, and null with a reason where nothing was."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from convert.common import typed
from convert.common.worker import JobError
from runtimes.base import UnavailableError
from runtimes.bench.ceiling import __main__ as command
from runtimes.bench.ceiling import kept, measure
from runtimes.bench.ceiling.reach import Ceiling, Reach, merge
from runtimes.gpu import cuda
from runtimes.records.parts import Disturbance
from runtimes.system import disturbance

_MEASURED = measure.measure  # as it is, also where a test replaces it
_GFLOPS = st.one_of(st.none(), st.floats(0.1, 1e6))


def _call(target: str, job: Mapping[str, Any], timeout_s: float) -> list[dict[str, Any]]:
    """Stands in for the processes: there is no fp16 and no tf32."""
    if target.endswith("bandwidth:run_job"):
        return [{"name": "bandwidth_gb_s", "value": 44.4, "how": "numpy add of arrays of 64 MiB, 2 threads"}]
    speeds = {"fp32": 200.0, "bf16": 400.0, "int8": 800.0}
    return [
        {"name": name, "value": speeds.get(name), "how": f"{name} kernels" if name in speeds else f"no {name} here"}
        for name in job["precisions"]
    ]


def _nothing_works(target: str, job: Mapping[str, Any], timeout_s: float) -> dict[str, Any]:
    raise JobError("the process was ended by SIGILL")


@pytest.fixture(autouse=True)
def _no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_devices() -> list[str]:
        raise UnavailableError("no CUDA driver: pretended")

    monkeypatch.setattr(cuda, "devices", no_devices)


def _measured(gflops: float = 100.0, occasions: int = 1, **changes: Any) -> Ceiling:
    found = _MEASURED(call=_call)
    return replace(found, gflops={"fp32": gflops, "fp16": None}, occasions=occasions, **changes)


def test_every_number_says_how_it_was_reached_or_why_there_is_none() -> None:
    found = measure.measure(call=_call)
    assert found.gflops == {"fp32": 200.0, "bf16": 400.0, "fp16": None, "int8": 800.0}
    assert found.how["fp32"] == "fp32 kernels"
    assert (found.bandwidth_gb_s, found.how["bandwidth_gb_s"].split()[:2]) == (44.4, ["numpy", "add"])
    assert found.gpus == ()
    assert found.unmeasured == {"fp16": "no fp16 here", "gpus": "no CUDA driver: pretended"}
    json.dumps(typed.table(found))


def test_what_no_process_could_measure_is_null_with_the_reason() -> None:
    found = measure.measure(call=_nothing_works)
    assert set(found.gflops.values()) == {None}
    assert found.bandwidth_gb_s is None
    assert set(found.unmeasured) == {"fp32", "bf16", "fp16", "int8", "bandwidth_gb_s", "gpus"}
    assert found.unmeasured["bf16"] == "the process was ended by SIGILL"
    assert found.unmeasured["bandwidth_gb_s"] == "the process was ended by SIGILL"
    assert any(line.startswith("CPU fp32 - the process") for line in command.summary(found))
    assert any(line.startswith("CPU bandwidth - the process") for line in command.summary(found))


def test_each_gpu_has_a_ceiling_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda, "devices", lambda: ["GPU.0", "GPU.1"])
    found = measure.measure(call=_call)
    assert [gpu.device for gpu in found.gpus] == ["GPU.0", "GPU.1"]
    assert found.gpus[1].gflops == {"fp32": 200.0, "tf32": None, "bf16": 400.0, "fp16": None, "int8": 800.0}
    assert found.gpus[1].unmeasured == {name: f"no {name} here" for name in ("tf32", "fp16")}
    assert "gpus" not in found.unmeasured
    assert any(line.startswith("GPU.1 int8 800.0 GOP/s: int8 kernels") for line in command.summary(found))
    assert not any(line.startswith("GPU.1 bandwidth") for line in command.summary(found))


@given(_GFLOPS, _GFLOPS, st.one_of(st.none(), st.floats(1, 500)), st.one_of(st.none(), st.floats(1, 500)))
def test_a_ceiling_never_sinks(old: float | None, new: float | None, slow: float | None, fast: float | None) -> None:
    def made(name: str, gflops: float | None, bandwidth: float | None) -> Ceiling:
        numbers = {"fp32": gflops, "bandwidth_gb_s": bandwidth}
        reasons = {key: f"not in {name}" for key, value in numbers.items() if value is None}
        how = {key: name for key, value in numbers.items() if value is not None}
        reached: dict[str, Any] = {
            "gflops": {"fp32": gflops},
            "bandwidth_gb_s": bandwidth,
            "how": how,
            "unmeasured": reasons,
        }
        return Ceiling(
            **reached, gpus=(Reach(**reached, device="GPU"),), threads=1, foreign_load=0.0, time_utc="", occasions=1
        )

    merged = merge(made("old", old, slow), made("new", new, fast))
    for first, last, found, key in (
        (old, new, merged.gflops["fp32"], "fp32"),
        (slow, fast, merged.bandwidth_gb_s, "bandwidth_gb_s"),
    ):
        best = max((value for value in (first, last) if value is not None), default=None)
        assert found == best
        assert (key in merged.unmeasured) == (best is None)
        assert (key in merged.how) == (best is not None)
        if best is not None and first != last:
            assert merged.how[key] == ("old" if best == first else "new")
    assert merged.gpus[0].gflops["fp32"] == merged.gflops["fp32"]
    assert merged.occasions == 2


def test_it_is_measured_on_three_quiet_occasions_and_then_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, speeds = tmp_path / "cache" / "ceiling.json", iter([90.0, 110.0, 100.0, 95.0, 120.0])
    occasions = iter([1, 0, 1, 1, 1])
    monkeypatch.setattr(kept, "measure", lambda seconds: _measured(next(speeds), next(occasions)))
    told = [kept.known(file=file).gflops["fp32"] for _ in range(6)]
    assert told == [90.0, 110.0, 110.0, 110.0, 110.0, 110.0]
    assert next(speeds) == 120.0, "four measurements were needed, as one was not quiet"
    assert kept.known(file=file).occasions == 3


def test_fresh_measures_again_and_forget_begins_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, speeds = tmp_path / "ceiling.json", iter([90.0, 80.0, 70.0])
    monkeypatch.setattr(kept, "measure", lambda seconds: _measured(next(speeds), 3))
    assert kept.known(file=file).gflops["fp32"] == 90.0
    assert kept.known(fresh=True, file=file).gflops["fp32"] == 90.0
    kept.forget(file)
    assert kept.known(file=file).gflops["fp32"] == 70.0


@pytest.mark.parametrize("text", ["", "{", "[]", "7", '{"format": 0, "occasions": 3}'])
def test_a_damaged_file_is_measured_over(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "ceiling.json"
    file.write_text(text)
    monkeypatch.setattr(kept, "measure", lambda seconds: _measured(90.0))
    assert kept.known(file=file).gflops["fp32"] == 90.0
    assert kept.read(file)


def test_a_cache_that_cannot_be_written_is_no_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(kept, "measure", lambda seconds: _measured(90.0))
    assert kept.known(file=tmp_path / "file" / "ceiling.json").gflops["fp32"] == 90.0


def test_a_loaded_machine_is_no_quiet_occasion(monkeypatch: pytest.MonkeyPatch) -> None:
    for load, occasions in ((0.3, 0), (0.02, 1), (None, 0)):
        monkeypatch.setattr(disturbance, "difference", lambda before, after, load=load: Disturbance(foreign_load=load))
        found = measure.measure(call=_call)
        assert (found.foreign_load, found.occasions) == (load, occasions)


def test_the_command_prints_one_document(monkeypatch: pytest.MonkeyPatch) -> None:
    measured = measure.measure(call=_call)
    monkeypatch.setattr(kept, "known", lambda fresh, seconds: measured)
    told = CliRunner().invoke(command.main, ["--json"])
    assert (told.exit_code, json.loads(told.stdout)["ceiling"]) == (0, json.loads(json.dumps(typed.table(measured))))
    told = CliRunner().invoke(command.main, [])
    assert "CPU fp32 200.0 GFLOP/s: fp32 kernels" in told.stdout
    assert "CPU fp16 - no fp16 here" in told.stdout


def test_numbers_are_plain_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "measure", lambda seconds: _measured())
    told = kept.known(file=tmp_path / "ceiling.json")
    assert not any(isinstance(value, np.generic) for value in told.gflops.values())
    assert kept.read(tmp_path / "ceiling.json") == told


def test_a_ceiling_that_was_never_measured_undisturbed_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, occasions = tmp_path / "ceiling.json", iter([0, 1])
    monkeypatch.setattr(kept, "measure", lambda seconds: _measured(90.0, next(occasions), foreign_load=0.53))
    sentence = "never measured undisturbed: others took 53% of the processor, so it is too low"
    first = kept.known(file=file)
    assert first.disturbed == sentence
    assert command.summary(first)[-1] == sentence
    assert kept.known(file=file).disturbed is None


def test_a_machine_that_is_never_quiet_is_not_measured_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def busy(seconds: float) -> Ceiling:
        calls.append(1)
        return _measured(90.0, 0, foreign_load=0.5)

    file = tmp_path / "ceiling.json"
    monkeypatch.setattr(kept, "measure", busy)
    monkeypatch.setattr(disturbance, "difference", lambda before, after: Disturbance(foreign_load=0.5))
    for _ in range(10):
        found = kept.known(file=file)
    assert len(calls) == kept.MOST_TRIES
    assert found.disturbed
    monkeypatch.setattr(kept, "measure", lambda seconds: _measured(120.0, 1))
    monkeypatch.setattr(disturbance, "difference", lambda before, after: Disturbance(foreign_load=0.0))
    assert kept.known(file=file).gflops["fp32"] == 120.0, "quiet at last"
    assert kept.known(file=file).disturbed is None
    monkeypatch.setattr(kept, "measure", lambda seconds: _measured(130.0, 1))
    assert kept.known(file=file).gflops["fp32"] == 120.0, "and then no more"


def test_what_was_kept_before_there_was_a_type_is_read(tmp_path: Path) -> None:
    """As commit e3a565f wrote it, in the cache and in environment.json."""
    numbers = {"gflops": {"fp32": 349.3, "bf16": None}, "bandwidth_gb_s": 41.8}
    stored = {
        "format": 1,
        **numbers,
        "bandwidth": {"kernels_gb_s": {"copy": 41.8}, "array_bytes": 1090519040},
        "how": {"fp32": "OpenVINO 2026.4.1 (gemm_mlas_f32)", "bandwidth_gb_s": "numpy copy"},
        "products": [
            {"precision": "fp32", "library": "openvino", "gflops": 349.26, "count": 22, "shape": [8, 8, 8], "how": "x"}
        ],
        "peak": {"flop_per_cycle": {"fp32": 64}, "clock_mhz": None, "gflops": None, "reason": "it is not told"},
        "gpus": [{"device": "GPU", **numbers, "how": {}, "unmeasured": {"bf16": "no bf16"}}],
        "unmeasured": {"bf16": "no bf16", "gpus": "no CUDA driver"},
        **{"threads": 2, "foreign_load": 0.0, "occasions": 3, "disturbed": None, "tries": 4},
        "time_utc": "2026-11-29T21:23:09Z",
    }
    file = tmp_path / "ceiling.json"
    file.write_text(json.dumps(stored))
    table = json.loads(json.dumps(typed.table(kept.known(file=file))))
    dropped = {"format", "bandwidth", "products", "peak"}  # what no report reads
    assert table == {"device": "CPU", **{name: value for name, value in stored.items() if name not in dropped}}
