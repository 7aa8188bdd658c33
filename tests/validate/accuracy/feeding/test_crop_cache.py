"""Decoded images on disk: the same to the bit, and never another image's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from convert.common.errors import InputError
from convert.families.spec import Preprocessing
from convert.images.preprocess import crop, decode, normalise, preprocess
from validate.accuracy.feeding.crop_cache import CropCache, digest

PLAIN = Preprocessing(12, 8)


def image(seed: int) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (20, 15, 3), dtype=np.uint8)
    return bytes(cv2.imencode(".png", pixels)[1].tobytes())


def test_the_tensor_is_the_same_to_the_bit(tmp_path: Path) -> None:
    data = image(0)
    first = CropCache(tmp_path, PLAIN)
    assert first.get(digest(data)) is None
    first.put(digest(data), crop(decode(data), PLAIN))
    found = CropCache(tmp_path, PLAIN).get(digest(data))
    assert found is not None
    assert normalise(found, PLAIN).tobytes() == preprocess(data, PLAIN).tobytes()


def test_a_replaced_image_is_another(tmp_path: Path) -> None:
    cache = CropCache(tmp_path, PLAIN)
    cache.put(digest(image(0)), crop(decode(image(0)), PLAIN))
    assert cache.get(digest(image(1))) is None


@pytest.mark.parametrize("damage", [lambda data: data[:17] + b"?" + data[18:], lambda data: data[:-1], lambda _: b""])
def test_damage_is_found(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    data = image(0)
    cache = CropCache(tmp_path, PLAIN)
    cache.put(digest(data), crop(decode(data), PLAIN))
    (file,) = cache.folder.glob("*/*.u8")
    file.write_bytes(damage(file.read_bytes()))
    assert cache.get(digest(data)) is None


def test_what_it_depends_on(tmp_path: Path) -> None:
    changed = (
        PLAIN,
        Preprocessing(13, 8),
        Preprocessing(12, 7),
        Preprocessing(12, 8, "bicubic"),
        Preprocessing(12, 8, keep_ratio=False),
        Preprocessing(12, 8, backend="pil"),
    )
    folders = {CropCache(tmp_path, used).folder for used in changed}
    assert len(folders) == 6
    # Normalisation comes after it.
    assert CropCache(tmp_path, Preprocessing(12, 8, mean=(0.1, 0.2, 0.3))).folder in folders


def test_a_file_where_the_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(InputError, match=r"--cache-images .*taken.*: cannot be written"):
        CropCache(tmp_path / "taken", PLAIN)
