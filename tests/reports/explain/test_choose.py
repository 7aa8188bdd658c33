"""Which two latencies are explained; what is ambiguous is refused with the choices."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from convert.common.errors import InputError
from convert.zoo import PUBLISHED
from reports.explain.choose import pick

MODEL = "ViT_base_patch32_384"
ENVIRONMENT = {"machine": {"cpu": "AMD EPYC", "cores_usable": 2}}


@pytest.fixture
def several(make: Any, folder: Any) -> Path:
    """Two runtimes, two precisions, two batches, and one number whose parity failed."""
    records = [
        make.latency(100.0 * batch, runtime=runtime, precision=precision, batch=batch)
        for runtime in ("ort-cpu", "openvino")
        for precision in ("fp32", "int8")
        for batch in (4, 1)
    ]
    proofs = [
        make.parity(runtime=runtime, precision=precision)
        for runtime in ("ort-cpu", "openvino")
        for precision in ("fp32", "int8")
    ]
    failed = [make.latency(5.0, runtime="mnn"), make.parity(False, runtime="mnn", reason="logits differ")]
    return Path(folder(*records, *proofs, *failed, environment=ENVIRONMENT))


def test_of_the_published_figures_the_one_of_the_batch_is_taken(several: Path) -> None:
    for batch in (1, 4):
        run, published = pick(several, "V100", {"runtime": "openvino", "batch": batch})
        assert (run.cell.runtime, run.cell.precision, run.cell.batch) == ("openvino", "fp32", batch)
        assert published.cell.median_ms == PUBLISHED[MODEL].v100_ms[batch]
        assert (published.page, published.machine) == (True, "V100")


def test_of_several_batches_the_smallest_and_of_several_precisions_the_same_one(several: Path) -> None:
    run, published = pick(several, "v100", {"runtime": "openvino"})
    assert (run.cell.precision, run.cell.batch, published.cell.batch) == ("fp32", 1, 1)
    assert run.name == f"{MODEL} on openvino fp32, batch 1, 2 threads, AMD EPYC, 2 cores"
    int8, _ = pick(several, "V100", {"runtime": "openvino", "precision": "int8"})
    assert int8.cell.precision == "int8"


def test_what_is_asked_of_the_run_is_not_asked_of_the_other(several: Path, make: Any, folder: Any) -> None:
    other = folder(make.latency(90.0, runtime="paddle"), make.parity(runtime="paddle"), name="other")
    run, published = pick(several, str(other), {"runtime": "ort-cpu", "precision": "int8", "batch": 4})
    assert (run.cell.runtime, published.cell.runtime) == ("ort-cpu", "paddle")
    assert not published.page
    again, same = pick(several, str(several), {"runtime": "ort-cpu", "precision": "int8"})
    assert (same.cell.runtime, same.cell.precision, same.cell.batch) == ("ort-cpu", "int8", 1)
    assert again.cell.batch == 1


@pytest.mark.parametrize(
    ("wanted", "published", "said"),
    [
        ({}, "V100", "2 latencies fit alike: ViT_base_patch32_384 on openvino fp32, batch 1, 2 threads, AMD EPYC"),
        ({"batch": 2}, "V100", "no latency of batch 2 is there; there is ViT_base_patch32_384 on mnn fp32, batch 1"),
        ({"threads": 64}, "V100", "no latency of threads 64 is there; there is"),
        ({"runtime": "mnn"}, "V100", "no speed to explain: parity failed: logits differ"),
        ({"batch": 1, "runtime": "openvino"}, "A100", "A100: neither results"),
        ({"batch": 1, "runtime": "openvino"}, "nowhere/run", "nor a published column; there is V100"),
    ],
)
def test_what_cannot_be_chosen_is_said(several: Path, wanted: dict[str, Any], published: str, said: str) -> None:
    with pytest.raises(InputError) as raised:
        pick(several, published, wanted)
    assert said in raised.value.message


def test_a_model_without_a_published_figure(make: Any, folder: Any) -> None:
    own = folder(make.latency(model="mine"), make.parity(model="mine"))
    with pytest.raises(InputError, match="V100: no latency of mine is there to hold it against"):
        pick(own, "V100", {})


def test_an_impossible_speed_is_not_explained(make: Any, folder: Any) -> None:
    environment = ENVIRONMENT | {"ceiling": {"gflops": {"fp32": 200.0}}}
    cell = make.latency(2.0, model_info=make.weights("pretrained"))
    with pytest.raises(InputError, match="no speed to explain: faster than the machine can be: 13,036 GFLOP/s"):
        pick(folder(cell, make.parity(), environment=environment), "V100", {})


@pytest.mark.parametrize(
    ("wanted", "said"), [({}, "no latency is there"), ({"batch": 1}, "no latency of batch 1 is there")]
)
def test_results_without_any_latency_say_that_alone(wanted: Any, said: str, make: Any, folder: Any) -> None:
    path = folder(make.parity())
    with pytest.raises(InputError, match=f": {said}$"):
        pick(path, "V100", wanted)
