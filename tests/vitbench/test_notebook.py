"""The cells of docs/notebook.ipynb run, on the toy, and its outputs are not in the repository."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from convert.artifact import Artifact

NOTEBOOK = json.loads((Path(__file__).parents[2] / "docs" / "notebook.ipynb").read_text(encoding="utf-8"))
CODE = [cell for cell in NOTEBOOK["cells"] if cell["cell_type"] == "code"]


def test_it_has_no_outputs() -> None:
    assert [cell for cell in CODE if cell["outputs"] or cell["execution_count"]] == []


def test_its_cells_run(
    toy_artifact: Artifact, toy_toml: Path, toy_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    parameters, *cells = ("".join(cell["source"]) for cell in CODE)
    names: dict[str, Any] = {}
    exec(parameters, names)
    effort = {"processes": 1, "min_seconds": 0, "min_count": 1, "max_seconds": 1, "patience": 0, "repeats": 0}
    toy = {"MODEL": toy_toml, "ARTIFACTS": toy_root, "RUNTIMES": ["ort-cpu"], "EFFORT": effort}
    assert toy.keys() < names.keys()
    names |= toy
    for cell in cells:
        exec(cell, names)
    assert names["artifact"] == toy_artifact
    for made, heading in (("proof", "Parity: is it the same model?"), ("run", "Each latency in detail")):
        shown = names[made]._repr_html_()
        assert heading in shown
        assert "<td>seeded</td>" in shown
    table: pd.DataFrame = names["table"]
    assert (table["Runtime"][0], table["Batch"][0], table["Weights"][0]) == ("ort-cpu fp32", 1, "seeded")
    assert table["Median (ms)"].dtype == float
    assert names["run"].problems == ()
    assert (tmp_path / "report.html").stat().st_size > 100_000
