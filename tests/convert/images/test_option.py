"""`--preprocessing`: names, tables and values, and what they make of a preprocessing."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convert.common.errors import InputError
from convert.families.spec import Preprocessing
from convert.images.option import changed

BASE = Preprocessing(256, 224)


def test_names_and_values() -> None:
    imagenet = changed(BASE, "imagenet")
    assert (imagenet.mean, imagenet.std) == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    assert changed(imagenet, "inception") == BASE
    assert changed(BASE, "resize_short=248; interpolation=bicubic") == Preprocessing(248, 224, "bicubic")
    assert changed(BASE, "imagenet;std=1,1,1").std == (1, 1, 1)
    assert changed(BASE, "mean = 0.1, 0.2, 0.3").mean == (0.1, 0.2, 0.3)
    boxed = changed(BASE, "backend=pil;interpolation=box;keep_ratio=false")
    assert (boxed.backend, boxed.interpolation, boxed.keep_ratio) == ("pil", "box", False)


def test_a_table(tmp_path: Path) -> None:
    file = tmp_path / "own table.toml"
    file.write_text("[preprocessing]\nresize_short = 240\nmean = [0.1, 0.2, 0.3]\n")
    assert changed(BASE, str(file)) == Preprocessing(240, 224, mean=(0.1, 0.2, 0.3))
    file.write_text("mean = [25.5, 51, 76.5]\nstd = [51, 51, 51]\n")
    assert changed(BASE, f"imagenet;{file}").agrees(Preprocessing(256, 224, mean=(0.1, 0.2, 0.3), std=(0.2,) * 3))
    for text, message in {
        "means = [1, 2, 3]": "unknown field means",
        "mean = 1": "three numbers",
        "preprocessing = 3": "a table with",
        "mean =": "cannot be read as TOML",
    }.items():
        file.write_text(text)
        with pytest.raises(InputError, match=message) as caught:
            changed(BASE, str(file))
        assert str(file) in caught.value.message
    with pytest.raises(InputError, match="there is no such file"):
        changed(BASE, str(tmp_path / "none.toml"))


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("imagnet", "imagenet, inception, a TABLE.toml or KEY=VALUE"),
        ("", "is needed"),
        ("mean=0.5", "three numbers"),
        ("mean=a,b,c", "three numbers"),
        ("std=0,1,1", "above zero"),
        ("mean=nan,0,0", "three numbers"),
        ("crop=8.5", "whole number"),
        ("crop=300", "does not fit"),
        ("resize_short=-1", "whole number"),
        ("interpolation=best", "none of"),
        ("interpolation=box", "none of nearest.*backend cv2"),
        ("backend=skimage", "none of cv2, pil"),
        ("keep_ratio=1", "true or false"),
        ("crops=224", "is needed"),
        ("scale=0", "above zero"),
        ("mean=127.5,127.5,127.5", "neither pixels from 0 to 1"),
        ("imagenet;std=58,57,57", "no model is trained"),
    ],
)
def test_bad_arguments(argument: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        changed(BASE, argument)
    assert caught.value.message.startswith("--preprocessing")
    assert "\n" not in caught.value.message


@given(st.text())
def test_any_text_gives_a_preprocessing_or_a_clear_line(text: str) -> None:
    with contextlib.suppress(InputError):
        assert isinstance(changed(BASE, text), Preprocessing)
