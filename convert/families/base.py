"""What an architecture family says of itself, and which families there are.

A family is a file of this folder: a subclass of `ModelSpec`, which the file names as FAMILY. Everything that vitbench
asks of an architecture is in this interface.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import json
import pkgutil
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any, ClassVar

from convert import families
from convert.common import names
from convert.common.errors import InputError
from convert.families.spec import Preprocessing, from_table, positive_int
from convert.images import stated
from convert.weights.tensors import Array, Shape

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

DEFAULT_FAMILY = "vit"


class Rewrite(Enum):
    """A rewrite of the ONNX graph, see `convert/export/rewrite/`."""

    HEADS = "q, k and v by one Split"
    LAST_AXIS = "LayerNormalization over axis -1"
    CLASS_TOKEN = "the class token's shape"  # noqa: S105 - a token of the model, no secret
    LAST_BLOCK = "the last block for the class token alone"


@dataclass(frozen=True)
class Piece:
    """One tensor of PaddleClas' state dict: what a file must hold for it (name: shape), and how that becomes it.

    join: arrays in the order of `parts` to the tensor; any strides, any float dtype.
    """

    parts: dict[str, Shape]
    join: Callable[..., Array]


Layout = dict[str, Piece]  # PaddleClas' name to what it is made of


@dataclass(frozen=True)
class NamedLayout:
    """A layout that files have. linear: how their Linear weights lie, in words. kinds: of file that usually have it, by
    `convert/weights/checkpoints.py`. names: whose names they are, where that is worth saying."""

    layout: Layout
    linear: str
    kinds: tuple[str, ...]
    names: str = ""

    @functools.cached_property
    def parts(self) -> dict[str, Shape]:
        """Every tensor that a file must hold."""
        return {name: shape for piece in self.layout.values() for name, shape in piece.parts.items()}


_PADDLE, _PYTORCH = "as Paddle's, (in, out)", "as PyTorch's, (out, in)"


@dataclass(frozen=True)
class GraphFacts:
    """What must hold of the ONNX graph of a spec.

    convolutions, linear, products, norms, softmaxes, gelus: how many operators there are: `linear` are MatMuls with a
    weight, `products` those of two activations. epsilon: of each LayerNormalization. scales: of the attention of each
    block. attention: shape of the attention of each block for one image, as it is written. squeezes: Squeeze operators
    as it is written. rewrites: how often each rule is applied, 0 where it is not named. biased: whether something is
    added to the scaled attention.
    """

    convolutions: int
    linear: int
    products: int
    norms: int
    softmaxes: int
    gelus: int
    epsilon: float
    scales: tuple[float, ...]
    attention: tuple[Shape, ...]
    squeezes: int
    rewrites: Mapping[Rewrite, int]
    biased: bool = False


@dataclass(frozen=True)
class ModelSpec(ABC):
    """A model of a family: a subclass adds the family's own fields. ValueError says which field is wrong.

    preprocessing.crop is the size of the image. The model takes (batch, 3, img_size, img_size) and gives logits
    (batch, class_num), both float32.
    """

    family: ClassVar[str]
    # What each block begins its parts with, in their order: `blocks.7.attn`, `blocks.7.mlp`, each behind a LayerNorm.
    block_parts: ClassVar[tuple[str, ...]] = ("attn", "mlp")
    # How the names of layers end that have a LayerNorm and stand between blocks.
    between_blocks: ClassVar[tuple[str, ...]] = ()
    # How the names of tensors end that files hold and that the model does not compute with.
    unused: ClassVar[tuple[str, ...]] = ("num_batches_tracked",)

    name: str
    img_size: int = 224
    class_num: int = 1000
    preprocessing: Preprocessing = field(default_factory=lambda: Preprocessing(256, 224))

    def __post_init__(self) -> None:
        if not isinstance(self.name, str):
            raise ValueError(f"name = {self.name!r} must be a text")
        if fault := names.fault(self.name):
            raise ValueError(f"name = {self.name!r}: {fault}")
        object.__setattr__(self, "name", names.normal(self.name))
        for name in ("img_size", "class_num"):
            positive_int(name, getattr(self, name))
        if not isinstance(self.preprocessing, Preprocessing):
            raise ValueError(f"preprocessing must be a table, not {self.preprocessing!r}")
        if self.preprocessing.crop != self.img_size:
            raise ValueError(f"preprocessing.crop = {self.preprocessing.crop} is not img_size = {self.img_size}")

    def table(self) -> dict[str, Any]:
        """As a manifest has it: JSON types, the family included."""
        return {"family": self.family, **dataclasses.asdict(self)}

    @abstractmethod
    def state_shapes(self) -> dict[str, Shape]:
        """Every tensor of PaddleClas' state dict and its shape. Linear weights are (in, out), as Paddle has them."""

    @abstractmethod
    def paddle_layer(self) -> Any:
        """The model as a `paddle.nn.Layer`, whose parameters are zero and have the names of `state_shapes`, in the
        program too. Imports Paddle."""

    @abstractmethod
    def graph_facts(self) -> GraphFacts:
        """What must hold of the ONNX graph."""

    @abstractmethod
    def spread(self, name: str, shape: Shape) -> tuple[float, float]:
        """(mean, standard deviation) that a trained tensor of that name has, for weights that are drawn."""

    @abstractmethod
    def widest(self) -> int:
        """Values of one image's activations in the widest block, all at once: an estimate of memory."""

    def paddle_layout(self) -> Layout:
        """PaddleClas' own state dict: names and shapes of `state_shapes`."""
        return {name: Piece({name: shape}, same) for name, shape in self.state_shapes().items()}

    def pytorch_layout(self) -> Layout:
        """PaddleClas' names with Linear weights, the only matrices, as (out, in): pytorch-image-models' files."""
        return mirrored(self.paddle_layout())

    def jax_layout(self) -> Layout | None:
        """The layout of the `.npz` files that the family's authors publish; None where there are none."""
        return None

    def huggingface_layouts(self) -> tuple[Layout, ...]:
        """Those of the classes of Hugging Face's transformers that are this model, Linear weights (out, in)."""
        return ()

    def layouts(self) -> tuple[NamedLayout, ...]:
        """All layouts that files of this model may have. Names and shapes tell which one a file has."""
        paddle, pytorch = ("pickle",), ("torch", "safetensors")
        found = [
            NamedLayout(self.paddle_layout(), _PADDLE, paddle),
            NamedLayout(self.pytorch_layout(), _PYTORCH, pytorch),
        ]
        for layout in self.huggingface_layouts():
            names = "Hugging Face's transformers"
            found.append(NamedLayout(layout, _PYTORCH, pytorch, names))
            found.append(NamedLayout(mirrored(layout), _PADDLE, paddle, names))
        jax = self.jax_layout()
        return (*found, NamedLayout(jax, _PADDLE, ("npz",))) if jax else tuple(found)

    def hints(self, shapes: Mapping[str, Shape]) -> list[str]:
        """What shapes that are not the model's, by PaddleClas' names, say of the model that they are of, in clauses."""
        return []

    def block_name(self, number: int) -> str:
        """What its tensors' names begin with, of a block that is counted from 0 on through the whole model."""
        return f"blocks.{number}"

    def remarks(self) -> list[str]:
        """What the user must know of the architecture, in clauses."""
        return []


