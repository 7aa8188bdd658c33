"""What follows images ends where time does."""

from __future__ import annotations

import pytest

from validate.choice.deadline import TimedReporter, TimeOverError


def test_it_ends_where_time_is_over_and_images_are_left() -> None:
    over = False
    with TimedReporter(lambda: over).progress(["toy"], 10) as tell:
        tell("toy", 5)
        over = True
        tell("toy", 10)  # all of them: there is nothing to break off
    with (
        pytest.raises(TimeOverError, match="5 of 10 images"),
        TimedReporter(lambda: True).progress(["toy"], 10) as tell,
    ):
        tell("toy", 5)
