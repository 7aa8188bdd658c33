"""What goes into an inference model: a fixed batch, another layout, another size."""

from __future__ import annotations

from typing import Any

import pytest

Answers = dict[str, dict[str, Any]]


def test_a_fixed_batch_is_kept_and_said(answers: Answers) -> None:
    assert answers["three"]["batch"] == 3
    assert answers["three"]["notes"] == ["exported with a fixed batch of 3: it works at that batch alone"]
    assert answers["logits"]["batch"] is None


def test_another_layout_is_turned(answers: Answers) -> None:
    (note,) = answers["nhwc"]["notes"]
    assert note.startswith("its input is NHWC, (batch, 16, 16, 3)")


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (
            "any size",
            "the image is any x any; a fixed size is needed: give the pixels of what is open, as in --image-size 224",
        ),
        ("grey", "its input (batch, 1, 16, 16) has 1 channels"),
        ("arithmetic of bytes", "the input is uint8, and the program computes with it as such (add)"),
    ],
)
def test_what_goes_in_is_refused_in_words(answers: Answers, kind: str, words: str) -> None:
    assert words in answers[kind]["error"]
