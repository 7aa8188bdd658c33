"""What the README of each way out says of threads."""

from __future__ import annotations

import re
from typing import Any

import pytest

from convert.precision.portability import MAY_DIFFER, PORTABLE
from tests.runtimes.bench import on_paper
from validate.ship import registry
from validate.ship.target import Target


@pytest.mark.parametrize(
    ("precision", "saturation", "said"),
    [("fp32", None, False), ("int8", None, True), ("int8", MAY_DIFFER, True), ("int8", PORTABLE, False)],
)
def test_onnx_runtime_is_told_of_int8_what_was_proven(precision: str, saturation: str | None, said: bool) -> None:
    known: dict[str, Any] = {"saturation": {"result": saturation}} if saturation else {}
    text = registry.get("onnx").readme(on_paper.artifact(precision=precision, **known), {"threads": "0"})
    assert ("session.x64quantprecision" in text) is said
    assert ("MatMulAddFusion" in text) is (precision == "int8")


@pytest.mark.parametrize(("saturation", "said"), [(None, False), (MAY_DIFFER, False), (PORTABLE, True)])
def test_c_plus_plus_says_that_it_adds_exactly_where_that_was_not_measured(saturation: str | None, said: bool) -> None:
    known: dict[str, Any] = {"saturation": {"result": saturation}} if saturation else {}
    text = registry.get("cpp").readme(on_paper.artifact(precision="int8", **known), {"threads": "0"})
    assert ("session.x64quantprecision" in text) is said


@pytest.mark.parametrize("target", registry.found().values(), ids=lambda target: target.name)
def test_no_number_of_threads_is_asked_for_that_nobody_measured(target: Target) -> None:
    settings = {key: setting.default for key, setting in target.settings.items()}
    text = target.readme(on_paper.artifact(), settings)
    assert not re.search(r"threads(=| = |\()\d", text), text
