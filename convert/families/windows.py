"""The orders in which the tokens of an image lie in windows, and what tells two tokens of a window apart: constants."""

from __future__ import annotations

import numpy as np

from convert.weights.tensors import Array


def window_order(side: int, window: int, shift: int) -> Array:
    """(side * side,) int64: which token, counted by rows, each one is in the order of windows that are shifted."""
    across = np.arange(side).reshape(-1, window)
    y, x = across[:, None, :, None], across[None, :, None, :]
    return (((y + shift) % side) * side + (x + shift) % side).reshape(-1)


def merge_order(side: int, after: Array) -> Array:
    """(side * side,) int64: the tokens, counted by rows, of which each four become one.

    after: the order of those that they become, `window_order` of half the side.
    """
    y, x = np.divmod(after, side // 2)
    return np.stack([(2 * y + down) * side + 2 * x + right for right in (0, 1) for down in (0, 1)], axis=-1).reshape(-1)


def between(now: Array, then: Array) -> Array | None:
    """What to gather from tokens in the order `now`, so that they lie in the order `then`; None for nothing."""
    index = np.argsort(now)[then]
    return None if (index == np.arange(len(index))).all() else index


def relative_index(window: int) -> Array:
    """(tokens * tokens,) int64: the row of the table for each query and key of a window."""
    y, x = np.divmod(np.arange(window**2), window)
    down, right = (axis[:, None] - axis[None, :] + window - 1 for axis in (y, x))
    return np.asarray(down * (2 * window - 1) + right).reshape(-1)


def regions(side: int, window: int, shift: int) -> Array:
    """(windows, tokens) int64: which part of the image each token of a shifted window is from, as a number.

    Tokens of one window that the shift brought together from different ends of the image do not attend to each other.
    """
    edges = np.where(np.arange(side) < side - window, 0, np.where(np.arange(side) < side - shift, 1, 2))
    numbers = 3 * edges[:, None] + edges[None, :]
    return numbers.reshape(-1)[window_order(side, window, 0)].reshape(-1, window**2)