def same(array: Array) -> Array:
    return array


def mirrored(layout: Layout) -> Layout:
    """A layout whose matrices lie transposed in the file."""

    def turned(piece: Piece) -> Piece:
        parts = {name: shape[::-1] if len(shape) == 2 else shape for name, shape in piece.parts.items()}
        return Piece(parts, lambda *arrays: piece.join(*(one.T if one.ndim == 2 else one for one in arrays)))

    return {name: turned(piece) for name, piece in layout.items()}


@functools.cache
def known() -> Mapping[str, type[ModelSpec]]:
    """Every family by its name: the files of this folder that name a FAMILY."""
    modules = [importlib.import_module(f"{families.__name__}.{m.name}") for m in _family_files()]
    return {module.FAMILY.family: module.FAMILY for module in modules}


def _family_files() -> list[pkgutil.ModuleInfo]:
    shared = {
        "base",
        "spec",
        "paddle_layers",
        "swin_layers",
        "windows",
    }  # what families are built of, and no family itself
    return [module for module in pkgutil.iter_modules(families.__path__) if module.name not in shared]


def from_spec_table(table: Mapping[str, Any]) -> ModelSpec:
    """The spec that a table holds, of a user's TOML or of a manifest. ValueError says which field is wrong."""
    family = table.get("family", DEFAULT_FAMILY)
    if not isinstance(family, str) or family not in known():
        raise ValueError(f"family = {family!r} is none of {', '.join(known())}")
    own = {name: value for name, value in table.items() if name != "family"}
    preprocessing = own.get("preprocessing")
    if isinstance(preprocessing, Mapping):
        own["preprocessing"] = from_table(Preprocessing, preprocessing, "preprocessing.")
    return from_table(known()[family], own)


def toml(spec: ModelSpec) -> str:
    """The `.toml` file that is read as a spec."""

    def lines(table: Mapping[str, Any]) -> str:
        said = {key: value for key, value in table.items() if value is not None}
        # JSON's texts, numbers, truth values and lists are TOML's too.
        return "".join(f"{key} = {json.dumps(value, ensure_ascii=False)}\n" for key, value in said.items())

    table = spec.table()
    preprocessing = table.pop("preprocessing")
    return f"{lines(table)}\n[preprocessing]\n{lines(preprocessing)}"


def load_spec(path: Path) -> ModelSpec:
    """Read a `.toml` model spec. InputError when it is no TOML, or a field is missing, unknown or out of range."""
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:  # ValueError: no TOML, no UTF-8, a number too long
        raise InputError(f"model spec {path}: cannot be read as TOML ({error})") from None
    if not isinstance(table.get("preprocessing"), dict):
        raise InputError(f"model spec {path}: a [preprocessing] table is needed (resize_short, crop, mean, std)")
    try:
        return from_spec_table({**table, "preprocessing": stated.read(table["preprocessing"], "preprocessing.")})
    except ValueError as error:
        raise InputError(f"model spec {path}: {error}") from None
