"""What may lie between two latencies, and how much of the factor it makes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from reports.explain.causes import Cause, Explanation, explain
from reports.explain.choose import pick

DATA = Path(__file__).parents[1] / "data"
STORED = DATA / "explain"


def explained(run: Path, published: str | Path = "V100", **wanted: Any) -> Explanation:
    return explain(*pick(run, str(published), wanted))


def cause(found: Explanation, name: str) -> Cause:
    (one,) = [one for one in found.causes if one.name == name]
    return one


def test_readmes_run_beside_the_v100() -> None:
    found = explained(STORED / "readme", runtime="openvino")
    assert found.times == pytest.approx(60 / 5.29)
    assert found.counted == pytest.approx(1.0, abs=1e-3), "the machine's ceiling was not measured"
    for name in ("timed call", "operators that fell back", "threads", "clocks", "other programs"):
        assert cause(found, name).published is None, name
    assert cause(found, "threads").run == "2 on 2 cores"
    assert cause(found, "operators that fell back").run == "none"
    assert cause(found, "image") == Cause("image", "384 x 384 pixels", "384 x 384 pixels")
    assert cause(found, "work").times == pytest.approx(12.657690624 / 12.66)
    assert cause(found, "precision that ran").run == "fp32 on CPU"
    assert cause(found, "runtime").published == "tensorrt fp32 on GPU, version 8.0.3.4"
    peak = cause(found, "machine's ceiling")
    assert (peak.run, peak.times) == (None, None)
    assert peak.note.startswith("the machine's ceiling was not measured; the page does not say which V100")
    assert peak.published == "15,700 GFLOP/s in fp32 by NVIDIA's data sheet of the SXM2 card, 30% of it reached"
    assert "versions" not in [one.name for one in found.causes], "which the page has none of"


def test_the_ceilings_of_both_explain_the_most() -> None:
    found = explained(DATA / "example", model="ViT_base_patch32_384", runtime="ort-cpu")
    peak = cause(found, "machine's ceiling")
    assert peak.times == pytest.approx(15_700 / 221.4)
    assert str(peak.run).startswith("221 GFLOP/s in fp32, 85% of it reached")
    assert found.times / found.counted == pytest.approx((133.9815 / 5.29) / (15_700 / 221.4), rel=1e-3)


def test_wrong_threads_beside_the_right_ones() -> None:
    found = explained(STORED / "one_thread", STORED / "two_threads")
    assert found.times == pytest.approx(251 / 134)
    threads = cause(found, "threads")
    assert (threads.run, threads.published, threads.times) == ("1 on 2 cores", "2 on 2 cores", 2.0)
    assert threads.note.startswith("at the most")
    assert cause(found, "machine's ceiling").times == 1.0, "one machine has one ceiling"
    assert cause(found, "speed probe").times == pytest.approx(1.0)
    assert cause(found, "clocks") == Cause("clocks", "3,250 MHz", "3,250 MHz")
    assert cause(found, "versions") == Cause("versions", "numpy 2.4.0", "numpy 2.4.1")
    assert cause(found, "variables") == Cause("variables", "OMP_NUM_THREADS 1", "OMP_NUM_THREADS none")
    assert cause(found, "kernel") == Cause("kernel", "the same", "the same")
    assert found.counted == pytest.approx(2.0)
    back = explained(STORED / "two_threads", STORED / "one_thread")
    assert back.times * found.times == pytest.approx(1.0)
    assert back.counted * found.counted == pytest.approx(1.0)


def pair(make: Any, folder: Any, run: dict[str, Any], published: dict[str, Any]) -> Explanation:
    """Of two folders with a latency each; `environment` is that of the folder."""
    folders = []
    for name, fields in (("a", dict(run)), ("b", dict(published))):
        environment = fields.pop("environment", None)
        cell = make.latency(**{"median": 100.0, **fields})
        proof = {one: cell[one] for one in ("runtime", "precision", "device")}
        folders.append(folder(cell, make.parity(**proof), environment=environment, name=name))
    return explained(*folders)


def test_a_batch_is_timed_as_a_whole(make: Any, folder: Any) -> None:
    batch = cause(pair(make, folder, {"batch": 8}, {"batch": 2}), "batch")
    assert batch == Cause("batch", "8", "2", 4.0)


@pytest.mark.parametrize(
    ("run", "published", "times"),
    [({"threads": 1}, {"threads_readback": 2, "threads": 1}, 2.0), ({"threads": 4}, {"threads": 2}, None)],
)
def test_threads_are_those_that_were_read_back(
    make: Any, folder: Any, run: dict[str, Any], published: dict[str, Any], times: float | None
) -> None:
    environment = {"environment": {"machine": {"cpu": "AMD EPYC", "cores_usable": 2}}}
    threads = cause(pair(make, folder, run | environment, published | environment), "threads")
    assert threads.times == times
    assert threads.note.startswith("at the most" if times else "more threads than cores")


def test_precisions_have_ceilings_of_their_own(make: Any, folder: Any) -> None:
    ceiling = {"ceiling": {"gflops": {"fp32": 200.0, "bf16": 400.0}}}
    machine = {"environment": {"machine": {"cpu": "AMD EPYC", "cores_usable": 2}, **ceiling}}
    found = pair(make, folder, {"effective": {"precision": "bf16", "device": "CPU"}, **machine}, machine)
    assert cause(found, "machine's ceiling").times == pytest.approx(0.5)
    assert cause(found, "precision that ran").run == "bf16 on CPU"


def test_a_doubtful_ceiling_explains_nothing(make: Any, folder: Any) -> None:
    ceiling = {"gflops": {"fp32": 55.0}, "disturbed": "never measured undisturbed"}
    mine = {"environment": {"machine": {"cpu": "AMD EPYC", "cores_usable": 2}, "ceiling": ceiling}}
    theirs = {"environment": {"machine": {"cpu": "Xeon", "cores_usable": 2}, "ceiling": {"gflops": {"fp32": 200.0}}}}
    peak = cause(pair(make, folder, mine, theirs), "machine's ceiling")
    assert peak.times is None
    assert "reached" not in str(peak.run)
    assert "doubtful: never measured undisturbed" in peak.note


def test_operators_that_fell_back_are_named(make: Any, folder: Any) -> None:
    details = {"nodes_elsewhere": ["Gelu 7 on CPUExecutionProvider"]}
    told = {"precision": "int8", "device": "CPU", "arithmetic": {"shares": {"int8": 1.0}}}
    on_both = {"effective": {"precision": "fp16", "device": "CPU+GPU", "details": details}, "device": "GPU"}
    found = pair(make, folder, on_both, {"effective": told})
    assert cause(found, "operators that fell back").run == "Gelu 7 on CPUExecutionProvider"
    assert cause(found, "operators that fell back").published == "none"
    assert "copies to and from the device included" in str(cause(found, "timed call").run)
    told["arithmetic"] = {"shares": {"int8": 0.9, "fp32": 0.1}, "higher": ["Softmax 1 (fp32, 10 %)"]}
    found = pair(make, folder, {"effective": {"precision": "bf16", "device": "CPU"}}, {"effective": told})
    assert cause(found, "operators that fell back").published == "Softmax 1 (fp32, 10 %)"
    assert cause(found, "operators that fell back").run is None, "nothing is told of them"


def test_what_is_not_recorded_is_not_known(make: Any, folder: Any) -> None:
    found = pair(make, folder, {"threads": None, "effective": None}, {"threads": None})
    nothing = ("threads", "precision that ran", "image", "work", "clocks", "machine", "variables", "machine's ceiling")
    for name in nothing:
        assert not cause(found, name).known, name
    assert found.counted == 1.0


@pytest.mark.parametrize(
    ("model", "macs", "times"),
    [
        ("SwinTransformer_tiny_patch4_window7_224", {"published": 9, "total": 4_500_000_000}, 4.5 / 4.5),
        ("ViT_base_patch32_384", {"published": 25_320_000_000, "total": 9}, 2.0),
    ],
)
def test_work_is_counted_as_the_page_counts(
    make: Any, folder: Any, model: str, macs: dict[str, int], times: float
) -> None:
    run = folder(make.latency(model=model, model_info={"macs": macs}), make.parity(model=model))
    assert cause(explained(run), "work").times == pytest.approx(times, rel=0.02)
