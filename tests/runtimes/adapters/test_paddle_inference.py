"""Paddle Inference's bf16: oneDNN's own, on the FP32 program, and read back from what the operators left."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from convert.artifact import Artifact
from convert.build import Request, obtain
from convert.images.inputs import seeded
from runtimes import registry
from runtimes.base import Options, UnavailableError

core = pytest.importorskip("paddle.base.core", reason="paddlepaddle is not installed here")
PADDLE = registry.get("paddle")


@pytest.fixture
def variant(toy_toml: Path, toy_root: Path, toy_artifact: Artifact) -> Artifact:
    """The toy in bf16; it brings no Paddle program of its own."""
    return obtain(Request(str(toy_toml), precision="bf16", root=toy_root), print)[0]


def test_bf16_is_read_back_and_is_not_fp32(variant: Artifact, toy_artifact: Artifact) -> None:
    if not core.supports_bfloat16_fast_performance():
        pytest.skip("this processor has no bf16")
    images = seeded(variant.preprocessing, 2).images
    with PADDLE.open(variant, Options("bf16")) as session:
        found = session.run(images)
        effective = session.effective()
    with PADDLE.open(toy_artifact, Options()) as session:
        exact = session.run(images)
        assert session.effective().precision == "fp32"
    assert effective.precision == "bf16"
    assert effective.details["outputs_by_type"]["bfloat16"] > 2 * 4
    assert 1e-4 < np.abs(found - exact).max() / np.abs(exact).max() < 0.05


def test_what_has_no_bf16_is_refused(variant: Artifact, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnavailableError, match="with oneDNN alone"):
        PADDLE.open(variant, Options("bf16", extra={"kernels": "plain"}))
    monkeypatch.setattr(core, "supports_bfloat16_fast_performance", lambda: False)
    with pytest.raises(UnavailableError, match="this processor has no bf16"):
        PADDLE.open(variant, Options("bf16"))


def test_what_ran_is_read_back_from_the_session_itself(toy_artifact: Artifact) -> None:
    """A clone, which lays out all weights anew, took seconds of each visit."""
    images = seeded(toy_artifact.preprocessing, 3).images
    with PADDLE.open(toy_artifact, Options()) as session:
        own = session._predictor  # type: ignore[attr-defined]

        class Unclonable:
            def __getattr__(self, name: str) -> object:
                assert name != "clone"
                return getattr(own, name)

        session._predictor = Unclonable()  # type: ignore[attr-defined]
        before = session.run(images)
        first = session.effective()
        assert first.details["outputs_by_type"].keys() == {"float32"}
        np.testing.assert_array_equal(session.run(images), before)
        assert session.effective() == first, "later runs are not counted with the one that was heard"
