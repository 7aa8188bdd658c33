"""How far logits may be from the reference before they are another model's."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from validate.metrics import Difference

# FP32 runtimes differ from Paddle by 1e-6 to 4e-6 of the largest logit (summation order); TF32 and bf16 by about 2e-2.
# The bound lies between, thirty times above the one and two hundred times below the other.
FP32_RELATIVE_TO_LARGEST = 1e-4
FP32_COSINE = 0.99999


@dataclass(frozen=True)
class Tolerance:
    """max_abs: bound of the absolute error of a logit; cosine: lowest cosine similarity of an image's logits."""

    max_abs: float
    cosine: float

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    def violation(self, difference: Difference) -> str | None:
        """What is out of bounds, in a sentence; None when the difference is within them."""
        if difference.nonfinite:
            return f"{difference.nonfinite} logits are NaN or infinite"
        assert difference.max_abs is not None
        assert difference.cosine is not None
        if difference.max_abs > self.max_abs:
            return f"logits differ by up to {difference.max_abs:.2g}; {self.max_abs:.2g} is allowed"
        if difference.cosine < self.cosine:
            return f"an image's logits have cosine {difference.cosine:.6f}; at least {self.cosine} is needed"
        return None


def tolerance(precision: str, largest_logit: float) -> Tolerance:
    """The bounds for a precision, scaled by the largest absolute logit of the reference. KeyError if there are none."""
    return {"fp32": Tolerance(FP32_RELATIVE_TO_LARGEST * largest_logit, FP32_COSINE)}[precision]
