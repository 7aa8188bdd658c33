"""What comes out of an inference model is recognised by how the program ends."""

from __future__ import annotations

from typing import Any

import pytest

from convert.manifest import CLASS_INDEX, FEATURES, LOGITS, MULTI_LABEL

Answers = dict[str, dict[str, Any]]


@pytest.mark.parametrize(
    ("kind", "head", "said"),
    [
        ("logits", LOGITS, []),
        ("scaled softmax", LOGITS, ["Softmax was cut"]),
        ("two softmaxes", LOGITS, ["Softmax was cut", "Softmax was cut"]),
        ("softmax of sigmoid", LOGITS, ["Softmax was cut", "a trailing Sigmoid was cut: "]),
        ("clipped sigmoid", MULTI_LABEL, ["are of a Sigmoid that was not cut, as clip stands behind it"]),
        ("flat softmax", LOGITS, ["are of a Softmax that was not cut, as flatten stands behind it"]),
        ("sigmoid", MULTI_LABEL, ["Sigmoid was cut, the head is multi-label"]),
        ("argmax", CLASS_INDEX, ["ends in argmax, which was cut", "Softmax was cut"]),
        ("topk", CLASS_INDEX, ["ends in TopK, which was cut"]),
        ("normalised", FEATURES, ["ends in p_norm"]),
        ("token", FEATURES, ["ends in layer_norm"]),
        ("masked", LOGITS, []),
    ],
)
def test_a_head_is_recognised_and_what_was_cut_is_said(answers: Answers, kind: str, head: str, said: list[str]) -> None:
    found = answers[kind]
    assert found.get("head") == head, found
    assert len(found["notes"]) == len(said)
    assert all(words in note for words, note in zip(said, found["notes"], strict=True))


def test_what_comes_out_is_refused_in_words(answers: Answers) -> None:
    assert answers["two"]["error"].startswith("two: 1 inputs and 2 outputs")
    assert "its output has 3 dimensions instead of two" in answers["tokens"]["error"]
