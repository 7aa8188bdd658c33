"""mean and std as users write them: of pixels from 0 to 1, or from 0 to 255, or of neither."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from convert.families.spec import Preprocessing
from convert.images import stated
from convert.images.preprocess import normalise

LEVELS = np.tile(np.arange(256, dtype=np.uint8), (3, 1, 1))


def table(mean: Any, std: Any, **more: Any) -> dict[str, Any]:
    triples = {"mean": mean, "std": std}
    triples = {name: [value] * 3 if isinstance(value, (int, float)) else value for name, value in triples.items()}
    return {"resize_short": 40, "crop": 32, **triples, **more}


@pytest.mark.parametrize(
    ("mean", "std", "expected"),
    [
        ([123.675, 116.28, 103.53], [58.395, 57.12, 57.375], ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))),
        (0, 255, ((0.0,) * 3, (1.0,) * 3)),
        (102, 51, ((0.4,) * 3, (0.2,) * 3)),
    ],
)
def test_of_0_to_255(mean: Any, std: Any, expected: Any) -> None:
    found = stated.read(table(mean, std))
    assert found.agrees(Preprocessing(40, 32, mean=expected[0], std=expected[1]))
    said = " ".join(stated.remarks(found))
    assert "are of pixels from 0 to 255" in said
    assert str(list(expected[0])) in said
    # In PaddleClas' arithmetic with the numbers as they were written, to the last bit.
    shift, spread = (np.full(3, v, np.float32) if isinstance(v, int) else np.array(v, np.float32) for v in (mean, std))
    by_hand = (LEVELS.astype(np.float32) - shift[:, None, None]) / spread[:, None, None]
    assert (normalise(LEVELS, found) == by_hand).all()


@pytest.mark.parametrize(
    ("mean", "std"), [(0.5, 0.5), (0, 1), ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]), (1, 0.1)]
)
def test_of_0_to_1(mean: Any, std: Any) -> None:
    found = stated.read(table(mean, std))
    assert found == Preprocessing(40, 32, mean=tuple(table(mean, std)["mean"]), std=tuple(table(mean, std)["std"]))
    assert stated.remarks(found) == []


@pytest.mark.parametrize(
    ("mean", "std"),
    [
        (127.5, 0.5),  # one of each
        (0.5, 127.5),
        (103, 1),  # Caffe's: of 0 to 255, but 151 is much for a model
        (0.5, 0.001),
        (-3, 1),
        ([0.485, 116, 103], 57),
        (300, 60),
        (128, 9000),  # every image is the same grey
    ],
)
def test_of_neither(mean: Any, std: Any) -> None:
    with pytest.raises(ValueError, match=r"neither pixels from 0 to 1 .* scale = 1.0") as caught:
        stated.read(table(mean, std))
    assert "\n" not in str(caught.value)


def test_the_scale_can_be_said() -> None:
    caffe = stated.read(table([123, 117, 104], 1, scale=1.0))
    assert caffe.mean == pytest.approx((123 / 255, 117 / 255, 104 / 255))
    assert any("-123 to 151" in line for line in stated.remarks(caffe))
    rounded = stated.read(table(0.5, 0.5, scale=0.00392157))
    assert rounded.agrees(Preprocessing(40, 32))
    assert rounded != Preprocessing(40, 32)
    assert (normalise(LEVELS, rounded) != normalise(LEVELS, Preprocessing(40, 32))).any()
    for mean, std, scale in ((0.485, 0.229, 1.0), (127.5, 127.5, 1 / 255)):
        with pytest.raises(ValueError, match="the scale is another one"):
            stated.read(table(mean, std, scale=scale))


def test_what_a_manifest_says_is_taken_as_it_is() -> None:
    found = stated.read(table(127.5, 127.5))
    again = {name: getattr(found, name) for name in ("resize_short", "crop", "mean", "std", "pixel_scale")}
    assert stated.read(again) == found
