"""Whether int8 is the same on x86 processors without VNNI, as a manifest has it and in one sentence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

from convert.common.typed import Count, about
from convert.precision.table import percent

# How far weights of int8 go (`--int8-range`): to 127, or as far as no sum of two products exceeds 16 bits.
INT8_RANGES = FULL, PORTABLE = "full", "portable"
# Whether int8 is the same on processors with VNNI and without; the first of three is PORTABLE.
PORTABLE_CALIBRATED, MAY_DIFFER = "portable within calibrated ranges", "may differ"


@dataclass(frozen=True, kw_only=True)
class Saturation:
    """What becomes of int8 where two products are added in 16 bits, on x86 processors without VNNI: such a sum may be
    cut off. Neighbours of a MatMul are those that OpenVINO and ONNX Runtime add; of a convolution any two are."""

    result: Annotated[str, about(f"{PORTABLE}; {PORTABLE_CALIBRATED}; {MAY_DIFFER}")] = MAY_DIFFER
    columns: Annotated[Count, about("output channels of all operators in int8")] = 0
    any_input: Annotated[
        Mapping[str, Count], about("by operator: output channels in which a sum is cut off for some input; none has 0")
    ] = field(default_factory=dict)
    calibrated: Annotated[
        Mapping[str, Count] | None,
        about("those in which it is for numbers that the calibration images reached; null where these are not known"),
    ] = None
    up_to: Annotated[
        float | None,
        about(
            "by simulation, on tokens of the calibration images: the largest change of an operator's output, in its "
            "largest output there; null likewise"
        ),
    ] = None

    def __post_init__(self) -> None:
        """ValueError says in a clause what cannot be so."""
        if self.result not in (PORTABLE, PORTABLE_CALIBRATED, MAY_DIFFER):
            raise ValueError(f"saturation.result = {self.result!r} is none of those that there are")

    @property
    def sentence(self) -> str:
        if self.result == PORTABLE:
            return "int8 is portable: no two products exceed 16 bits, so that processors without VNNI give the same"
        found = self.any_input if self.calibrated is None or self.result == PORTABLE_CALIBRATED else self.calibrated
        where = (
            f"{sum(found.values())} of {self.columns} output channels in {len(found)} operator{'s' * (len(found) != 1)}"
        )
        if self.result == PORTABLE_CALIBRATED:
            return (
                "int8 is portable within calibrated ranges: beyond what the calibration images reach, two products may "
                f"exceed 16 bits on processors without VNNI, in {where}"
            )
        if self.up_to is not None:
            where = f"{where}, where up to {percent(self.up_to)} of an operator's largest output changed"
        return f"on AVX2 and AVX512 without VNNI int8 may differ: two products may exceed 16 bits in {where}"
