"""The adapters' cost: judged on blocks that are made up, and measured for a moment on a toy."""

from __future__ import annotations

import pytest

from convert.artifact import Artifact
from scripts import adapter_overhead


@pytest.mark.parametrize(
    ("ratio", "raw_ms", "in_microseconds", "found", "verdict"),
    [
        (1.009, 60.0, False, "1.0090", "holds"),
        (1.011, 60.0, False, "1.0110", "cannot tell"),
        (1.020, 60.0, False, "1.0200", "DOES NOT HOLD"),
        (1.190, 0.1, True, "19.0 µs", "holds"),
        (1.250, 0.1, True, "25.0 µs", "DOES NOT HOLD"),
    ],
)
def test_a_toy_is_judged_by_the_difference_and_a_model_by_the_ratio(
    ratio: float, raw_ms: float, in_microseconds: bool, found: str, verdict: str
) -> None:
    blocks = [{"raw": raw_ms, "adapter": raw_ms * ratio, "ratio": ratio * more} for more in (0.999, 1.0, 1 / 0.999)]
    one = adapter_overhead.judge("toy on mnn", blocks, in_microseconds)
    assert (one.found, one.verdict) == (found, verdict)
    low, high = (float(part) for part in one.interval.removesuffix(" µs").split(" to "))
    assert low < float(found.removesuffix(" µs")) < high


def test_the_raw_call_is_made_on_what_the_adapter_holds(toy_artifact: Artifact) -> None:
    for name in ("ort-cpu", "openvino"):
        blocks = adapter_overhead.compare({"artifact": str(toy_artifact.path), "runtime": name, "seconds": 0.1})
        assert len(blocks) == adapter_overhead.BLOCKS
        assert all(0 < block["raw"] < 1000 and 0.01 < block["ratio"] < 100 for block in blocks)
