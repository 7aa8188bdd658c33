"""The manifest of an artifact: every field of `manifest.json`, with its type and its meaning.

docs/formats.md is made of it (`python -m runtimes.records --write`). The fields of lower precisions are absent from an
FP32 artifact's manifest.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Annotated, Any

from convert.common import names, typed
from convert.common.disk.files import sha256_json
from convert.common.typed import Count, about
from convert.families.spec import MOST, Preprocessing
from convert.precision.portability import FULL, INT8_RANGES, Saturation
from convert.precision.table import PRECISIONS, SMOOTH

# What the outputs of a model are (`head`).
HEADS = LOGITS, MULTI_LABEL, FEATURES, CLASS_INDEX = "logits", "multi-label", "features", "class index"

FORMAT = 2  # of new manifests; one without a number is of format 1
_CHECKSUM = "checksum"
_KINDS = ("pretrained", "file", "seeded")  # of weights


class AlteredError(ValueError):
    """A manifest is not as it was written."""


@dataclass(frozen=True)
class Port:
    """An input or output of the graph."""

    name: str
    dtype: str
    shape: Annotated[tuple[int | str, ...], about("a free dimension is a string")]


@dataclass(frozen=True, kw_only=True)
class Counts:
    """Multiply-accumulates for one image, or parameters."""

    published: Annotated[
        Count | None,
        about(
            "counted as PaddleClas' page counts: multiply-accumulates of the convolution and the linear layers only; "
            "parameters without pos_embed and cls_token; null where they could not be counted, as a note says"
        ),
    ]
    total: Annotated[Count | None, about("all of them; null likewise")]


@dataclass(frozen=True, kw_only=True)
class MacCounts(Counts):
    """Multiply-accumulates for one image."""

    computed: Annotated[
        Count | None,
        about(
            "of the ONNX graph as it was written, whose last block has one token behind its keys and values where the "
            "head reads one; null where it was not counted"
        ),
    ] = None


@dataclass(frozen=True, kw_only=True)
class WeightsOrigin:
    """Where the weights come from."""

    kind: Annotated[str, about("pretrained, file or seeded")]
    source: Annotated[str, about("URL, absolute path or seeded:N")]
    sha256: Annotated[str, about("of the file; of the recipe where they are seeded")]
    note: Annotated[str | None, about("why other weights than the best were taken")] = ""
    key: Annotated[str | None, about("`--weights-key`: which of several state dicts in the file")] = None


@dataclass(frozen=True, kw_only=True)
class RequestedWeights(WeightsOrigin):
    """Where the weights come from, and what was asked for."""

    requested: Annotated[str, about("the `--weights` that was given")]

    @property
    def info(self) -> WeightsOrigin:
        """Without what was asked for: as records have it."""
        return WeightsOrigin(kind=self.kind, source=self.source, sha256=self.sha256, note=self.note, key=self.key)


@dataclass(frozen=True)
class FileEntry:
    """A file of the artifact as it was written."""

    bytes: Count
    sha256: str


@dataclass(frozen=True)
class BaseArtifact:
    """The FP32 artifact that a lower precision was made from, or that an ONNX file from elsewhere is held against."""

    path: Annotated[str, about("relative to the artifact's folder")]
    sha256: Annotated[str, about("of that artifact: one hash over the hashes of its files")]


@dataclass(frozen=True)
class LoweringOptions:
    """The options that a lower precision was made with."""

    calibration: Annotated[str | None, about("`--calibration`: a folder, list or image file")] = None
    keep_fp32: Annotated[
        tuple[str, ...] | None, about("`--keep-fp32`: operators; null left the choice to what the precision costs each")
    ] = None
    int8_range: Annotated[
        str | None, about(f"int8, `--int8-range`: {', '.join(INT8_RANGES)}; absent from older manifests: {FULL}")
    ] = None
    smooth: Annotated[
        float | None,
        about(
            "int8, `--smooth`: how much of an outlier moves from activations to weights, 0 (nothing is smoothed) to 1; "
            f"absent from older manifests: {SMOOTH}"
        ),
    ] = None


@dataclass(frozen=True)
class RecipeInfo:
    """The options that a lower precision was made with, as far as reports need them."""

    smooth: Annotated[float | None, about("int8: strength of the smoothing, 0: none; null in older records")] = None


@dataclass(frozen=True)
class OperatorCounts:
    """How many multiplying operators there are."""

    lowered: Annotated[int, about("in the lower precision")]
    fp32: Annotated[int, about("still in FP32")]


@dataclass(frozen=True)
class KeptOperator:
    """An operator that stays FP32."""

    operator: str
    reason: str


@dataclass(frozen=True)
class CalibrationSet:
    """The images that int8 was calibrated on."""

    source: Annotated[str, about("what they are, in words")]
    images: Annotated[int, about("how many")]
    sha256: Annotated[str, about("of the preprocessed images, float32, one after another")]
    files_sha256: Annotated[tuple[str, ...], about("of each image file; none for drawn images")]


@dataclass(frozen=True, kw_only=True)
class Lowering:
    """What became of the operators of a lower precision."""

    multiplying: OperatorCounts | None = None
    share: Annotated[
        float | None,
        about(
            "of the multiply-accumulates that are in the lower precision, more than 0.5 and up to 1; null where they "
            "were not counted; absent from older manifests"
        ),
    ] = None
    macs_by_operator: Annotated[
        Mapping[str, Count] | None,
        about("multiply-accumulates of each multiplying operator, for one image or the batch that is fixed; likewise"),
    ] = None
    kept_fp32: Annotated[tuple[KeptOperator, ...] | None, about("operators that stay FP32, and why")] = None
    signal_to_noise_db: Annotated[
        Mapping[str, float] | None,
        about("int8: how far each operator's output stands above int8's noise, the noisiest first"),
    ] = None
    largest: Annotated[
        Mapping[str, float] | None,
        about(
            "fp16 and bf16: the largest absolute value that each lowered operator reads or gives, weights included, on "
            "seeded images and edge cases; the largest first"
        ),
    ] = None
    smoothed: Annotated[tuple[str, ...] | None, about("int8: operators whose activations were smoothed")] = None
    calibration: Annotated[CalibrationSet | None, about("int8 only")] = None
    saturation: Annotated[
        Saturation | None, about("int8: whether it is the same without VNNI; absent from older manifests")
    ] = None


@dataclass(frozen=True, kw_only=True)
class Manifest(Lowering):
    """What an artifact is."""

    format: Annotated[int, about(f"{FORMAT}; absent from the first manifests")] = 1
    converter: Annotated[int, about("counts up when vitbench writes something else than before; 1 where absent")] = 1
    model: str
    precision: str
    opset: Count
    weights: RequestedWeights
    inputs: tuple[Port, ...]
    outputs: Annotated[tuple[Port, ...], about("one, as `head` says")]
    preprocessing: Preprocessing
    preprocessing_source: Annotated[
        str | None,
        about(
            "where it comes from: PaddleClas' zoo, spec FILE, inference.yml, --preprocessing TEXT, or assumed, where "
            "nothing says it; absent from older manifests"
        ),
    ] = None
    own_preprocessing: Annotated[Preprocessing | None, about("the model's own, where another one was asked for")] = None
    raw_pixels: Annotated[
        bool, about("whether the model takes pixels of 0 to 255 as they are, its normalisation being inside")
    ] = False
    class_names: Annotated[tuple[str, ...] | None, about("by the number of the class, where the model says them")] = (
        None
    )
    macs: MacCounts
    parameters: Counts
    notes: Annotated[
        tuple[str, ...], about("what a user must see: seeded weights, a Softmax that was cut, an assumed preprocessing")
    ]
    spec: Annotated[
        Mapping[str, Any] | None,
        about("the architecture, of family vit where none is named; null for a Paddle inference model"),
    ]
    defined_in: Annotated[
        str | None,
        about(
            "the `.toml`, the inference folder or the ONNX file that was named, absolute; absent for a model by name"
        ),
    ] = None
    head: Annotated[
        str,
        about(
            "what the outputs are: logits; multi-label, before a Sigmoid that was cut; features, which are no classes; "
            "class index, logits before an argmax or a TopK that was cut"
        ),
    ] = LOGITS
    unvouched: Annotated[
        bool, about("whether nothing vouches for it: an ONNX file from elsewhere, with no Paddle program beside it")
    ] = False
    form: Annotated[
        str | None,
        about("of a folder to ship: the target that its files are for, as `--to` named it; absent from an artifact"),
    ] = None
    image_size: Annotated[
        Count | None, about("`--image-size`, pixels: given to an inference model that leaves it open")
    ] = None
    reader: Annotated[
        int | None, about("counts up when inference models are read otherwise than before; null for a spec")
    ] = None
    rewrites: Annotated[
        Mapping[str, int] | None,
        about("how often each rewrite of the ONNX graph was applied: 0 where it does not; absent from older manifests"),
    ] = None
    base: Annotated[
        BaseArtifact | None, about("lower precisions, and ONNX files from elsewhere: the FP32 artifact")
    ] = None
    recipe: Annotated[LoweringOptions | None, about("lower precisions only: the options")] = None
    files: Annotated[Mapping[str, FileEntry], about("by name: every file of the artifact but the manifest")]
    tools: Annotated[Mapping[str, str], about("versions")] = field(default_factory=dict)
    command: Annotated[str, about("makes it again")] = ""
    checksum: Annotated[str | None, about("sha256 of all the rest as canonical JSON; absent from older manifests")] = (
        field(default=None, compare=False)
    )

    def __post_init__(self) -> None:
        """ValueError says in a clause what cannot be so, whoever wrote it."""
        for ports in (self.inputs, self.outputs):
            if not ports or not ports[0].shape or any(not _is_dimension(one) for one in ports[0].shape):
                raise ValueError(f"no input or output has the shape {[list(port.shape) for port in ports]}")
        if self.precision not in PRECISIONS:
            raise ValueError(f"precision = {self.precision!r} is none of {', '.join(PRECISIONS)}")
        if self.weights.kind not in _KINDS:
            raise ValueError(f"weights.kind = {self.weights.kind!r} is none of {', '.join(_KINDS)}")
        if self.head not in HEADS:
            raise ValueError(f"head = {self.head!r} is none of {', '.join(HEADS)}")
        for name in (self.model, *(part for file in self.files for part in PurePosixPath(file).parts)):
            if fault := names.fault(name):
                raise ValueError(f"{name!r}: {fault}")
        if any("\0" in str(text) for text in (self.defined_in, self.weights.source, self.base and self.base.path)):
            raise ValueError("no path has a zero byte")
        if self.class_names is not None and self.outputs[0].shape[-1] != len(self.class_names):
            raise ValueError(f"{len(self.class_names)} class_names of {self.outputs[0].shape[-1]} classes")


# A table without these is no manifest. Of the others a null means the same as none.
REQUIRED = {one.name for one in dataclasses.fields(Manifest) if one.default is one.default_factory}


def from_table(table: Any) -> Manifest:
    """The manifest that a JSON document holds. ValueError says in a clause what is wrong with it."""
    if not isinstance(table, Mapping):
        raise ValueError("it is no table")
    version = table.get("format", 1)
    if isinstance(version, int) and version > FORMAT:
        raise ValueError(f"it is of format {version}, and this vitbench reads up to {FORMAT}: update it")
    written = table.get(_CHECKSUM)
    if written is not None and written != _checksum(table):
        raise AlteredError("it was altered since it was written (its checksum differs)")
    return typed.read(Manifest, table)


def to_table(manifest: Manifest) -> dict[str, Any]:
    """As it is stored, without what this precision does not have."""
    table: dict[str, Any] = typed.table(manifest)
    kept = {name: value for name, value in table.items() if value is not None or name in REQUIRED}
    return {**kept, _CHECKSUM: _checksum(kept)}


def _checksum(table: Mapping[str, Any]) -> str:
    return sha256_json({name: value for name, value in table.items() if name != _CHECKSUM})


def _is_dimension(size: int | str) -> bool:
    return isinstance(size, str) or 1 <= size <= MOST
