"""From an image file to the model's input, in the arithmetic of PaddleClas' evaluation, to the last bit.

Source of the operations, their order and their dtypes: PaddleClas (snapshot of 2024-10-18),
`ppcls/data/preprocess/ops/operators.py` (DecodeImage, ResizeImage, CropImage, NormalizeImage, ToCHWImage) in the order
of `Eval.transform_ops` in `ppcls/configs/ImageNet/VisionTransformer/*.yaml`; UnifiedResize, there, has the backends.
"""

from __future__ import annotations

import functools
import os
from pathlib import Path

import cv2
import numpy as np

from convert.families.spec import Preprocessing
from convert.images import jpeg

_CV2_INTERPOLATION = {
    "nearest": cv2.INTER_NEAREST,
    "bilinear": cv2.INTER_LINEAR,
    "bicubic": cv2.INTER_CUBIC,
    "area": cv2.INTER_AREA,
    "lanczos": cv2.INTER_LANCZOS4,
}

# A strip of 1 x 100000 pixels is a small file and 19 GB once its short side has 256. No photo comes near this bound.
_MAX_RESIZED_PIXELS = 1 << 28


class UnreadableImage(Exception):  # noqa: N818 - it names the image's state; who meets it decides whether that is an error
    """An image that gives no input. path: its file or name, None where it came as bytes; reason: a few words."""

    def __init__(self, path: Path | str | None, reason: str) -> None:
        super().__init__(f"image {path if path is not None else 'in memory'} {reason}")
        self.path = path
        self.reason = reason


def preprocess(image: bytes | str | os.PathLike[str], preprocessing: Preprocessing) -> np.ndarray:
    """Decode, resize, crop and normalise one image.

    image: the bytes of an encoded image, or the path of one. Whatever OpenCV decodes is taken as it decodes it: three
    channels of 8 bits, turned as the EXIF orientation says. Returns (3, height, width) float32 in RGB order,
    contiguous. UnreadableImage when the file cannot be read or decoded, or would not fit into memory once resized.
    """
    path = None if isinstance(image, bytes) else Path(image)
    try:
        data = image if isinstance(image, bytes) else Path(image).read_bytes()
    except (OSError, ValueError) as error:
        raise UnreadableImage(path, f"cannot be read ({getattr(error, 'strerror', None) or error})") from None
    return normalise(crop(decode(data, path), preprocessing, path), preprocessing)


def decode(data: bytes, path: Path | str | None = None) -> np.ndarray:
    """The pixels of an encoded image: (height, width, 3) uint8, BGR. UnreadableImage names it by `path`."""
    if not data:  # cv2.imdecode raises on an empty buffer, where it returns None for any other that it cannot decode
        raise UnreadableImage(path, "is empty")
    try:
        pixels = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise UnreadableImage(path, f"cannot be decoded ({error.err or error})") from None
    if pixels is None:
        raise UnreadableImage(path, "cannot be decoded: damaged, or in no format that OpenCV knows")
    if reason := jpeg.damage(data):
        raise UnreadableImage(path, f"is a damaged JPEG ({reason})")
    return np.asarray(pixels)


def crop(pixels: np.ndarray, preprocessing: Preprocessing, path: Path | str | None = None) -> np.ndarray:
    """The centre of a resized image: (3, height, width) uint8, RGB, contiguous.

    pixels: as `decode` gives them. This is all of the preprocessing that depends on the image's size: what is left is
    one table. UnreadableImage when the resized image would not fit into memory.
    """
    # PaddleClas turns BGR to RGB before it resizes. Channels are resized apart, so doing it last gives the same bits.
    pixels = _centre_crop(_resize(pixels, preprocessing, path), preprocessing.shape)
    planes = np.empty((3, *pixels.shape[:2]), dtype=np.uint8)
    for plane, channel in zip(planes, (2, 1, 0), strict=True):
        cv2.extractChannel(pixels, channel, plane)
    return planes


def normalise(planes: np.ndarray, preprocessing: Preprocessing, out: np.ndarray | None = None) -> np.ndarray:
    """(3, height, width) uint8, RGB, to float32 of the same shape: (value / 255 - mean) / std but for rounding.

    out: where the result goes, contiguous; None takes new memory.
    """
    out = np.empty(planes.shape, dtype=np.float32) if out is None else out
    tables = _tables(preprocessing.mean, preprocessing.std, preprocessing.pixel_scale)
    for plane, table, values in zip(planes, tables, out, strict=True):
        cv2.LUT(plane, table, dst=values)
    return out


@functools.cache
def _tables(mean: tuple[float, ...], std: tuple[float, ...], scale: float) -> np.ndarray:
    """What each of the 256 levels becomes, by channel: (3, 256) float32, in the operations and dtypes of PaddleClas."""
    levels = np.arange(256, dtype=np.float32)
    # The factor is rounded to float32 first: multiplying by it and dividing by 255 differ in the last bit.
    scaled = levels * np.float32(scale)
    # What was stated of pixels from 0 to 255 is used so again: 123.675 with the factor 1, not 0.485 with 1/255.
    shift, spread = (np.array([255 * scale * one for one in values], np.float32)[:, None] for values in (mean, std))
    return np.asarray((scaled - shift) / spread)


def _resize(pixels: np.ndarray, preprocessing: Preprocessing, path: Path | str | None) -> np.ndarray:
    height, width = pixels.shape[:2]
    size = preprocessing.resize_short, preprocessing.height or preprocessing.resize_short
    if preprocessing.keep_ratio:
        ratio = float(preprocessing.resize_short) / min(width, height)
        # round() takes halves to the even number, here as there; the short side goes through it too, exact.
        size = round(width * ratio), round(height * ratio)
    if size[0] * size[1] > _MAX_RESIZED_PIXELS:
        raise UnreadableImage(path, f"is too long a strip: {width}x{height} would be resized to {size[0]}x{size[1]}")
    if preprocessing.backend == "pil":
        return _pil_resize(pixels, size, preprocessing.interpolation)
    return np.asarray(cv2.resize(pixels, size, interpolation=_CV2_INTERPOLATION[preprocessing.interpolation]))


def _pil_resize(pixels: np.ndarray, size: tuple[int, int], interpolation: str) -> np.ndarray:
    from PIL import Image

    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling[interpolation.upper()]))


def _centre_crop(pixels: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    top, left = ((side - wanted) // 2 for side, wanted in zip(pixels.shape, shape, strict=False))
    return pixels[top : top + shape[0], left : left + shape[1]]
