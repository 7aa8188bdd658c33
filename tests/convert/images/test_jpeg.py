"""Damage that decoders go on after is seen; what is only unusual is not taken for damage."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from convert.images.jpeg import damage
from convert.images.preprocess import UnreadableImage, decode

PIXELS = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 255, (240, 320, 3), np.uint8), (9, 9), 3)


def written(mode: str = "RGB", **options: Any) -> bytes:
    stream = BytesIO()
    Image.fromarray(PIXELS).convert(mode).save(stream, "JPEG", **options)
    return stream.getvalue()


SOUND = {
    "plain": written(quality=90),
    "progressive": written(progressive=True),
    "grey": written("L"),
    "cmyk": written("CMYK"),
    "restarts": written(restart_marker_blocks=4),
    "every pixel": written(subsampling=0, quality=100),
    "behind the end": written() + b"a second picture" * 20,
    "filled up": written()[:-2] + bytes(37) + b"\xff\xd9",
    "no jpeg": b"\x89PNG and so on",
}


@pytest.mark.parametrize("data", SOUND.values(), ids=SOUND.keys())
def test_sound_ones_are_sound(data: bytes) -> None:
    assert damage(data) is None


@pytest.mark.parametrize("kind", ["plain", "progressive", "grey", "cmyk"])
def test_what_is_missing_in_the_middle_is_seen(kind: str) -> None:
    data = SOUND[kind]
    middle = len(data) // 2
    for lost in (64, 200):
        assert damage(data[:middle] + data[middle + lost :])
    assert damage(data[:middle] + b"\xff\x01\xff\xc9" * 8 + data[middle + 32 :])


def test_most_blocks_of_zeros_are_seen_that_opencv_passes_over() -> None:
    data, seen, passed_over = SOUND["plain"], 0, 0
    whole = decode(data)
    for place in range(len(data) // 4, 3 * len(data) // 4, 97):
        broken = data[:place] + bytes(256) + data[place + 256 :]
        pixels = cv2.imdecode(np.frombuffer(broken, np.uint8), cv2.IMREAD_COLOR)
        if pixels is not None and (pixels != whole).any():
            passed_over += 1
            seen += damage(broken) is not None
    assert passed_over > 10
    assert seen > 0.8 * passed_over


def test_a_damaged_one_is_as_unreadable_as_a_truncated_one() -> None:
    data = SOUND["plain"]
    broken = data[: len(data) // 2] + data[len(data) // 2 + 100 :]
    with pytest.raises(UnreadableImage, match=r"image photo.jpg is a damaged JPEG \(Corrupt JPEG data"):
        decode(broken, "photo.jpg")


def test_no_photo_of_the_real_ones_is_refused(shared_data: Path) -> None:
    files = sorted(shared_data.rglob("*.JPEG"))
    assert len(files) == 134
    assert [file.name for file in files if damage(file.read_bytes())] == []
