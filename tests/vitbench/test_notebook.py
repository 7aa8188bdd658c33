"""The cells of docs/notebook.ipynb run, on the toy, and its outputs are not in the repository."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest

from convert.artifact import Artifact

NOTEBOOK = json.loads((Path(__file__).parents[2] / "docs" / "notebook.ipynb").read_text(encoding="utf-8"))
CODE = [cell for cell in NOTEBOOK["cells"] if cell["cell_type"] == "code"]


def test_it_has_no_outputs() -> None:
    assert [cell for cell in CODE if cell["outputs"] or cell["execution_count"]] == []


def drawn(folder: Path) -> Path:
    """Photos of noise, one for each of the toy's seven classes."""
    noise = np.random.default_rng(0).integers(0, 256, (7, 36, 36, 3), dtype=np.uint8)
    for label, picture in enumerate(noise):
        file = folder / f"class{label}" / "photo.png"
        file.parent.mkdir(parents=True)
        assert cv2.imwrite(str(file), picture)
    return folder


def test_its_cells_run(
    toy_artifact: Artifact, toy_toml: Path, toy_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    parameters, *cells = ("".join(cell["source"]) for cell in CODE)
    names: dict[str, Any] = {}
    exec(parameters, names)
    effort = {"processes": 1, "min_seconds": 0, "min_count": 1, "max_seconds": 1, "patience": 0, "repeats": 0}
    photos = drawn(tmp_path / "photos")
    toy = {"MODEL": toy_toml, "ARTIFACTS": toy_root, "RUNTIMES": ["ort-cpu"], "EFFORT": effort, "LABELLED": photos}
    assert toy.keys() < names.keys()
    names |= toy
    for cell in cells:
        exec(cell, names)
    assert names["artifact"] == toy_artifact
    for made, heading in (("proof", "Parity: is it the same model?"), ("run", "Each latency in detail")):
        shown = names[made]._repr_html_()
        assert heading in shown
        assert "<td>seeded</td>" in shown
    scores = names["scores"].table()
    assert set(scores["Images"]) == {7}
    assert set(scores["Runtime"]) == {"paddle fp32", "ort-cpu fp32"}
    assert names["scores"].passed is None  # a toy is right by chance at most
    assert "toy on ort-cpu fp32, batch 1" in set(names["change"].table()["Cell"])
    assert names["change"].passed is None  # one process each tells nothing
    table: pd.DataFrame = names["table"]
    assert (table["Runtime"][0], table["Batch"][0], table["Weights"][0]) == ("ort-cpu fp32", 1, "seeded")
    assert table["Median (ms)"].dtype == float
    assert names["run"].problems == ()
    assert (tmp_path / "report.html").stat().st_size > 100_000
