"""A state dict from wherever `--weights` points: downloaded, a checkpoint file, or drawn from a seed."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from convert.common.disk.files import sha256_file
from convert.common.errors import InputError
from convert.families.base import ModelSpec, Piece
from convert.manifest import WeightsOrigin
from convert.weights import checkpoints, download, seeded, side_config
from convert.weights.choose import choose
from convert.weights.locate import KNOWN, locate
from convert.weights.tensors import Array, Shape, StateDict, Stored, Tensor
from convert.zoo import MODELS

_CHOICES = (
    f"auto, pretrained, seeded, seeded:N (N a whole number), a file ending in {', '.join(KNOWN)}, or a folder with one"
)


def fingerprint(weights: str, spec: ModelSpec, key: str | None = None) -> WeightsOrigin | None:
    """What `resolve` would give, known without reading tensors and without network; None when only a download can tell.

    A file given by path is hashed; of a downloaded one the size is checked and the recorded hash taken. InputError as
    for `resolve`, but for what is wrong inside the file.
    """
    if not _downloads(weights, spec):
        return _without_download(weights, spec, key)
    cached = download.cached(download.pretrained_url(spec.name), download.cache_folder())
    return WeightsOrigin(kind="pretrained", source=cached.url, sha256=cached.sha256, key=key) if cached else None


def resolve(weights: str, spec: ModelSpec, key: str | None = None, *, progress: bool = True) -> StateDict:
    """The state dict that `weights` (the value of `--weights`) means for `spec`, checked against its names and shapes.

    auto: the pretrained file where it is cached or can be downloaded, else seeded:0 with a note that says why.
    key: `--weights-key`, which of several state dicts in a file. progress: show a download's on standard error. Tensors
    are read from the file when `Tensor.read` is called. InputError: an unknown choice, a file that is missing, damaged,
    or does not hold exactly the tensors of `spec`, a download that broke off, and for `pretrained` no network or a
    model that PaddleClas does not publish.
    """
    said = ""
    if _downloads(weights, spec):
        try:
            file = _fetched(spec, progress)
            path = file.path
            known = WeightsOrigin(kind="pretrained", source=file.url, sha256=file.sha256, key=key)
        except download.NotFetchedError as error:
            known = _fallback(weights, spec, error.message)
    else:
        known = _without_download(weights, spec, key)
        if known.kind == "file":
            located = locate(weights, _CHOICES)
            path, said = located.path, located.said
    if known.kind == "seeded":
        return StateDict(known, seeded.tensors(int(known.source.removeprefix("seeded:")), spec))
    chosen = choose(checkpoints.read(path), spec, key)
    side_config.refuse_another(path, spec)
    shapes = spec.state_shapes()
    tensors = {name: _tensor(path, shapes[name], chosen.layout[name], chosen.tensors) for name in shapes}
    clauses = [*filter(None, [said]), *chosen.said]
    return StateDict(known, tensors, (f"{path.name}: {'; '.join(clauses)}",) if clauses else ())


def _downloads(weights: str, spec: ModelSpec) -> bool:
    return weights in ("auto", "pretrained") and not _not_published(spec)


def _without_download(weights: str, spec: ModelSpec, key: str | None) -> WeightsOrigin:
    drawn = weights in ("auto", "pretrained") or _seed(weights) is not None
    if drawn and key is not None and weights != "pretrained":
        raise InputError(f"--weights-key {key}: drawn weights are one state dict; give a file with --weights")
    if weights in ("auto", "pretrained"):
        return _fallback(weights, spec, _not_published(spec))
    seed = _seed(weights)
    if seed is not None:
        return _seeded(seed, spec)
    path = locate(weights, _CHOICES).path
    try:
        digest = sha256_file(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None
    return WeightsOrigin(kind="file", source=str(path) if path != Path(weights) else weights, sha256=digest, key=key)


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
