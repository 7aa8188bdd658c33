"""The fault that was found, in words and numbers: where, how large, of what inputs, why, and what would mend it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import onnx_ir as ir

from convert.precision.table import CONVERTED, FP16, FP32, PRECISIONS
from validate.bisect.alignment import Alignment
from validate.bisect.judgement import NAMES, Judgement, in_shape, row_order
from validate.bisect.locations import Location
from validate.bisect.onnx_activations import OnnxActivations

_LOW_TYPES = {ir.DataType[kind]: name for name in CONVERTED for kind in PRECISIONS[name].onnx_types}
_FP16_LARGEST = float(np.finfo(np.float16).max)
_SQUARES = "LayerNormalization"  # its result needs the sum of many squares, which may leave FP16 on the way


@dataclass(frozen=True)
class Fault:
    """The first operator out of bounds.

    block, layer: `blocks.7`, `blocks.7.attn`. operator: its ONNX name, or GELU; None when only the block as a whole is
    out of bounds. tensor: its output. nodes: the ONNX operators that it consists of. statistic: which one is out of
    bounds (max, rms, channel, nonfinite); None when it differs on paper alone. error, bound: of that statistic,
    absolute. max_abs: the largest error. error and max_abs are None where values are not finite. input_range: lowest
    and highest finite input. cause: a sentence, None where it is not known. advice: what to do, a sentence.
    mending_precision: which would mend it, None where none would.
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
    input_range: tuple[float, float] | None
    cause: str | None
    advice: str
    mending_precision: str | None

    @property
    def name(self) -> str:
        """`blocks.7.attn Softmax`."""
        return f"{self.layer} {self.operator}" if self.operator else f"{self.layer} as a whole"

    def sentence(self, say: Callable[[str], str] = str) -> str:
        """`blocks.7.attn Softmax, error 3e-1 (max abs, 4e-6 allowed), input range -8.1 to 12.3: cause; advice`.

        say: puts each part in other words.
        """
        words = [self.name]
        if self.statistic is None:
            words.append(say("out of no bound, but other than Paddle's"))
        elif self.error is None:
            words.append(say(f"error not finite ({self.nonfinite} values NaN or infinite)"))
        else:
            words.append(say(f"error {self.error:.2g} ({NAMES[self.statistic]}, {self.bound:.2g} allowed)"))
        if self.input_range:
            low, high = self.input_range
            words.append(say(f"input range {low:.4g} to {high:.4g}"))
        text = ", ".join(words)
        return f"{text}: {say(self.cause)}; {say(self.advice)}" if self.cause else f"{text}: {say(self.advice)}"


