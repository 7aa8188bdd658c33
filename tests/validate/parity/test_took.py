"""A line that says where the time of a check went."""

from __future__ import annotations

import pytest

from validate.parity.took import Took


def test_parts_come_in_their_order_with_their_sums() -> None:
    ticks = iter([0.0, 1.0, 3.0, 3.0, 4.5, 5.0, 5.25, 6.0])
    took = Took(lambda: next(ticks))
    with took.by("reference"):
        pass
    with pytest.raises(ValueError, match="lost"), took.by("mnn"):
        raise ValueError("lost")
    with took.by("reference"):
        pass
    assert str(took) == "6.0 s (reference 2.2, mnn 1.5)"
