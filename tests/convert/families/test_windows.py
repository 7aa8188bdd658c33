"""The orders of tokens in windows."""

from __future__ import annotations

import numpy as np

from convert.families import windows


def test_the_orders_of_tokens() -> None:
    assert windows.window_order(4, 2, 0).tolist() == [0, 1, 4, 5, 2, 3, 6, 7, 8, 9, 12, 13, 10, 11, 14, 15]
    assert windows.window_order(4, 2, 1).tolist()[-4:] == [15, 12, 3, 0]
    assert windows.merge_order(4, np.arange(4)).tolist()[:4] == [0, 4, 1, 5]
    now, then = windows.window_order(8, 4, 2), windows.merge_order(8, windows.window_order(4, 2, 0))
    index = windows.between(now, then)
    assert index is not None
    assert (now[index] == then).all()
    assert windows.between(now, now) is None
    assert windows.regions(4, 2, 1)[0].tolist() == [0, 0, 0, 0]
    assert len(set(windows.regions(4, 2, 1)[-1].tolist())) == 4
