from __future__ import annotations

import pytest

from convert.common import names


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("best model, final", "best_model_final"),
        ("花卉分类_v2", "花卉分类_v2"),
        ("Ünïcode/модель", "Ünïcode_модель"),
        ("e\u0301tage", "\u00e9tage"),
        ("हिन्दी", "हिन्दी"),
        ("../..", ""),
        ("\u200b \n", ""),
        ("花" * 300, "花" * 50),
    ],
)
def test_a_name_is_made_of_a_text(text: str, name: str) -> None:
    assert names.fitted(text) == name
    assert not name or names.fault(name) is None


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("", "empty"),
        ("  ", "empty"),
        ("a/b", "'/'"),
        ("a\\b", "can have"),
        ("a\tb", "can have"),
        ("a\u202eb", "can have"),
        ("a|b", "can have"),
        (".hidden", "begins with '.'"),
        ("..", "begins with '.'"),
        ("a ", "a blank"),
        ("ends.", "end with"),
        ("花" * 51, "longer than"),
    ],
)
def test_what_cannot_be_a_name(name: str, words: str) -> None:
    assert words in (names.fault(name) or "")


@pytest.mark.parametrize("name", ["ViT_base", "模型 二", "model+ema (2)", "a.b-c"])
def test_what_can(name: str) -> None:
    assert names.fault(name) is None
