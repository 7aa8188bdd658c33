"""Preprocessing against numbers worked out by hand from PaddleClas' operators."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convert.families.spec import INTERPOLATIONS, Preprocessing
from convert.images.preprocess import UnreadableImage, crop, decode, normalise, preprocess

# With this mean and std the output is the pixel's value in [0, 1]: value/255 * 1.0.
PLAIN: dict[str, Any] = {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}


def png(pixels: np.ndarray) -> bytes:
    ok, data = cv2.imencode(".png", pixels)
    assert ok
    return data.tobytes()


def levels(image: np.ndarray) -> np.ndarray:
    """Back from PLAIN's output to levels of 0 to 255."""
    return cast(np.ndarray, np.rint(image * 255).astype(int))


def test_enlarging_by_hand() -> None:
    # Two columns, 0 and 64, become four: column i lies at (i + 0.5) / 2 - 0.5 = -0.25, 0.25, 0.75, 1.25 of the source,
    # so 0, 0.75 * 0 + 0.25 * 64 = 16, 48 and 64. Rows likewise: 0 and 128 give 0, 32, 96, 128. They add up.
    pixels = np.array([[0, 64], [128, 192]], dtype=np.uint8)
    columns, rows = np.array([0, 16, 48, 64]), np.array([0, 32, 96, 128])
    whole = rows[:, None] + columns
    data = png(cv2.merge([pixels] * 3))
    assert (levels(preprocess(data, Preprocessing(4, 4, **PLAIN))) == whole).all()
    # Two of four: one column off on each side. Three of four: (4 - 3) // 2 = 0, so the last row and column go.
    assert (levels(preprocess(data, Preprocessing(4, 2, **PLAIN))) == whole[1:3, 1:3]).all()
    assert (levels(preprocess(data, Preprocessing(4, 3, **PLAIN))) == whole[:3, :3]).all()


def test_shrinking_has_no_antialias() -> None:
    # Eight columns become two: column i lies at (i + 0.5) * 4 - 0.5 = 1.5 and 5.5, so means of 1 and 2 and of 5 and 6.
    # An antialiased resize would mix in 0, 3, 4 and 7, which are 255 here.
    row = np.array([255, 10, 20, 255, 255, 100, 140, 255], dtype=np.uint8)
    data = png(cv2.merge([np.tile(row, (8, 1))] * 3))
    assert (levels(preprocess(data, Preprocessing(2, 2, **PLAIN))) == [15, 120]).all()


def test_channels_and_normalisation() -> None:
    # Blue 10, green 20, red 30 in the file; RGB comes out, each with its own mean and std:
    # (30/255 - 0.1)/0.5 = 0.0352941, (20/255 - 0.2)/0.25 = -0.4862745, (10/255 - 0.3)/0.125 = -2.0862745
    data = png(np.full((3, 3, 3), (10, 20, 30), dtype=np.uint8))
    image = preprocess(data, Preprocessing(3, 3, mean=(0.1, 0.2, 0.3), std=(0.5, 0.25, 0.125)))
    assert image.dtype == np.float32
    assert image.flags.c_contiguous
    assert image[:, 1, 2] == pytest.approx([0.0352941, -0.4862745, -2.0862745], abs=1e-6)


def test_arithmetic_is_float32_to_the_last_bit() -> None:
    # Every level, in the order: times float32(1/255), less the mean, over the std, rounded to float32 at each step.
    # Dividing by 255 instead, or working in float64, gives other last bits for many of the levels.
    pixels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    expected = []
    for level in range(256):
        scaled = np.float32(np.float64(level) * np.float64(np.float32(1 / 255)))
        shifted = np.float32(np.float64(scaled) - np.float64(np.float32(0.485)))
        expected.append(np.float32(np.float64(shifted) / np.float64(np.float32(0.229))))
    image = preprocess(png(cv2.merge([pixels] * 3)), Preprocessing(16, 16, mean=(0.485,) * 3, std=(0.229,) * 3))
    assert (image == np.array(expected, dtype=np.float32).reshape(16, 16)).all()
    divided = (pixels.astype(np.float32) / np.float32(255) - np.float32(0.485)) / np.float32(0.229)
    assert (image[0] != divided).any(), "the levels no longer tell the two apart"


