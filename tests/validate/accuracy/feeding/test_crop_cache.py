"""Decoded images on disk: the same to the bit, and never another image's."""

from __future__ import annotations

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
    first = CropCache(tmp_path, "set", 3, PLAIN)
    assert first.get(1, digest(data)) is None
    first.put(1, digest(data), crop(decode(data), PLAIN))
    first.close()
    second = CropCache(tmp_path, "set", 3, PLAIN)
    found = second.get(1, digest(data))
    assert found is not None
    assert normalise(found, PLAIN).tobytes() == preprocess(data, PLAIN).tobytes()
    assert second.get(0, digest(data)) is None
    second.close()


def test_a_replaced_image_is_another(tmp_path: Path) -> None:
    cache = CropCache(tmp_path, "set", 2, PLAIN)
    cache.put(0, digest(image(0)), crop(decode(image(0)), PLAIN))
    assert cache.get(0, digest(image(1))) is None


@pytest.mark.parametrize("name", ["crops.u8", "entries"])
def test_damage_is_found(tmp_path: Path, name: str) -> None:
    data = image(0)
    cache = CropCache(tmp_path, "set", 2, PLAIN)
    cache.put(0, digest(data), crop(decode(data), PLAIN))
    file = cache.folder / name
    damaged = bytearray(file.read_bytes())
    damaged[17] ^= 1
    file.write_bytes(damaged)
    assert cache.get(0, digest(data)) is None


def test_killed_between_crop_and_entry(tmp_path: Path) -> None:
    data = image(0)
    cache = CropCache(tmp_path, "set", 2, PLAIN)
    entries = (cache.folder / "entries").read_bytes()
    cache.put(0, digest(data), crop(decode(data), PLAIN))
    (cache.folder / "entries").write_bytes(entries)
    assert cache.get(0, digest(data)) is None


def test_what_it_depends_on(tmp_path: Path) -> None:
    folders = {
        CropCache(tmp_path, name, 2, used).folder
        for name, used in (
            ("set", PLAIN),
            ("other", PLAIN),
            ("set", Preprocessing(13, 8)),
            ("set", Preprocessing(12, 7)),
            ("set", Preprocessing(12, 8, "bicubic")),
        )
    }
    assert len(folders) == 5
    # Normalisation comes after it.
    assert CropCache(tmp_path, "set", 2, Preprocessing(12, 8, mean=(0.1, 0.2, 0.3))).folder in folders


def test_holes_take_no_space_and_a_longer_set_has_room(tmp_path: Path) -> None:
    cache = CropCache(tmp_path, "set", 10, PLAIN)
    cache.put(9, digest(image(0)), crop(decode(image(0)), PLAIN))
    longer = CropCache(tmp_path, "set", 1000, PLAIN)
    assert longer.get(9, digest(image(0))) is not None
    assert longer.get(999, digest(image(0))) is None


def test_a_file_where_the_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(InputError, match=r"--cache-images .*taken: cannot be used"):
        CropCache(tmp_path / "taken", "set", 2, PLAIN)