@dataclass(frozen=True)
class Evidence:
    """What is known of the operator that a tensor comes from.

    judgement, truth: of the tensor, and Paddle's value; None when something on paper alone tells, or the block as a
    whole. captured: the runtime's tensors, the operator's inputs among them. paper: what differs from Paddle's program
    on paper.
    """

    alignment: Alignment
    onnx: OnnxActivations
    tensor: str
    paper: Sequence[str]
    judgement: Judgement | None = None
    truth: np.ndarray | None = None
    captured: Mapping[str, Path] = field(default_factory=dict)

    def fault(self, location: Location) -> Fault:
        return self._fault(location.block, location.layer, self._operator, *self._explanation())

    def whole(self, location: Location) -> Fault:
        """The block that ends with the tensor as the fault: no operator of it is out of bounds."""
        cause = "none of its operators is when their outputs are asked for"
        where = f"{self.onnx.runtime.name} loses precision where it joins operators"
        advice = f"{where}: switch its fusions off and compare again"
        return self._fault(location.block, location.block, None, cause, advice, None)

    def _fault(
        self, block: str, layer: str, operator: str | None, cause: str | None, advice: str, precision: str | None
    ) -> Fault:
        judgement = self.judgement or Judgement({}, {}, 0, None, 0.0)
        statistic = self.judgement.statistic if self.judgement else None
        return Fault(
            block=block,
            layer=layer,
            operator=operator,
            tensor=self.tensor,
            nodes=[node.kind for node in self.alignment.region(self.tensor)] if operator else [],
            statistic=statistic,
            error=judgement.errors.get(str(statistic)),
            bound=judgement.bounds.get("max" if statistic == "nonfinite" else str(statistic)),
            max_abs=judgement.errors.get("max"),
            nonfinite=judgement.nonfinite,
            input_range=self._input_range,
            cause=cause,
            advice=advice,
            mending_precision=precision,
        )

    def _explanation(self) -> tuple[str | None, str, str | None]:
        """Cause, advice and mending precision: the most certain explanation first."""
        runtime, asked = self.onnx.runtime.name, self.onnx.options.precision
        effective = (self.onnx.effective and self.onnx.effective.precision) or asked
        low = self._low_types or ([effective] if effective != FP32 else [])
        keep = f"keep this {self._operator} in FP32"
        rows = None if self._found is None or self.truth is None else row_order(self._found, self.truth)
        if rows is not None:
            cause = f"the rows of the batch are in another order: they hold the images {', '.join(map(str, rows))}"
            return cause, f"no precision mends it: {self._blame()}; batch 1 is not affected", None
        if self.paper:
            mend = "no precision mends it: convert the model again, or undo what was changed in the graph"
            return "; ".join(self.paper), mend, None
        if self.judgement and self.judgement.nonfinite and FP16 in low:
            return self._overflow(), keep, FP32
        if self.tensor not in self.alignment.own:
            mend = "no precision mends it: take the operator out of the graph"
            return f"Paddle's program has no {self._operator} here", mend, None
        if low and asked == FP32 and not self._low_types:
            cause = f"{runtime} computed in {effective} although fp32 was asked for"
            return cause, f"make {runtime} compute in FP32", FP32
        if low:
            return f"it is computed in {low[0].upper()}", keep, FP32
        return None, f"no precision mends it, it is computed in FP32: {self._blame()}", None

    def _overflow(self) -> str:
        end = f"it ends at {_FP16_LARGEST:.0f}"
        reach = max(map(abs, self._input_range or (0.0,)))
        if reach > _FP16_LARGEST:
            return f"FP16 overflows: {end}, and the input reaches {reach:.3g}"
        if self._operator == _SQUARES and reach**2 > _FP16_LARGEST:
            return f"FP16 overflows: {end}, and squares of the input, which reaches {reach:.3g}, at {reach**2:.3g}"
        return f"FP16 overflows on the way: {end}"

    def _blame(self) -> str:
        """Whether the graph or the runtime is wrong: the runtime's tensor is nearer to Paddle's or to the graph's."""
        runtime, found, truth = self.onnx.runtime.name, self._found, self.truth
        graph = None if found is None else self.alignment.graph.recompute(self.tensor, self.captured)
        if found is None or truth is None or graph is None or graph.shape != found.shape:
            return f"either the graph or {runtime} is wrong"
        if not (np.isfinite(found).all() and np.isfinite(graph).all()):
            agrees = not np.isfinite(found).all() and not np.isfinite(graph).all()
        else:
            agrees = np.abs(found - graph).mean(dtype=np.float64) < np.abs(found - truth).mean(dtype=np.float64) / 2
        if agrees:
            return "the graph itself says so, and Paddle's program does not"
        return f"the graph says otherwise, so {runtime} computes it wrongly"

    @cached_property
    def _operator(self) -> str:
        return self.alignment.name(self.tensor)

    @cached_property
    def _found(self) -> np.ndarray | None:
        """The runtime's tensor in the shape of Paddle's."""
        if self.truth is None or self.tensor not in self.captured:
            return None
        return in_shape(np.load(self.captured[self.tensor]), self.truth.shape)

    @cached_property
    def _low_types(self) -> list[str]:
        """The lower precisions that the graph itself has the operator compute in."""
        names = (name for node in self.alignment.region(self.tensor) for name in (*node.inputs, *node.outputs))
        types = [self.alignment.graph.type_of(name) for name in names]
        return list(dict.fromkeys(_LOW_TYPES[kind] for kind in types if kind in _LOW_TYPES))

    @cached_property
    def _input_range(self) -> tuple[float, float] | None:
        """Lowest and highest finite value of the operator's inputs."""
        files = [self.captured[name] for name in self.alignment.inputs(self.tensor) if name in self.captured]
        arrays = [array[np.isfinite(array)] for array in map(np.load, files)]
        sizes = [(float(array.min()), float(array.max())) for array in arrays if array.size]
        return (min(low for low, _ in sizes), max(high for _, high in sizes)) if sizes else None
