"""What to ship, in a report."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from reports.choice import choice
from reports.load.results import load
from tests.reports import runs
from tests.reports.shown import texts


def test_what_the_folder_does_not_set_is_shown(folder: Callable[..., Path]) -> None:
    unset = {"p50<1s": ["isa=avx2", "batch=4"], "p50<2s": list[str]()}
    records = [runs.common("choice", budget=[limit], unset=names) for limit, names in unset.items()]
    shown = [row["Not set in the folder"] for row in texts(choice(load(folder(*records))))]
    assert sorted(shown) == ["-", "isa=avx2, batch=4"]
