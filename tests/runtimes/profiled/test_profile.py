"""Several runs become one profile: what counts of them, and what is refused."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from runtimes import registry
from runtimes.adapters.openvino import _ProfiledOpenVinoSession
from runtimes.base import Effective, UnavailableError
from runtimes.ort.session import OrtSession
from runtimes.profiled import profile as profiler
from runtimes.profiled.layers import LayerTime

EFFECTIVE = Effective("fp32", "CPU", {})


def run(*ms: float) -> list[LayerTime]:
    return [LayerTime(f"layer {number}", "MatMul", one) for number, one in enumerate(ms)]


def test_wild_runs_do_not_count_and_layers_add_up() -> None:
    runs = [run(1, 2), run(100, 2), run(1.2, 2.2), run(0, 0), run(1.1, 2.1), run(1, 2), run(1.1, 2.1), run(1, 2)]
    walls = [sum(layer.ms for layer in one) + 0.5 for one in runs]
    found = profiler.summed_up(runs, walls, [3.0, 3.2, 50.0, 0.1], EFFECTIVE)
    assert (found.runs, found.kept) == (8, 4)
    assert [layer.ms for layer in found.layers] == pytest.approx([1.05, 2.05])
    # Layers and what lies outside of them are of the same runs.
    assert found.run_ms - sum(layer.ms for layer in found.layers) == pytest.approx(0.5)
    assert found.plain_ms == pytest.approx(3.1)


def test_of_means_every_run_counts() -> None:
    """Of a runtime that tells only the mean over all runs, wall times are means over all of them too."""
    found = profiler.summed_up([run(1, 2)], [3.0, 4.0, 5.0, 12.0], [2.0, 2.0, 2.0, 10.0], EFFECTIVE)
    assert (found.runs, found.kept, found.run_ms, found.plain_ms) == (4, 4, 6.0, 4.0)


@pytest.mark.parametrize("runs", [[], [[]], [run(1), run(1, 2)], [run(1), run(1), run(1)]])
def test_runs_of_other_layers_are_no_profile(runs: list[list[LayerTime]]) -> None:
    with pytest.raises(UnavailableError, match="does not tell the same layers"):
        profiler.summed_up(runs, [1.0, 1.0], [1.0, 1.0], EFFECTIVE)


def test_openvino_tells_means_over_all_runs_so_far() -> None:
    """Of 3 runs it told 10 ms and of 5 runs 8 ms: the two that count took 5 ms each."""

    def request(ms: float) -> Any:
        layer = SimpleNamespace(
            node_name="Add.4",
            node_type="FullyConnected",
            Status=SimpleNamespace(EXECUTED=1),
            status=1,
            real_time=timedelta(milliseconds=ms),
        )
        model = SimpleNamespace(get_runtime_model=lambda: SimpleNamespace(get_ops=list))
        return SimpleNamespace(profiling_info=[layer], get_compiled_model=lambda: model)

    session = object.__new__(_ProfiledOpenVinoSession)
    session._last, session._ran = request(10.0), 3
    session.begin()
    session._last, session._ran = request(8.0), 5
    ((found,),) = session.runs()
    assert (found.name, found.operator) == ("Add.4", "FullyConnected")
    assert found.ms == pytest.approx(5.0)


def test_onnx_runtimes_profile_is_cut_into_runs(tmp_path: Any) -> None:
    def node(name: str, us: int) -> str:
        shapes = '"input_type_shape": [{"float": [1]}], "output_type_shape": [{"float": [1]}]'
        return (
            f'{{"cat": "Node", "name": "{name}_kernel_time", "dur": {us}, '
            f'"args": {{"op_name": "Add", "provider": "CPUExecutionProvider", {shapes}}}}}'
        )

    whole = '{"cat": "Session", "name": "model_run", "dur": 9}'
    file = tmp_path / "profile.json"
    file.write_text(f"[{', '.join([node('a', 1000), node('b', 2), whole, node('a', 3000), node('b', 4), whole])}]")
    session = object.__new__(OrtSession)
    session._profile = file
    assert [[(one.name, ms) for one, ms in run] for run in session.runs()] == [
        [("a", 1.0), ("b", 0.002)],
        [("a", 3.0), ("b", 0.004)],
    ]
    assert [one.name for one in session.nodes()] == ["a", "b"]


def test_who_has_no_profiler_says_why() -> None:
    assert profiler.reason(registry.get("ort-cpu")) is None
    for name in registry.names():
        reason = profiler.reason(registry.get(name))
        assert reason is None or reason.startswith(f"{name}: "), name
    assert "no profiler" in str(profiler.reason(registry.get("ncnn")))
