"""The fault that was found, in words and numbers: where, how large, of what inputs, why, and what would mend it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from validate.bisect.advice import Advice, Evidence, advise
from validate.bisect.alignment import Alignment
from validate.bisect.judgement import NAMES, Judgement, in_shape, row_order
from validate.bisect.locations import Location
from validate.bisect.onnx_activations import OnnxActivations
from validate.bisect.recompute import recompute

_CHUNK = 1 << 22  # values that are in memory at once


@dataclass(frozen=True)
class Fault:
    """The first operator out of bounds.

    block, layer: `blocks.7`, `blocks.7.attn`. operator: its ONNX name, or GELU; None when only the block as a whole is
    out of bounds. tensor: its output. nodes: the ONNX operators that it consists of. statistic: which one is out of
    bounds (max, rms, channel, nonfinite); None when it differs on paper alone. error, bound: of that statistic,
    absolute. max_abs: the largest error. error and max_abs are None where values are not finite. input_range: lowest
    and highest finite input.
    """

    block: str
    layer: str
    operator: str | None
    tensor: str
    nodes: list[str]
    statistic: str | None
    error: float | None
    bound: float | None
    max_abs: float | None
    nonfinite: int
    input_range: list[float] | None
    cause: str | None
    advice: str
    mending_precision: str | None

    @property
    def name(self) -> str:
        """`blocks.7.attn Softmax`."""
        return f"{self.layer} {self.operator}" if self.operator else f"{self.layer} as a whole"

    def sentence(self) -> str:
        """`blocks.7.attn Softmax, error 3e-1 (max abs, 4e-6 allowed), input range -8.1 to 12.3: cause; advice`."""
        words = [self.name]
        if self.statistic is None:
            words.append("out of no bound, but other than Paddle's")
        elif self.error is None:
            words.append(f"error not finite ({self.nonfinite} values NaN or infinite)")
        else:
            words.append(f"error {self.error:.2g} ({NAMES[self.statistic]}, {self.bound:.2g} allowed)")
        if self.input_range:
            words.append("input range {:.4g} to {:.4g}".format(*self.input_range))
        text = ", ".join(words)
        return f"{text}: {self.cause}; {self.advice}" if self.cause else f"{text}: {self.advice}"


def describe(
    alignment: Alignment,
    onnx: OnnxActivations,
    location: Location,
    tensor: str,
    judgement: Judgement | None,
    truth: np.ndarray | None,
    captured: Mapping[str, Path],
    paper: Sequence[str],
    whole: bool = False,
) -> Fault:
    """Put together what is known of an operator.

    judgement: None when only something on paper tells. truth: Paddle's value. captured: the runtime's tensors, the
    operator's inputs among them. whole: no operator of the block is out of bounds, only its end.
    """
    graph = alignment.graph
    operator = alignment.name(tensor)
    nodes = [] if whole else alignment.region(tensor)
    sources = [name for name in alignment.inputs(tensor) if name in captured]
    rows = agrees = None
    if judgement and truth is not None and tensor in captured:
        found = in_shape(np.load(captured[tensor]), truth.shape)
        rows = row_order(found, truth)
        again = recompute(graph, tensor, {name: file for name, file in captured.items() if name != tensor})
        if again is not None and again.shape == found.shape:
            agrees = _closer(found, again, truth)
    span = _span([captured[name] for name in sources])
    if whole:
        advice = Advice(
            "none of its operators is when their outputs are asked for",
            f"{onnx.runtime.name} loses precision where it joins operators: switch its fusions off and compare again",
        )
    else:
        evidence = Evidence(
            runtime=onnx.runtime.name,
            operator=operator,
            nodes=nodes,
            asked=onnx.options.precision,
            effective=(onnx.effective and onnx.effective.precision) or onnx.options.precision,
            nonfinite=bool(judgement and judgement.nonfinite),
            input_range=span or (0.0, 0.0),
            paper=paper,
            rows=rows,
            extra=not alignment.is_own(tensor),
            graph_agrees=agrees,
        )
        advice = advise(evidence, graph)
    statistic = judgement.statistic if judgement else None
    return Fault(
        block=location.block,
        layer=location.block if whole else location.layer,
        operator=None if whole else operator,
        tensor=tensor,
        nodes=[node.kind for node in nodes],
        statistic=statistic,
        error=judgement.errors.get(statistic) if judgement and statistic else None,
        bound=judgement.bounds.get("max" if statistic == "nonfinite" else str(statistic)) if judgement else None,
        max_abs=judgement.errors.get("max") if judgement else None,
        nonfinite=judgement.nonfinite if judgement else 0,
        input_range=list(span) if span else None,
        cause=advice.cause,
        advice=advice.mend,
        mending_precision=advice.precision,
    )


def _closer(found: np.ndarray, graph: np.ndarray, truth: np.ndarray) -> bool:
    """Whether the runtime's tensor is nearer to what the graph says than to Paddle's."""
    if not np.isfinite(found).all():
        return not np.isfinite(graph).all()
    if not np.isfinite(graph).all():
        return False
    return bool(np.abs(found - graph).mean(dtype=np.float64) < np.abs(found - truth).mean(dtype=np.float64) / 2)


def _span(files: Sequence[Path]) -> tuple[float, float] | None:
    """Lowest and highest finite value in files."""
    low, high = np.inf, -np.inf
    for piece in (piece for file in files for piece in _pieces(file)):
        finite = piece[np.isfinite(piece)]
        if finite.size:
            low, high = min(low, float(finite.min())), max(high, float(finite.max()))
    return (low, high) if low <= high else None


def _pieces(file: Path) -> Iterator[np.ndarray]:
    values = np.load(file, mmap_mode="r").reshape(-1)
    for start in range(0, len(values), _CHUNK):
        yield np.asarray(values[start : start + _CHUNK])
