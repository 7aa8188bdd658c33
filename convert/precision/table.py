"""The precisions that there are, from high to low: what is true of each, whatever runs it. A new one begins here.

Beside its entry a new precision needs a way to be made (convert/precision) and the adapters that have it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Unit = Literal[
    "Paddle's own FP32 error", "ONNX Runtime's plain FP32 error", "the least FP32 error assumed", "the largest logit"
]
PADDLE_ERROR: Unit = "Paddle's own FP32 error"
ONNX_ERROR: Unit = "ONNX Runtime's plain FP32 error"  # in its place where an ONNX file has no Paddle program
LEAST_ERROR: Unit = "the least FP32 error assumed"
LARGEST_LOGIT: Unit = "the largest logit"


@dataclass(frozen=True)
class Rule:
    """How far logits may be from the reference.

    max_abs: at most `factor` units. cosine: lowest cosine similarity of an image's logits. reason: why this much.
    """

    factor: float
    unit: Unit
    cosine: float
    reason: str


@dataclass(frozen=True)
class Precision:
    """One entry of the table.

    artifact: the precision of the ONNX file that it runs on; its own name where it is converted to.
    onnx_types: TensorProto's names of what its layers compute in, that of its weights first.
    dtype: NumPy's name of the weights' type (bfloat16 is that of ml_dtypes).
    aliases: what runtimes call the types that its layers compute in, in small letters.
    bytes: of a weight.
    unit_roundoff: half the distance from 1 to the next number; int8: half a step of a scale from -1 to 1.
    tolerance: of the parity check.
    product_error: how far a row of a matrix product may lie from the exact one, in the Frobenius norm.
    calibrated: whether images are needed to convert to it.
    compute_capability: the least of an NVIDIA GPU that has it.
    shape, dashes: how charts mark it, in Vega-Lite's words: the shape of a point, dash and gap of a line in pixels.
    """

    name: str
    artifact: str
    onnx_types: tuple[str, ...]
    dtype: str
    aliases: tuple[str, ...]
    bytes: int
    unit_roundoff: float
    tolerance: Rule
    product_error: float
    shape: str
    dashes: tuple[int, int]
    calibrated: bool = False
    compute_capability: tuple[int, int] = (0, 0)

    @property
    def converted(self) -> bool:
        """Whether an artifact of it is made from the FP32 one."""
        return self.artifact == self.name != FP32


FP32, TF32, FP16, BF16, INT8 = "fp32", "tf32", "fp16", "bf16", "int8"

# A model is called by a lower precision where more than this share of its multiply-accumulates is in it: with less,
# most of what it computes is in another one, and its speed and errors are those of the other one.
MOSTLY = 0.5

_ENTRIES = (
    Precision(
        name=FP32,
        artifact=FP32,
        onnx_types=("FLOAT",),
        dtype="float32",
        aliases=("f32", "float", "float32"),
        bytes=4,
        unit_roundoff=2.0**-24,
        tolerance=Rule(
            8,
            PADDLE_ERROR,
            0.9999999,
            # 1e-6 of the largest logit is Paddle's own error on ViTs. Measured on the seven and on a trained tiny ViT:
            # paddle with oneDNN 0.9 to 1.4 times, ort-cpu 0.35 to 2.0, openvino 0.84 to 1.5, mnn 1.4 to 2.2; 1 - cosine
            # below 4e-12. bf16 is at ten thousand times.
            "FP32 runtimes round differently: 0.35 to 2.2 times Paddle's own error was measured",
        ),
        # Sums of 2048 random terms are off by about 1e-6; TF32 and bf16 keep 11 and 8 bits of each factor, so an error
        # over 1e-4 betrays them.
        product_error=1e-4,
        shape="circle",
        dashes=(1, 0),
    ),
    Precision(
        # FP32 products whose factors are rounded on the way: a mode of a GPU, so there is no file of it.
        name=TF32,
        artifact=FP32,
        onnx_types=("FLOAT",),
        dtype="float32",
        aliases=(),
        bytes=4,
        unit_roundoff=2.0**-11,
        # ViT logits off by 0.33 with TF32 on a GPU (onnxruntime#19288): about 2e-2 of the largest.
        tolerance=Rule(4e-2, LARGEST_LOGIT, 0.999, "TF32 was measured at 2e-2 of the largest logit"),
        product_error=5e-3,
        shape="square",
        dashes=(10, 3),
        # TF32 and bf16 came with one generation (NVIDIA, "CUDA C++ Programming Guide", compute capabilities).
        compute_capability=(8, 0),
    ),
    Precision(
        name=FP16,
        artifact=FP16,
        onnx_types=("FLOAT16",),
        dtype="float16",
        aliases=("f16", "float16"),
        bytes=2,
        unit_roundoff=2.0**-11,
        # Weights rounded to FP16 alone: 0.9e-3 to 1.7e-3 (trained tiny ViT); arithmetic adds as much again. OpenVINO's
        # accuracy checker allows 1e-2 absolute and cosine 0.995.
        tolerance=Rule(
            1e-2, LARGEST_LOGIT, 0.999, "weights rounded to FP16 were measured at 2e-3 of the largest logit"
        ),
        product_error=1e-2,
        shape="triangle-up",
        dashes=(6, 3),
    ),
    Precision(
        name=BF16,
        artifact=BF16,
        onnx_types=("BFLOAT16",),
        dtype="bfloat16",
        aliases=("bf16", "bfloat16"),
        bytes=2,
        unit_roundoff=2.0**-8,
        # OpenVINO's bf16 on a CPU: 0.9e-2 to 1.5e-2, cosine 0.9997 (tiny, small and base ViT).
        tolerance=Rule(4e-2, LARGEST_LOGIT, 0.999, "bf16 was measured at 0.9e-2 to 1.5e-2 of the largest logit"),
        product_error=2e-2,
        shape="diamond",
        dashes=(3, 3),
        compute_capability=(8, 0),
    ),
    Precision(
        name=INT8,
        artifact=INT8,
        onnx_types=("INT8", "UINT8"),
        dtype="int8",
        aliases=("i8", "u8", "int8", "uint8"),
        bytes=1,
        unit_roundoff=2.0**-8,
        # Min-max quantisation that ruins the tiny ViT (top-1 agreement 0.7) is at 0.46, cosine 0.53. Parity is a coarse
        # net here: accuracy has to decide.
        tolerance=Rule(
            0.25, LARGEST_LOGIT, 0.97, "int8 that has lost the model was measured at 0.46 of the largest logit"
        ),
        # It quantises each factor to 1/255.
        product_error=5e-2,
        shape="cross",
        dashes=(1, 3),
        calibrated=True,
    ),
)

PRECISIONS = {entry.name: entry for entry in _ENTRIES}  # from high to low
NAMES = tuple(PRECISIONS)
CONVERTED = tuple(entry.name for entry in _ENTRIES if entry.converted)
# SmoothQuant's strength (Xiao et al. 2023, arXiv 2211.10438, section 4) where nobody says another, and that of int8
# artifacts from before one could: how much of an outlier moves from activations to weights. 0: nothing is smoothed.
SMOOTH = 0.5
_BY_ALIAS = {alias: entry.name for entry in _ENTRIES for alias in entry.aliases}


def percent(share: float) -> str:
    """A share for people: whole percents, below one `0.4 %`."""
    return f"{100 * share:.0f} %" if share >= 0.01 or not share else f"{100 * share:.1g} %"


def lowest(types: Iterable[str]) -> str | None:
    """The lowest precision among types as runtimes call them; None when none of them is a precision's."""
    return max((_BY_ALIAS[name] for name in types if name in _BY_ALIAS), key=NAMES.index, default=None)
