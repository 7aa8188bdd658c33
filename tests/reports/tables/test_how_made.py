"""How int8 was made stands beside the verdict on it."""

from __future__ import annotations

from typing import Any

import pytest

from reports.load import results
from reports.tables import accuracy, answer
from reports.tables.table import Entry, Table
from tests.reports import shown

MADE = {
    "calibration": {"images": 128, "sha256": "8f3a9911" + "0" * 56},
    "kept_fp32": [{"operator": "blocks.0.mlp.fc2", "reason": "--keep-fp32"}],
    "command": "python -m convert toy.toml --precision int8 --calibration photos",
}
SAID = (
    "int8 was made so: calibrated on 128 images (sha256 8f3a9911); 1 operators kept in FP32 (blocks.0.mlp.fc2);"
    " the bar is 0.99 of the reference's top-1"
)


def notes(table: Table, column: str, runtime: str) -> list[str]:
    rows = [row for row in shown.entries(table) if row["Runtime"].text == runtime]
    entry: Entry = rows[0][column]
    return [table.footnotes[number - 1] for number in entry.notes]


@pytest.mark.parametrize(("info", "said"), [(MADE, SAID), (None, "int8 was made so: what it was calibrated on is not")])
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
