"""onnxscript's optimizer, and its rules, tried only where they can apply.

Its matcher tries every rule at every operator, and for the one pattern that ends in two operators it lists the whole
graph each time: minutes on a graph of 24,000 operators (CSWin). What comes out is the same.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

import onnx
import onnx_ir as ir
import onnx_ir.passes.common as passes
from onnxscript import rewriter
from onnxscript.optimizer import fold_constants_ir
from onnxscript.rewriter.pattern import RewriteRule, RewriteRuleSet

_ITERATIONS = 2  # as onnxscript.optimizer.optimize


def optimized(model: onnx.ModelProto) -> onnx.ModelProto:
    """The graph as `onnxscript.optimizer.optimize` makes it."""
    changed = ir.from_proto(model)
    passes.InlinePass()(changed)  # so there are no functions any more
    tidy = (passes.RemoveUnusedNodesPass(), passes.RemoveUnusedOpsetsPass())
    for _ in range(_ITERATIONS):
        modified = [
            bool(fold_constants_ir(changed, onnx_shape_inference=True).modified),
            bool(apply(rewriter._DEFAULT_REWRITE_RULES, changed)),
            *(one(changed).modified for one in tidy),
        ]
        if not any(modified):
            break
    ir.passes.Sequential(
        passes.RemoveUnusedNodesPass(),
        passes.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0),
        passes.LiftSubgraphInitializersToMainGraphPass(),
        passes.DeduplicateInitializersPass(),
        passes.CommonSubexpressionEliminationPass(),
        passes.OutputFixPass(),
        passes.NameFixPass(),
    )(changed)
    return ir.to_proto(changed)


def apply(rules: Iterable[RewriteRule], model: ir.Model) -> int:
    """Apply rules to a model, and say how often one of them did."""
    return RewriteRuleSet([_at_its_end(rule) for rule in rules]).apply_to_model(model)


def _at_its_end(rule: RewriteRule) -> RewriteRule:
    """The same rule, tried only at the operator that its pattern ends in: where it ends in several of one value, at
    those whose value has another reader."""
    first, *others = rule._target_pattern.output_nodes
    ends = first.op_identifier()
    if ends is None:  # any operator
        return rule
    kind = ends[1]  # looked at first: it takes no time, and there are tens of rules for each operator
    of_one_value = bool(others) and all(other.inputs[0] is first.inputs[0] for other in others)
    quick, tried = copy.copy(rule), rule.try_rewrite

    def try_rewrite(model: ir.Model, graph: Any, node: ir.Node, **options: Any) -> Any:
        if node.op_type != kind or node.op_identifier() != ends or (of_one_value and not _has_siblings(node)):
            return None
        return tried(model, graph, node, **options)

    vars(quick)["try_rewrite"] = try_rewrite
    return quick


def _has_siblings(node: ir.Node) -> bool:
    value = node.inputs[0]
    return value is not None and any(user is not node and user.op_type == node.op_type for user, _ in value.uses())
