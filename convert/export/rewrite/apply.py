"""Apply the rules to a graph whose weights are only declared, and say how often each did."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import onnx
import onnx_ir as ir
import onnx_ir.passes.common as passes
from onnxscript.rewriter.pattern import RewriteRule

from convert.common.errors import GraphError
from convert.export.rewrite import optimize
from convert.export.rewrite.last_block import last_block
from convert.export.rewrite.rules import class_token, heads, last_axis
from convert.families.base import ModelSpec, Rewrite


def rewrite(model: onnx.ModelProto) -> tuple[onnx.ModelProto, dict[Rewrite, int]]:
    """The same model in operators that runtimes compute faster, and how often each rule was applied.

    model: as `graph.tidy` leaves it; where no pattern is found it stays as it is. Types and shapes of inputs and
    outputs, and the weights that are declared as inputs, are untouched.
    """
    changed, counts = ir.from_proto(model), dict[Rewrite, int]()
    known = False
    for kind, rules in _rules().items():
        if not known:
            passes.ShapeInferencePass()(changed)
        counts[kind] = optimize.apply(rules, changed)
        # An operator that stands in for one alone has the shape of that one's output.
        known = not counts[kind] or kind is Rewrite.LAST_AXIS
    tidied = ir.passes.Sequential(
        passes.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0),
        passes.DeduplicateInitializersPass(),
        passes.RemoveUnusedNodesPass(),
        passes.ClearMetadataAndDocStringPass(),
    )(changed).model
    rewritten = ir.to_proto(tidied)
    del rewritten.graph.value_info[:]  # of tensors that have another shape now
    onnx.checker.check_model(rewritten, full_check=True)
    return rewritten, counts


def check_counts(counts: Mapping[Rewrite, int], spec: ModelSpec) -> None:
    """GraphError when a rule was not applied as often as the spec's architecture asks for."""
    expected = spec.graph_facts().rewrites
    for kind, made in counts.items():
        if made != expected.get(kind, 0):
            raise GraphError(f"{spec.name}: {kind.value}: expected {expected.get(kind, 0)} rewrites, made {made}")


def _rules() -> dict[Rewrite, Sequence[RewriteRule]]:
    """In the order in which they are applied.

    GELU stays written out with erf: ONNX Runtime, OpenVINO and MNN make one operator of that themselves, and MNN 3.6
    takes the Gelu operator of opset 20 for the tanh formula, which is another model (its logits are off by 3e-2 on a
    trained tiny ViT).
    """
    return {
        Rewrite.HEADS: heads(),
        Rewrite.LAST_AXIS: last_axis(),
        Rewrite.CLASS_TOKEN: class_token(),
        Rewrite.LAST_BLOCK: last_block(),
    }
