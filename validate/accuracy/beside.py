"""The tables of a command's records as CSV files in the results folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from convert.common.files import sha256_json
from runtimes.records.store import Record
from validate.accuracy import ranked as ranks
from validate.accuracy import tables
from validate.accuracy.cells import FOLDER, Cell, subject
from validate.accuracy.ranked import Ranked


def write(cells: Sequence[Cell], records: Sequence[Record], folder: Path) -> list[str]:
    """Write each cell's classes and confusion, and for each model where its runtimes disagree.

    Returns lines for the user: which files there are, and what is missing in them.
    """
    lines: list[str] = []
    groups: dict[str, list[tuple[Cell, Record, Ranked]]] = {}
    written = 0
    for cell, record in zip(cells, records, strict=True):
        if not record["outcomes"] or not record["images"]:
            continue
        file = folder / (record.get("ranked") or "")
        found = ranks.load(file, len(cell.dataset.labels), cell.artifact.classes) if record.get("ranked") else None
        if found is None:
            lines.append(f"{cell.title}: no tables, its answers to each image are not in {folder} any more")
            continue
        labels = np.array(cell.dataset.labels)
        tables.write(tables.classes(found, labels), file.with_suffix(".classes.csv"))
        tables.write(tables.confusion(found, labels), file.with_suffix(".confusion.csv"))
        written += 1
        groups.setdefault(sha256_json(subject(record))[:12], []).append((cell, record, found))
    if written:
        lines.append(f"each class, and what the worst are taken for: {folder / FOLDER}/*.classes.csv, *.confusion.csv")
    for key, group in groups.items():
        if len(group) < 2:
            continue
        by_runtime = {f"{record['runtime']} {record['precision']}": found for _, record, found in group}
        frame = tables.disagreements(by_runtime, group[0][0].dataset)
        model = group[0][1]["model"]
        file = folder / FOLDER / f"{model}.{key}.disagreements.csv"
        tables.write(frame, file)
        what = f"{len(frame)} images on which not all runtimes agree" if len(frame) else "all runtimes agree"
        lines.append(f"{model}: {what}: {file}")
    return lines
