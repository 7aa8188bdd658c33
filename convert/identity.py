"""What makes an artifact the one that is asked for: compared with its manifest, field by field."""

from __future__ import annotations

import dataclasses
import importlib.metadata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from convert.artifact import Artifact
from convert.common import paddle
from convert.families.base import ModelSpec
from convert.families.spec import Preprocessing
from convert.manifest import LoweringOptions, WeightsOrigin
from convert.precision.portability import FULL
from convert.precision.table import FP32, INT8, SMOOTH

# Stands for our own code: count it up whenever something that is written for the same input changes, the graph, the
# weights or the arithmetic of a lower precision; then every artifact is made again.
# (tests/convert/test_identity.py holds the files that each number stands for.)
CONVERTER = 1
# Comes on top of it where the arithmetic of one precision changed. int8: convolutions got a rounding behind them, then
# depthwise ones stayed FP32.
_LOWERERS = {INT8: 2}
# The same for inference models alone: what is cut, folded and assumed when one is read.
READER = 2
_VITBENCH = "vitbench"  # its version is written down, but CONVERTER stands for its code
_TOOLS = (_VITBENCH, "paddlepaddle", "paddle2onnx", "onnx", "onnxscript", "numpy")
_LOWERING_TOOLS = (_VITBENCH, "onnx", "onnxruntime", "onnxruntime-gpu", "numpy", "ml-dtypes")


@dataclass(frozen=True)
class Identity:
    """Everything that can change an artifact.

    spec: None for an inference model; its preprocessing says nothing here, since the files are the same with any.
    weights: kind and sha256, and `--weights-key` where there is one. tools: versions by name. base, keep_fp32,
    calibration: of a lower precision; the sha256 of the FP32 artifact, `--keep-fp32`, and the sha256 of each
    calibration image: none for drawn ones, None where a precision needs no images. preprocessing: what those images
    went through. int8_range, smooth: `--int8-range` and `--smooth`, of int8 alone.
    """

    precision: str
    opset: int
    spec: ModelSpec | None
    weights: tuple[str, ...]
    tools: Mapping[str, str]
    base: str | None = None
    keep_fp32: tuple[str, ...] | None = None
    int8_range: str | None = None
    smooth: float | None = None
    calibration: tuple[str, ...] | None = None
    preprocessing: Preprocessing | None = None
    converter: int = CONVERTER
    image_size: int | None = None
    reader: int | None = None


def of(artifact: Artifact) -> Identity:
    """What an artifact that is there was made of."""
    manifest = artifact.manifest
    recipe = manifest.recipe or LoweringOptions()
    return Identity(
        precision=manifest.precision,
        opset=manifest.opset,
        spec=architecture(artifact.spec),
        weights=weights_of(manifest.weights),
        tools=_foreign(manifest.tools),
        base=manifest.base.sha256 if manifest.base else None,
        keep_fp32=recipe.keep_fp32,
        int8_range=(recipe.int8_range or FULL) if manifest.precision == INT8 else None,
        smooth=smooth_of(recipe) if manifest.precision == INT8 else None,
        calibration=manifest.calibration.files_sha256 if manifest.calibration else None,
        preprocessing=manifest.preprocessing if manifest.calibration else None,
        converter=manifest.converter,
        image_size=manifest.image_size,
        reader=manifest.reader,
    )


def smooth_of(recipe: LoweringOptions) -> float:
    """The strength of the smoothing that int8 was made with; 0 where nothing was smoothed."""
    return SMOOTH if recipe.smooth is None else recipe.smooth


def changes(artifact: Artifact, wanted: Identity) -> list[str]:
    """What sets an artifact that is there apart from the one that is wanted, in clauses, but for options of its own."""
    before = of(artifact)
    origin = artifact.manifest.weights
    source = f"{origin.source}, {origin.key}" if origin.key else origin.source
    words = {
        "weights": f"the files of {source} have changed" if before.spec is None else f"its weights were {source}",
        "base": "it was made of another FP32 artifact",
        "preprocessing": "it was calibrated through another preprocessing",
    }
    found: list[str] = []
    for name in ("spec", "weights", "tools", "base", "preprocessing", "converter"):
        old, new = getattr(before, name), getattr(wanted, name)
        if old != new:
            old, new = (one.table() if isinstance(one, ModelSpec) else one for one in (old, new))
            found += [words[name]] if name in words else _differences(name, old, new)
    return found


def _differences(name: str, old: Any, new: Any) -> Iterator[str]:
    """`depth was 2, is 3` of each value that differs, of tables each one inside."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in {**old, **new}:
            if old.get(key) != new.get(key):
                yield from _differences(key, old.get(key), new.get(key))
    else:
        yield f"{name} was {_shown(old)}, is {_shown(new)}"


def _shown(value: Any) -> str:
    return "none" if value is None else str(list(value) if isinstance(value, tuple) else value)


def weights_of(origin: WeightsOrigin) -> tuple[str, ...]:
    """What tells weights from others."""
    return (origin.kind, origin.sha256, *filter(None, [origin.key]))


def architecture(spec: ModelSpec | None) -> ModelSpec | None:
    """A spec without what it says of images."""
    return spec and dataclasses.replace(spec, preprocessing=Preprocessing(spec.img_size, spec.img_size))


def converter(precision: str) -> int:
    """What stands for our own code in a manifest of a precision."""
    return CONVERTER + _LOWERERS.get(precision, 0)


def tools(precision: str) -> dict[str, str]:
    """The versions of what makes an artifact of a precision, as a manifest has them."""
    found = {}
    for name in _TOOLS if precision == FP32 else _LOWERING_TOOLS:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:  # onnxruntime is one of two packages
            continue
    return found


def foreign_tools(precision: str) -> dict[str, str]:
    """Those of `tools` that an artifact is known by: all but vitbench's own version."""
    return _foreign(tools(precision))


def wanted_tools(precision: str, present: Artifact | None) -> dict[str, str]:
    """Those that an artifact is asked to have been made with: `foreign_tools`.

    Where Paddle is not installed nothing could be made again: there it is those of the artifact that is there.
    """
    if present is not None and not paddle.installed():
        return _foreign(present.manifest.tools)
    return foreign_tools(precision)


def other_tools(artifact: Artifact) -> list[str]:
    """`numpy 2.0` of each tool that made an artifact and is here in another version."""
    here = foreign_tools(artifact.precision)
    made = _foreign(artifact.manifest.tools)
    return [f"{name} {version}" for name, version in made.items() if here.get(name, version) != version]


def _foreign(versions: Mapping[str, str]) -> dict[str, str]:
    return {name: version for name, version in versions.items() if name != _VITBENCH}
