"""Apply the rules to a graph whose weights are only declared, and say how often each did."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import onnx
import onnx_ir as ir
import onnx_ir.passes.common as passes
from onnxscript.rewriter.pattern import RewriteRule, RewriteRuleSet

from convert.common.errors import GraphError
from convert.export.rewrite.last_block import last_block
from convert.export.rewrite.rules import class_token, heads, last_axis
from convert.families.spec import ModelSpec

HEADS, LAST_AXIS, CLASS_TOKEN = "q, k and v by one Split", "LayerNormalization over axis -1", "the class token's shape"
LAST_BLOCK = "the last block for the class token alone"


def rewrite(model: onnx.ModelProto) -> tuple[onnx.ModelProto, dict[str, int]]:
    """The same model in operators that runtimes compute faster, and how often each rule was applied.

    model: as `graph.tidy` leaves it; where no pattern is found it stays as it is. Types and shapes of inputs and
    outputs, and the weights that are declared as inputs, are untouched.
    """
    changed, counts = ir.from_proto(model), {}
    for name, rules in _rules().items():
        passes.ShapeInferencePass()(changed)
        counts[name] = RewriteRuleSet(rules).apply_to_model(changed)
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


def check_counts(counts: Mapping[str, int], spec: ModelSpec) -> None:
    """GraphError when a rule was not applied as often as the spec's architecture asks for."""
    expected = {HEADS: spec.depth, LAST_AXIS: 2 * spec.depth + 1, CLASS_TOKEN: 1, LAST_BLOCK: 1}
    for name, wanted in expected.items():
        if counts[name] != wanted:
            raise GraphError(f"{spec.name}: {name}: expected {wanted} rewrites, made {counts[name]}")


def _rules() -> dict[str, Sequence[RewriteRule]]:
    """In the order in which they are applied.

    GELU stays written out with erf: ONNX Runtime, OpenVINO and MNN make one operator of that themselves, and MNN 3.6
    takes the Gelu operator of opset 20 for the tanh formula, which is another model (its logits are off by 3e-2 on a
    trained tiny ViT).
    """
    return {
        HEADS: heads(),
        LAST_AXIS: last_axis(),
        CLASS_TOKEN: class_token(),
        LAST_BLOCK: last_block(),
    }
