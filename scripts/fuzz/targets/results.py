"""Results folders, and files that others exported, through reports, compare and export."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from convert.common.disk import json_lines
from reports.__main__ import main as report
from reports.compare.__main__ import main as compare
from reports.export.__main__ import main as export
from runtimes.records import reading, store
from scripts.fuzz.target import Target, run
from scripts.fuzz.targets.artifacts import has_checks

_EXAMPLE = Path(__file__).parents[3] / "tests" / "reports" / "data"
_RECORDS = 12  # of the example's; all of them would take a second each time


def _make(folder: Path) -> None:
    (source,) = list(_EXAMPLE.rglob(store.RESULTS))[:1]
    for name in ("folder", "exported"):
        (folder / name / "run").mkdir(parents=True)
        for line in _of_each_kind(source):
            store.append(folder / name / "run", reading.from_table(line))
        shutil.copy(source.parent / store.ENVIRONMENT, folder / name / "run")
    run(export, folder / "exported" / "run", "--out", folder / "exported" / "run.json.gz")
    shutil.rmtree(folder / "exported" / "run")


def _of_each_kind(file: Path) -> list[dict[str, Any]]:
    """A few records of each kind."""
    found: dict[str, list[dict[str, Any]]] = {}
    for line in file.read_text(encoding="utf-8").splitlines():
        table = json_lines.parse(line)
        assert table
        found.setdefault(table["kind"], []).append(table)
    return [table for tables in found.values() for table in tables[: _RECORDS // len(found)]]


def _look(folder: Path) -> Any:
    import gzip

    place = folder / "run"
    if folder.name == "exported":
        place = folder / "run.json.gz"
        if not place.read_bytes().startswith(b"\x1f\x8b"):
            place.write_bytes(gzip.compress(place.read_bytes()))
    out = folder / "out"
    run(report, place, "--out", out, "--format", "md,html,csv,json,latex")
    run(report, place, "--out", out, "--format", "md,html", "--lang", "zh")
    run(export, place, "--out", folder / "again.json.gz")
    run(compare, place, folder / "again.json.gz", "--markdown", folder / "compared.md")
    return [json.dumps(reading.to_table(one)) for one in store.read(place)] if place.is_dir() else None


def _is_record(folder: Path) -> bool:
    return folder.name == "folder" and has_checks(folder / "run")


def _of_them(found: list[str], before: list[str]) -> bool:
    """A line that is gone, or there twice, tells nothing of it."""
    return set(found) <= set(before)


TARGETS = [Target("results", _make, _look, told=_is_record, same=_of_them)]
