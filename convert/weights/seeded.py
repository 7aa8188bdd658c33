"""Weights drawn from a seed: the same to the bit on every machine, with the spread that trained weights have.

Only raw integers come from numpy: its `Philox` "makes a guarantee that a fixed seed will always produce the same random
integer stream" (docstring), and its Generator methods do not. The key is set here, so no seeding procedure stands
between. The rest is exact integer arithmetic on values, never on memory, so byte order does not matter; then one
multiplication and one addition in float32, each rounded as IEEE 754 says.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from functools import partial

import numpy as np

from convert.common.disk.files import sha256_json
from convert.families.base import ModelSpec
from convert.weights.tensors import Array, Shape, Tensor

RECIPE = 1  # counts up whenever the same seed gives other weights than before

# The sum of four uniform 16-bit integers (Irwin-Hall) is near enough to a Gaussian, ending at 3.46 standard deviations.
_CENTRE = 2 * 0xFFFF
_DEVIATION = math.sqrt(4 * (2**32 - 1) / 12)
_CHUNK = 1 << 15  # values at once: their 64-bit integers stay in the processor's cache


def tensors(seed: int, spec: ModelSpec) -> dict[str, Tensor]:
    """Each tensor of a spec's state dict, drawn when it is read, in any order: it depends on seed, name, shape and
    the spread that the family says."""
    shapes = spec.state_shapes()
    return {
        name: Tensor(shape, partial(draw, seed, name, shape, *spec.spread(name, shape)))
        for name, shape in shapes.items()
    }


def recipe_sha256(seed: int, shapes: Mapping[str, Shape]) -> str:
    """What identifies seeded weights: the hash of the recipe's version, the seed, and the tensors' names and shapes."""
    named = {name: list(shape) for name, shape in shapes.items()}
    return sha256_json({"recipe": RECIPE, "seed": seed, "tensors": named})


def draw(seed: int, name: str, shape: Shape, mean: float, std: float) -> Array:
    """One tensor, float32, with this mean and standard deviation."""
    digest = hashlib.sha256(f"{RECIPE}:{seed}:{name}".encode()).digest()
    stream = np.random.Philox(key=int.from_bytes(digest[:16], "little"))
    values = np.empty(math.prod(shape), np.float32)
    for start in range(0, values.size, _CHUNK):
        chunk = values[start : start + _CHUNK]
        chunk[:] = _sums_of_four(np.asarray(stream.random_raw(chunk.size))) - _CENTRE
    values *= np.float32(std / _DEVIATION)
    values += np.float32(mean)
    return values.reshape(shape)


def _sums_of_four(words: Array) -> Array:
    """uint64 -> int32: the four 16-bit parts of each word added up, two at a time. Overwrites `words`."""
    pairs = np.uint64(0x0000FFFF_0000FFFF)
    upper = (words >> np.uint64(16)) & pairs
    words &= pairs
    words += upper
    words += words >> np.uint64(32)
    words &= np.uint64(0xFFFFFFFF)
    return words.astype(np.int32)
