"""What a model is: the architecture and preprocessing of a plain vision transformer, checked where it is made."""

from __future__ import annotations

import dataclasses
import math
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from convert.common.errors import InputError, listing

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "area", "lanczos")


@dataclass(frozen=True)
class Preprocessing:
    """How an image becomes the model's input.

    resize_short: pixels of the short side after resizing; crop: pixels of the centre crop's sides;
    mean and std: per channel, RGB, of values in [0, 1]. ValueError says which field is wrong.
    """

    resize_short: int
    crop: int
    interpolation: str = "bilinear"
    mean: tuple[float, float, float] = (0.5, 0.5, 0.5)
    std: tuple[float, float, float] = (0.5, 0.5, 0.5)

    def __post_init__(self) -> None:
        for name in ("resize_short", "crop"):
            _positive_int(name, getattr(self, name))
        if self.crop > self.resize_short:
            raise ValueError(f"crop = {self.crop} does not fit into resize_short = {self.resize_short}")
        if self.interpolation not in INTERPOLATIONS:
            raise ValueError(f"interpolation = {self.interpolation!r} is none of {', '.join(INTERPOLATIONS)}")
        for name in ("mean", "std"):
            values = getattr(self, name)
            if not isinstance(values, (tuple, list)) or len(values) != 3 or not all(map(_is_number, values)):
                raise ValueError(f"{name} must be three numbers, not {values!r}")
            object.__setattr__(self, name, tuple(float(value) for value in values))
        if any(value <= 0 for value in self.std):
            raise ValueError(f"std must be above zero, not {list(self.std)}")


@dataclass(frozen=True)
class ModelSpec:
    """A plain vision transformer in the terms of PaddleClas' `VisionTransformer`, whose defaults are the defaults here.

    Pre-norm blocks, exact (erf) GELU, class token first, head on the normalised class token, logits out.
    qk_scale: the attention scale, None for (embed_dim / num_heads) ** -0.5. ValueError says which field is wrong.
    """

    name: str
    img_size: int = 224
    patch_size: int = 16
    class_num: int = 1000
    embed_dim: int = 768
    depth: int = 12
    num_heads: int = 12
    mlp_ratio: float = 4
    qkv_bias: bool = False
    qk_scale: float | None = None
    epsilon: float = 1e-5
    preprocessing: Preprocessing = field(default_factory=lambda: Preprocessing(256, 224))

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", self.name):
            raise ValueError(f"name = {self.name!r} must be letters, digits, '.', '_' and '-', to serve as a folder")
        for name in ("img_size", "patch_size", "class_num", "embed_dim", "depth", "num_heads"):
            _positive_int(name, getattr(self, name))
        for name in ("mlp_ratio", "epsilon"):
            value = getattr(self, name)
            if not _is_number(value) or value <= 0:
                raise ValueError(f"{name} must be a number above zero, not {value!r}")
        if not isinstance(self.qkv_bias, bool):
            raise ValueError(f"qkv_bias must be true or false, not {self.qkv_bias!r}")
        if self.qk_scale is not None and (not _is_number(self.qk_scale) or self.qk_scale <= 0):
            raise ValueError(f"qk_scale must be a number above zero, not {self.qk_scale!r}")
        if self.img_size % self.patch_size:
            raise ValueError(f"img_size = {self.img_size} is no multiple of patch_size = {self.patch_size}")
        if self.embed_dim % self.num_heads:
            raise ValueError(f"embed_dim = {self.embed_dim} is no multiple of num_heads = {self.num_heads}")
        if self.preprocessing.crop != self.img_size:
            raise ValueError(f"preprocessing.crop = {self.preprocessing.crop} is not img_size = {self.img_size}")

    @property
    def tokens(self) -> int:
        """Patches and the class token."""
        return (self.img_size // self.patch_size) ** 2 + 1

    @property
    def mlp_dim(self) -> int:
        return int(self.embed_dim * self.mlp_ratio)

    @property
    def attention_scale(self) -> float:
        return self.qk_scale if self.qk_scale is not None else (self.embed_dim // self.num_heads) ** -0.5

    def state_shapes(self) -> dict[str, tuple[int, ...]]:
        """Every tensor of PaddleClas' state dict and its shape. Linear weights are (in, out), as Paddle has them."""
        dim, mlp, patch = self.embed_dim, self.mlp_dim, self.patch_size
        shapes: dict[str, tuple[int, ...]] = {
            "pos_embed": (1, self.tokens, dim),
            "cls_token": (1, 1, dim),
            "patch_embed.proj.weight": (dim, 3, patch, patch),
            "patch_embed.proj.bias": (dim,),
        }
        for i in range(self.depth):
            block = f"blocks.{i}"
            shapes |= {f"{block}.norm1.weight": (dim,), f"{block}.norm1.bias": (dim,)}
            shapes[f"{block}.attn.qkv.weight"] = (dim, 3 * dim)
            if self.qkv_bias:
                shapes[f"{block}.attn.qkv.bias"] = (3 * dim,)
            shapes |= {f"{block}.attn.proj.weight": (dim, dim), f"{block}.attn.proj.bias": (dim,)}
            shapes |= {f"{block}.norm2.weight": (dim,), f"{block}.norm2.bias": (dim,)}
            shapes |= {f"{block}.mlp.fc1.weight": (dim, mlp), f"{block}.mlp.fc1.bias": (mlp,)}
            shapes |= {f"{block}.mlp.fc2.weight": (mlp, dim), f"{block}.mlp.fc2.bias": (dim,)}
        shapes |= {"norm.weight": (dim,), "norm.bias": (dim,)}
        shapes |= {"head.weight": (dim, self.class_num), "head.bias": (self.class_num,)}
        return shapes


def load_spec(path: Path) -> ModelSpec:
    """Read a `.toml` model spec. InputError when it is no TOML, or a field is missing, unknown or out of range."""
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"model spec {path}: cannot be read as TOML ({error})") from None
    preprocessing = table.pop("preprocessing", None)
    if not isinstance(preprocessing, dict):
        raise InputError(f"model spec {path}: a [preprocessing] table is needed (resize_short, crop, mean, std)")
    try:
        table["preprocessing"] = _from_table(Preprocessing, preprocessing, "preprocessing.")
        return _from_table(ModelSpec, table, "")
    except ValueError as error:
        raise InputError(f"model spec {path}: {error}") from None


def _from_table(kind: Any, table: dict[str, Any], prefix: str) -> Any:
    fields = {f.name: f for f in dataclasses.fields(kind)}
    unknown = sorted(set(table) - set(fields))
    if unknown:
        raise ValueError(f"unknown field {listing(prefix + name for name in unknown)}; known: {', '.join(fields)}")
    required = {
        name
        for name, f in fields.items()
        if f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
    }
    missing = [name for name in fields if name in required and name not in table]
    if missing:
        raise ValueError(f"missing field {listing(prefix + name for name in missing)}")
    return kind(**table)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _positive_int(name: str, value: object) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{name} must be a whole number above zero, not {value!r}")