@pytest.mark.parametrize(
    ("size", "start"),
    [
        # (width, height), resized to themselves: the crop of 8 starts at (9 - 8) // 2 = 0
        ((9, 8), 0),
        # (10 - 8) // 2 = 1
        ((10, 8), 1),
        ((11, 8), 1),
    ],
)
def test_offsets_are_floored(size: tuple[int, int], start: int) -> None:
    width, height = size
    pixels = np.tile(np.arange(width, dtype=np.uint8) * 20, (height, 1))
    image = preprocess(png(cv2.merge([pixels] * 3)), Preprocessing(8, 8, **PLAIN))
    assert (levels(image)[0, 0] == np.arange(start, start + 8) * 20).all()


def test_halves_round_to_even() -> None:
    # 5 x 2 with resize_short 1: the long side is 2.5, which rounds to 2, not 3. Its columns lie at
    # (i + 0.5) * 2.5 - 0.5 = 0.75 and 3.25 of the source; the crop of 1 takes the first: 0.25 * 0 + 0.75 * 100 = 75.
    # With 3 columns it would take the second of (i + 0.5) * 5/3 - 0.5, which is the middle: 40.
    row = np.array([0, 100, 40, 0, 0], dtype=np.uint8)
    image = preprocess(png(cv2.merge([np.tile(row, (2, 1))] * 3)), Preprocessing(1, 1, **PLAIN))
    assert (levels(image) == 75).all()


def test_interpolations_differ() -> None:
    rng = np.random.default_rng(0)
    data = png(rng.integers(0, 256, (20, 20, 3), dtype=np.uint8))
    names = ("nearest", "bilinear", "bicubic", "area", "lanczos")
    images = [preprocess(data, Preprocessing(12, 12, name)) for name in names]
    assert all(not np.array_equal(images[i], images[j]) for i in range(5) for j in range(i))


def test_without_the_ratio_both_sides_become_the_short_one() -> None:
    # Two columns, 0 and 80, and one row become 4 x 4: columns at -0.25, 0.25, 0.75, 1.25 of the source, all rows alike.
    data = png(cv2.merge([np.array([[0, 80]], dtype=np.uint8)] * 3))
    image = preprocess(data, Preprocessing(4, 4, keep_ratio=False, **PLAIN))
    assert (levels(image) == np.array([0, 20, 60, 80])).all()


def test_pillow_widens_its_filter_where_it_shrinks() -> None:
    # Eight columns to two: a triangle of half width 4 around 2 and 6. Column j at j + 0.5 has the weight 1 - |d| / 4:
    # d = 1.5, .5, .5, 1.5, 2.5, 3.5 of columns 0 to 5 for the first, so weights 5, 7, 7, 5, 3, 1 of 28.
    row = np.array([0, 0, 56, 0, 0, 0, 0, 0], dtype=np.uint8)
    image = preprocess(png(cv2.merge([np.tile(row, (8, 1))] * 3)), Preprocessing(2, 2, backend="pil", **PLAIN))
    assert levels(image)[0, 0].tolist() == [14, 2]  # 56 * 7 / 28; 56 * 1 / 28
    channels = png(np.full((9, 9, 3), (10, 20, 30), dtype=np.uint8))
    for name in INTERPOLATIONS["pil"]:
        image = preprocess(channels, Preprocessing(5, 4, name, backend="pil", **PLAIN))
        assert levels(image)[:, 0, 0].tolist() == [30, 20, 10]


def test_one_pixel() -> None:
    image = preprocess(png(np.full((1, 1, 3), 51, dtype=np.uint8)), Preprocessing(4, 3, **PLAIN))
    assert image.shape == (3, 3, 3)
    assert (levels(image) == 51).all()


def test_grey_becomes_three_channels() -> None:
    image = preprocess(png(np.full((2, 2), 102, dtype=np.uint8)), Preprocessing(2, 2, **PLAIN))
    assert (levels(image) == 102).all()


def test_sixteen_bits_become_eight() -> None:
    # OpenCV keeps the upper byte: 0x6633 -> 0x66 = 102
    image = preprocess(png(np.full((2, 2), 0x6633, dtype=np.uint16)), Preprocessing(2, 2, **PLAIN))
    assert (levels(image) == 102).all()


def test_alpha_is_dropped() -> None:
    image = preprocess(png(np.full((2, 2, 4), (10, 20, 30, 0), dtype=np.uint8)), Preprocessing(2, 2, **PLAIN))
    assert levels(image)[:, 0, 0].tolist() == [30, 20, 10]


