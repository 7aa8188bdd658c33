"""How int8 was made stands beside the verdict on it."""

from __future__ import annotations

from typing import Any

import pytest

from convert.precision.portability import Saturation
from reports.load import results
from reports.tables import accuracy, answer, parity, standing
from reports.tables.table import Entry, Table
from runtimes.records.kinds import Latency
from tests.reports import shown

MADE = {
    "calibration": {"images": 128, "sha256": "8f3a9911" + "0" * 56},
    "kept_fp32": [{"operator": "blocks.0.mlp.fc2", "reason": "--keep-fp32"}],
    "command": "python -m convert toy.toml --precision int8 --calibration photos",
}
SAID = (
    "int8 was made so: calibrated on 128 images (sha256 8f3a9911); 1 operator kept in FP32 (blocks.0.mlp.fc2);"
    " the bar is 0.99 of the reference's top-1"
)


def notes(table: Table, column: str, runtime: str) -> list[str]:
    rows = [row for row in shown.entries(table) if row["Runtime"].text == runtime]
    entry: Entry = rows[0][column]
    return [table.footnotes[number - 1] for number in entry.notes]


@pytest.mark.parametrize(
    ("info", "said"),
    [
        (MADE, SAID),
        ({**MADE, "recipe": {"smooth": 0}}, SAID.replace("; the bar", "; not smoothed; the bar")),
        ({**MADE, "recipe": {"smooth": 0.75}}, SAID.replace("; the bar", "; smoothed at 0.75; the bar")),
        (None, "int8 was made so: what it was calibrated on is not"),
    ],
)
def test_beside_each_verdict(make: Any, folder: Any, info: dict[str, Any] | None, said: str) -> None:
    int8: dict[str, Any] = {"precision": "int8", "model_info": info, "artifact": "b" * 64}
    records = [make.latency(50.0, **int8), make.parity(**int8), make.accuracy(keep=0.99, **int8)]
    found = results.load(folder(make.latency(), make.parity(), *records))
    name = "ort-cpu int8"
    for table, column in (
        (accuracy.accuracy(found), "Verdict"),
        (accuracy.precision(found), "Accuracy"),
        (answer.answer(found), "Accuracy"),
    ):
        assert any(note.startswith(said) for note in notes(table, column, name)), table.name
        assert (MADE["command"] in table.commands) == (info is not None), "what makes the model comes with the rest"
    assert notes(accuracy.precision(found), "Accuracy", "ort-cpu fp32") == []


DIFFERS = {"result": "may differ", "columns": 40, "any_input": {"head": 30}, "calibrated": {"head": 7}, "up_to": 0.04}
SENTENCE = (
    "on AVX2 and AVX512 without VNNI int8 may differ: two products may exceed 16 bits in 7 of 40 output channels in 1"
    " operator, where up to 4 % of an operator's largest output changed"
)
CUT_OFF = "two products of int8 were added in 16 bits here, without VNNI: "


@pytest.mark.parametrize(
    ("sums", "saturation", "said"),
    [
        ("cut off at 16 bits", DIFFERS, CUT_OFF + SENTENCE),
        ("cut off at 16 bits", {**DIFFERS, "result": "portable within calibrated ranges"}, "in 30 of 40 output"),
        ("cut off at 16 bits", None, CUT_OFF + "whether that changes the model was not looked at"),
        ("cut off at 16 bits", {"result": "portable", "columns": 40}, None),
        ("exact", DIFFERS, None),
        (None, DIFFERS, None),
    ],
)
def test_a_processor_that_may_have_computed_another_model_is_named(
    make: Any, folder: Any, sums: str | None, saturation: dict[str, Any] | None, said: str | None
) -> None:
    effective = {"precision": "int8", "device": "CPU", "details": {"int8_sums": sums}}
    info = {**MADE, "saturation": saturation}
    int8: dict[str, Any] = {"precision": "int8", "model_info": info, "artifact": "b" * 64, "effective": effective}
    found = results.load(folder(make.latency(50.0, **int8), make.parity(**int8), make.accuracy(**int8)))
    name = "ort-cpu int8"
    seen = [
        notes(accuracy.accuracy(found), "Verdict", name),
        notes(parity.parity(found), "Verdict", name),
        standing.why(found, next(iter(found.of(Latency)))),
    ]
    for one in seen:
        assert any(said in note for note in one) if said else not any(CUT_OFF in note for note in one)
    if saturation:
        assert any(Saturation(**saturation).sentence in note for note in seen[0])


def test_an_instruction_set_that_was_not_read_back_is_said(make: Any, folder: Any) -> None:
    doubt = "avx2 was asked for, and the names of its kernels say avx512"
    effective = {"precision": "fp32", "device": "CPU", "details": {"isa_not_read_back": doubt}}
    found = results.load(folder(make.latency(50.0, effective=effective), make.parity()))
    assert f"not read back: {doubt}" in standing.why(found, next(iter(found.of(Latency))))
