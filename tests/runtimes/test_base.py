"""What every runtime refuses before it loads a model."""

from __future__ import annotations

import pytest

from runtimes.base import Options, UnavailableError
from tests.runtimes.bench import on_paper


def test_a_batch_that_a_model_was_not_exported_for_is_refused() -> None:
    model = on_paper.artifact(inputs=[{"name": "x", "dtype": "float32", "shape": [2, 3, 32, 32]}])
    with pytest.raises(UnavailableError, match="exported with a fixed batch of 2: batch 1, 8 is not possible"):
        on_paper.runtime().open(model, Options(batches=(1, 2, 8)))
    with pytest.raises(AssertionError, match="on paper only"):
        on_paper.runtime().open(model, Options(batches=(2,)))
