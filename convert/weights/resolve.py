"""A state dict from wherever `--weights` points: downloaded, a checkpoint file, or drawn from a seed."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from convert.common.errors import InputError, listing
from convert.common.files import sha256_file
from convert.families.base import Layout, ModelSpec, Piece
from convert.manifest import WeightsOrigin
from convert.weights import checkpoints, download, seeded
from convert.weights.tensors import Array, Shape, StateDict, Stored, Tensor
from convert.zoo import MODELS

_FLOATS = ("float16", "bfloat16", "float32", "float64")
_CHOICES = (
    f"auto, pretrained, seeded, seeded:N (N a whole number), or a file ending in {', '.join(checkpoints.FORMATS)}"
)


def fingerprint(weights: str, spec: ModelSpec) -> WeightsOrigin | None:
    """What `resolve` would give, known without reading tensors and without network; None when only a download can tell.

    A file given by path is hashed; of a downloaded one the size is checked and the recorded hash taken. InputError as
    for `resolve`, but for what is wrong inside the file.
    """
    if not _downloads(weights, spec):
        return _without_download(weights, spec)
    cached = download.cached(download.pretrained_url(spec.name), download.cache_folder())
    return WeightsOrigin(kind="pretrained", source=cached.url, sha256=cached.sha256) if cached else None


def resolve(weights: str, spec: ModelSpec, *, progress: bool = True) -> StateDict:
    """The state dict that `weights` (the value of `--weights`) means for `spec`, checked against its names and shapes.

    auto: the pretrained file where it is cached or can be downloaded, else seeded:0 with a note that says why.
    progress: show a download's on standard error. Tensors are read when `Tensor.read` is called; a `.pdparams`, being
    one pickle, is in memory once. InputError: an unknown choice, a file that is missing, damaged, or does not hold
    exactly the tensors of `spec`, a download that broke off, and for `pretrained` no network or a model that
    PaddleClas does not publish.
    """
    path = Path(weights)
    if _downloads(weights, spec):
        try:
            file = _fetched(spec, progress)
            path, known = file.path, WeightsOrigin(kind="pretrained", source=file.url, sha256=file.sha256)
        except download.NotFetchedError as error:
            known = _fallback(weights, spec, error.message)
    else:
        known = _without_download(weights, spec)
    if known.kind == "seeded":
        tensors = seeded.tensors(int(known.source.removeprefix("seeded:")), spec)
    else:
        tensors = _from_file(path, spec)
    return StateDict(known, tensors)


def _downloads(weights: str, spec: ModelSpec) -> bool:
    return weights in ("auto", "pretrained") and not _not_published(spec)


def _without_download(weights: str, spec: ModelSpec) -> WeightsOrigin:
    if weights in ("auto", "pretrained"):
        return _fallback(weights, spec, _not_published(spec))
    seed = _seed(weights)
    if seed is not None:
        return _seeded(seed, spec)
    return WeightsOrigin(kind="file", source=weights, sha256=_file_sha256(weights))


def _fetched(spec: ModelSpec, progress: bool) -> download.Cached:
    size = sum(4 * math.prod(shape) for shape in spec.state_shapes().values())
    url, folder = download.pretrained_url(spec.name), download.cache_folder()
    return download.fetch(url, folder, check=checkpoints.read, expected=size, progress=progress)


def _seed(weights: str) -> int | None:
    """N of `seeded` and `seeded:N`; None for another choice."""
    if weights == "seeded":
        return 0
    if not weights.startswith("seeded:"):
        return None
    number = weights.removeprefix("seeded:")
    if not re.fullmatch("[0-9]{1,18}", number):
        raise InputError(f"--weights {weights}: {number!r} is no whole number from 0 on; allowed: {_CHOICES}")
    return int(number)


def _seeded(seed: int, spec: ModelSpec, note: str = "") -> WeightsOrigin:
    digest = seeded.recipe_sha256(seed, spec.state_shapes())
    return WeightsOrigin(kind="seeded", source=f"seeded:{seed}", sha256=digest, note=note)


def _fallback(weights: str, spec: ModelSpec, reason: str) -> WeightsOrigin:
    """Seeded weights for `auto`, with the reason as a note; the reason as an error for `pretrained`."""
    if weights == "pretrained":
        raise InputError(f"--weights pretrained: {reason}; give a file, or seeded weights")
    note = (
        f"pretrained weights of {spec.name} could not be had ({reason}): "
        "seeded weights instead, so accuracy means nothing"
    )
    return _seeded(0, spec, note)


def _not_published(spec: ModelSpec) -> str:
    """Why PaddleClas has no weights for a spec; empty when it has."""
    if spec.name not in MODELS:
        return f"PaddleClas publishes none for {spec.name}"
    if spec != MODELS[spec.name]:
        return f"this {spec.name} differs from the one that PaddleClas publishes"
    return ""


def _file_sha256(weights: str) -> str:
    path = Path(weights)
    if path.suffix.lower() not in checkpoints.FORMATS:
        raise InputError(f"--weights {weights}: not understood; allowed: {_CHOICES}")
    if not path.is_file():
        raise InputError(f"--weights {weights}: there is no such file")
    try:
        return sha256_file(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None


def _from_file(path: Path, spec: ModelSpec) -> dict[str, Tensor]:
    stored = checkpoints.read(path)
    layout = checkpoints.FORMATS[path.suffix.lower()].layout(spec)
    if layout is None:
        raise InputError(f"{path}: no {path.suffix} files of the family {spec.family} are known; give another kind")
    _check(stored, layout, path, spec)
    shapes = spec.state_shapes()
    return {name: _tensor(path, shapes[name], piece, stored) for name, piece in layout.items()}


def _tensor(path: Path, shape: Shape, piece: Piece, stored: Mapping[str, Stored]) -> Tensor:
    def read() -> Array:
        parts = [_finite(path, key, stored[key]) for key in piece.parts]
        return np.ascontiguousarray(piece.join(*parts)).reshape(shape)

    return Tensor(shape, read)


def _finite(path: Path, key: str, stored: Stored) -> Array:
    """A stored tensor as float32. What does not fit into float32 becomes infinite, and is refused as such."""
    try:
        with np.errstate(over="ignore"):
            array = stored.load().astype(np.float32, copy=False)
    except Exception as error:  # a damaged file can make its reader raise anything
        raise InputError(f"{path}: {key} cannot be read ({checkpoints.explain(error)}); get the file anew") from None
    if not np.isfinite(array).all():
        raise InputError(f"{path}: {key} holds NaN or infinite values as float32; it is no usable model")
    return array


def _check(stored: Mapping[str, Stored], layout: Layout, path: Path, spec: ModelSpec) -> None:
    """Every tensor there, none besides, each of its shape and of floats; else one InputError that names them."""
    expected = {key: shape for piece in layout.values() for key, shape in piece.parts.items()}
    missing = [f"{key} {shape}" for key, shape in expected.items() if key not in stored]
    unexpected = [f"{_shown(key)} {tensor.shape}" for key, tensor in stored.items() if key not in expected]
    held = {key: stored[key] for key in expected if key in stored}
    misshapen = {key: tensor.shape for key, tensor in held.items() if tensor.shape != expected[key]}
    no_floats = [f"{key} ({tensor.dtype})" for key, tensor in held.items() if tensor.dtype not in _FLOATS]
    faults = []
    if missing:
        faults.append(f"missing {listing(missing)}")
    if unexpected:
        faults.append(f"unexpected {listing(unexpected)}")
    if misshapen:
        faults.append(listing(f"{key} is {shape} instead of {expected[key]}" for key, shape in misshapen.items()))
    if no_floats:
        faults.append(f"not of floating-point numbers: {listing(no_floats)}")
    if faults:
        raise InputError(f"{path}: not the weights of {spec.name}: {'; '.join(faults)}{_hint(misshapen, expected)}")


def _hint(misshapen: Mapping[str, Shape], expected: Mapping[str, Shape]) -> str:
    """What the wrong shapes give away about the file."""
    if any(len(shape) == 2 and shape[::-1] == expected[key] for key, shape in misshapen.items()):
        return (
            " (Linear weights lie transposed: a .pdparams holds them in Paddle's layout (in, out), "
            ".pth and .safetensors in PyTorch's (out, in); save it in the other kind of file)"
        )
    classes = [shape[0] for key, shape in misshapen.items() if key in ("head.bias", "head/bias") and len(shape) == 1]
    if classes:
        return f" (a head for {classes[0]} classes: set class_num = {classes[0]} in a .toml model spec)"
    return ""


def _shown(name: str) -> str:
    """A name out of a file, fit for one line of an error."""
    return name if name.isprintable() and len(name) <= 80 else ascii(name[:80])