def test_cmyk_jpeg() -> None:
    pillow = pytest.importorskip("PIL.Image", reason="Pillow makes the CMYK file")
    stream = io.BytesIO()
    # No ink is white, full black ink is black.
    pillow.new("CMYK", (8, 8), (0, 0, 0, 255)).save(stream, "JPEG")
    image = preprocess(stream.getvalue(), Preprocessing(8, 8, **PLAIN))
    assert image.shape == (3, 8, 8)
    assert (levels(image) <= 2).all()


def test_path_and_bytes_give_the_same(tmp_path: Path) -> None:
    data = png(np.random.default_rng(1).integers(0, 256, (9, 7, 3), dtype=np.uint8))
    file = tmp_path / "with space.png"
    file.write_bytes(data)
    first, second, third = (preprocess(image, Preprocessing(6, 5)) for image in (data, file, str(file)))
    assert np.array_equal(first, second)
    assert np.array_equal(first, third)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "is empty"),
        (b"no image at all", "cannot be decoded"),
        (b"\x89PNG\r\n\x1a\n", "cannot be decoded"),
        (b"\xff\xd8\xff\xe0" + bytes(100), "cannot be decoded"),
    ],
)
def test_undecodable(tmp_path: Path, data: bytes, reason: str) -> None:
    file = tmp_path / "bad.jpg"
    file.write_bytes(data)
    with pytest.raises(UnreadableImage, match=reason) as caught:
        preprocess(file, Preprocessing(8, 8))
    assert caught.value.path == file
    assert str(file) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_half_a_jpeg_is_undecodable() -> None:
    # OpenCV 4 fills the rest with grey and gives no error: counted as if the file were whole.
    pixels = cv2.GaussianBlur(np.random.default_rng(2).integers(0, 256, (64, 64, 3), dtype=np.uint8), (9, 9), 3)
    data = cv2.imencode(".jpg", pixels)[1].tobytes()
    assert preprocess(data, Preprocessing(8, 8)).shape == (3, 8, 8)
    with pytest.raises(UnreadableImage):
        preprocess(data[: len(data) // 2], Preprocessing(8, 8))


def test_damage_that_a_jpeg_does_not_show_is_taken_as_opencv_decodes_it() -> None:
    # There is no checksum in a JPEG: bytes that are still Huffman codes are still an image. A PNG has one.
    pixels = cv2.GaussianBlur(np.random.default_rng(2).integers(0, 256, (64, 64, 3), dtype=np.uint8), (9, 9), 3)
    for suffix, readable in ((".jpg", True), (".png", False)):
        data = bytearray(cv2.imencode(suffix, pixels)[1].tobytes())
        data[len(data) // 2] ^= 0x55
        if readable:
            decoded: Any = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
            assert not np.array_equal(decoded, pixels)
            assert np.array_equal(levels(preprocess(bytes(data), Preprocessing(64, 64, **PLAIN)))[2], decoded[:, :, 0])
        else:
            with pytest.raises(UnreadableImage):
                preprocess(bytes(data), Preprocessing(64, 64))


@pytest.mark.parametrize("cut", [1, 2, 40])
def test_a_jpeg_that_lacks_its_end_is_undecodable(cut: int) -> None:
    data = cv2.imencode(".jpg", np.full((64, 64, 3), 90, np.uint8))[1].tobytes()
    with pytest.raises(UnreadableImage):
        preprocess(data[:-cut], Preprocessing(8, 8))


def test_a_damaged_header_is_undecodable() -> None:
    data = bytearray(cv2.imencode(".jpg", np.full((64, 64, 3), 90, np.uint8))[1].tobytes())
    start = data.index(b"\xff\xc0")  # the frame header: its length, the bits, height and width
    data[start + 5 : start + 9] = bytes(4)
    with pytest.raises(UnreadableImage):
        preprocess(bytes(data), Preprocessing(8, 8))


def test_a_damaged_header_that_claims_a_huge_image_is_undecodable() -> None:
    data = bytearray(png(np.zeros((4, 4, 3), dtype=np.uint8)))
    data[16:24] = b"\x7f\xff\xff\xff" * 2  # width and height
    with pytest.raises(UnreadableImage):
        preprocess(bytes(data), Preprocessing(8, 8))


def test_a_crop_and_a_normalisation_are_all_of_it() -> None:
    # What a cache of decoded images relies on: the crop alone depends on the image, and comes out in whole levels.
    data = png(np.random.default_rng(3).integers(0, 256, (31, 17, 3), dtype=np.uint8))
    preprocessing = Preprocessing(12, 8, "bicubic", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    planes = crop(decode(data), preprocessing)
    assert (planes.dtype, planes.shape, planes.flags.c_contiguous) == (cast(Any, np.uint8), (3, 8, 8), True)
    out = np.full((2, 3, 8, 8), np.nan, dtype=np.float32)
    normalise(planes, preprocessing, out[1])
    assert np.isnan(out[0]).all()
    assert np.array_equal(out[1], preprocess(data, preprocessing))


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic", "area", "lanczos"])
def test_the_order_of_paddleclas_gives_the_same_bits(interpolation: str) -> None:
    # There: BGR to RGB, resize, crop, (pixels * float32(1/255) - mean) / std on the whole image, then HWC to CHW.
    pixels = np.random.default_rng(4).integers(0, 256, (37, 53, 3), dtype=np.uint8)
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    flag = getattr(
        cv2,
        {"bilinear": "INTER_LINEAR", "bicubic": "INTER_CUBIC", "lanczos": "INTER_LANCZOS4"}.get(
            interpolation, f"INTER_{interpolation.upper()}"
        ),
    )
    resized = cv2.resize(pixels[:, :, ::-1], (round(53 * (24 / 37)), 24), interpolation=flag)
    left = (resized.shape[1] - 20) // 2
    square = resized[2:22, left : left + 20]
    whole = (square.astype(np.float32) * np.float32(1 / 255) - np.array(mean, np.float32)) / np.array(std, np.float32)
    found = preprocess(png(pixels), Preprocessing(24, 20, interpolation, mean, std))
    assert found.tobytes() == np.ascontiguousarray(whole.transpose(2, 0, 1)).tobytes()


@pytest.mark.parametrize("keep_ratio", [True, False])
def test_images_that_are_no_squares(keep_ratio: bool) -> None:
    # PaddleClas: ResizeImage's size and CropImage's size are width and height, in this order.
    pixels = np.random.default_rng(4).integers(0, 256, (37, 53, 3), dtype=np.uint8)
    if keep_ratio:
        resized = cv2.resize(pixels[:, :, ::-1], (round(53 * (24 / 37)), 24), interpolation=cv2.INTER_LINEAR)
        left = (resized.shape[1] - 20) // 2
        wanted, short = resized[6:18, left : left + 20], 24
    else:
        wanted, short = cv2.resize(pixels[:, :, ::-1], (20, 12), interpolation=cv2.INTER_LINEAR), 20
    found = crop(decode(png(pixels)), Preprocessing(short, 20, keep_ratio=keep_ratio, height=12))
    assert found.tobytes() == np.ascontiguousarray(wanted.transpose(2, 0, 1)).tobytes()


def test_a_height_that_does_not_fit_and_one_that_is_the_width() -> None:
    assert Preprocessing(24, 20, height=20) == Preprocessing(24, 20)
    with pytest.raises(ValueError, match="height = 30 does not fit into resize_short = 24"):
        Preprocessing(24, 20, height=30)
    with pytest.raises(ValueError, match="resize_short is crop"):
        Preprocessing(24, 20, keep_ratio=False, height=12)


def test_missing_file_and_folder(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.png", tmp_path):
        with pytest.raises(UnreadableImage, match="cannot be read"):
            preprocess(path, Preprocessing(8, 8))


def test_a_long_strip_is_refused_before_it_fills_the_memory() -> None:
    with pytest.raises(UnreadableImage, match="strip"):
        preprocess(png(np.zeros((1, 60000), dtype=np.uint8)), Preprocessing(256, 224))


@settings(max_examples=60, deadline=None)
@given(
    width=st.integers(1, 90),
    height=st.integers(1, 90),
    crop=st.integers(1, 40),
    more=st.integers(0, 20),
    grey=st.booleans(),
)
def test_any_size_gives_the_crop(width: int, height: int, crop: int, more: int, grey: bool) -> None:
    pixels = np.full((height, width) if grey else (height, width, 3), 255, dtype=np.uint8)
    image = preprocess(png(pixels), Preprocessing(crop + more, crop))
    assert image.shape == (3, crop, crop)
    assert image.dtype == np.float32
    assert np.abs(image - 1).max() < 1e-6  # white stays white: nothing from beyond the border comes in
