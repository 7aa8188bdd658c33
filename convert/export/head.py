"""What a Paddle program's output is: class scores, what was made of such, or features (in Paddle's PIR).

Softmax, Sigmoid and the choice of a class are cut off: their steps hide how far logits are apart, so what two runtimes
differ by is judged on what comes before.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from convert.manifest import CLASS_INDEX, FEATURES, LOGITS, MULTI_LABEL

_CHOICE = {"pd_op.argmax": "argmax", "pd_op.topk": "TopK", "pd_op.top_k": "TopK"}
_SOFTMAX = {"pd_op.softmax": "Softmax", "pd_op.log_softmax": "LogSoftmax"}
# What makes class scores of features.
_LINEAR = ("matmul", "linear", "conv2d", "fc", "bmm", "einsum", "addmm", "mv")
_NORM = ("layer_norm", "batch_norm", "group_norm", "instance_norm", "rms_norm", "p_norm", "norm")
# Between the two: they move values, average them, or take two heads together.
_THROUGH = (
    "scale", "assign", "share_data", "cast", "dropout", "flatten", "reshape", "squeeze", "unsqueeze", "slice",
    "strided_slice", "transpose", "mean", "pool2d", "relu", "add", "multiply", "divide", "maximum", "clip",
)  # fmt: skip
# Of these, what has one input that counts.
_THROUGH_ONE = (*_THROUGH[: _THROUGH.index("mean")], "clip")


@dataclass(frozen=True)
class Head:
    """value: the output as the artifact has it. kind: as the manifest has it. notes: what was cut, in words."""

    value: Any
    kind: str
    notes: tuple[str, ...]


def find(value: Any) -> Head:
    """The head of the program that gives this value."""
    value, chosen = _passed(value), None
    name = value.get_defining_op().name()
    if name in _CHOICE:
        chosen = f"the model ends in {_CHOICE[name]}, which was cut: the outputs are what it chose the class from"
        value = _passed(value.get_defining_op().operands_source()[0])
    notes = [chosen] if chosen else []
    while (name := _name(value)) in _SOFTMAX:  # a model with a Softmax of its own gets a second one at its export
        notes.append(f"a trailing {_SOFTMAX[name]} was cut: the outputs are logits")
        value = _passed(value.get_defining_op().operands_source()[0])
    if name == "pd_op.sigmoid":
        multi = "" if notes else ", the head is multi-label"
        notes.append(f"a trailing Sigmoid was cut{multi}: the outputs are the logits before it")
        value = value.get_defining_op().operands_source()[0]
        return Head(value, CLASS_INDEX if chosen else MULTI_LABEL if multi else LOGITS, tuple(notes))
    if hidden := _steps_before(value):
        words, behind = hidden
        notes.append(
            f"the outputs are of a {words} that was not cut, as {behind} stands behind it: parity is judged on what it"
            " gives, which hides how far logits are apart"
        )
        return Head(value, CLASS_INDEX if chosen else MULTI_LABEL if words == "Sigmoid" else LOGITS, tuple(notes))
    if chosen:
        return Head(value, CLASS_INDEX, tuple(notes))
    if notes or not (norm := _norm_before(value)):
        return Head(value, LOGITS, tuple(notes))
    note = f"the model ends in {norm} and not in a linear layer: its outputs are taken for features"
    return Head(value, FEATURES, (f"{note}, which have speed and parity and no accuracy",))


def same_choice(values: list[Any]) -> bool:
    """Whether several outputs are the numbers and the places of one TopK, of which one is enough."""
    makers = [_passed(value).get_defining_op() for value in values]
    return all(maker.name() in _CHOICE for maker in makers) and len({maker.id() for maker in makers}) == 1


def _passed(value: Any) -> Any:
    """What comes before operators that pass their input on: old programs end in one (`save_infer_model/scale_0`)."""
    while True:
        operator = value.get_defining_op()
        name = operator.name()
        kept = name in ("pd_op.assign", "pd_op.share_data_") or (name == "pd_op.scale" and _is_identity(operator))
        if not kept and not (name == "pd_op.cast" and _name(operator.operands_source()[0]) in _CHOICE):
            return value
        value = operator.operands_source()[0]


def _name(value: Any) -> str:
    return str(value.get_defining_op().name())


def _is_identity(scale: Any) -> bool:
    factor = scale.operands_source()[1].get_defining_op()
    return bool(factor.name() == "pd_op.full" and factor.attrs()["value"] == 1 and scale.attrs()["bias"] == 0)


def _steps_before(value: Any) -> tuple[str, str] | None:
    """The Softmax or Sigmoid that the output comes from, and the first step behind it; None where there is none."""
    behind = ""
    while (name := _name(value).removeprefix("pd_op.").rstrip("_")) in _THROUGH_ONE:
        behind, value = name, value.get_defining_op().operands_source()[0]
    steps = {**_SOFTMAX, "pd_op.sigmoid": "Sigmoid"}.get(_name(value))
    return (steps, behind) if steps and behind else None


def _norm_before(value: Any) -> str | None:
    """The normalisation that the output comes from with no linear layer behind it; None where there is none."""
    waiting, seen = [value], set()
    while waiting:
        operator = waiting.pop().get_defining_op()
        name = str(operator.name()).removeprefix("pd_op.").rstrip("_")
        if operator.id() in seen or name in _LINEAR:
            continue
        seen.add(operator.id())
        if name in _NORM:
            return name
        if name in _THROUGH:
            waiting += operator.operands_source()
    return None
