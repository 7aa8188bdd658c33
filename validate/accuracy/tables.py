"""CSV files that go with the results: each class, what the worst classes are taken for, where the runtimes disagree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from convert.common.console import cell
from convert.common.disk.files import new_file, sha256_json
from convert.datasets import LabelledSet
from runtimes.records.kinds import Accuracy
from validate.accuracy import top5_file
from validate.accuracy.evaluation import FOLDER, Evaluation, subject
from validate.accuracy.top5_file import Ranked

WORST = 20  # classes whose confusion is written


def write_all(evaluations: Sequence[Evaluation], records: Sequence[Accuracy], folder: Path) -> list[str]:
    """Write each evaluation's classes and confusion, and for each model where its runtimes disagree.

    folder: of the results. Returns lines for the user: which files there are, and what is missing in them.
    """
    lines: list[str] = []
    groups: dict[str, list[tuple[Evaluation, Accuracy, Ranked]]] = {}
    for evaluation, record in zip(evaluations, records, strict=True):
        if not record.outcomes or not record.images:
            continue
        dataset = evaluation.dataset
        file = folder / (record.ranked or "")
        ranked = top5_file.load(file, len(dataset.labels), evaluation.artifact.classes) if record.ranked else None
        if ranked is None:
            lines.append(f"{evaluation.title}: no tables, its answers to each image are not in {folder} any more")
            continue
        labels = np.array(dataset.labels)
        write(classes(ranked, labels), file.with_suffix(".classes.csv"))
        write(confusion(ranked, labels), file.with_suffix(".confusion.csv"))
        groups.setdefault(disagreements_file(record), []).append((evaluation, record, ranked))
    if groups:
        lines.append(f"each class, and what the worst are taken for: {folder / FOLDER}/*.classes.csv, *.confusion.csv")
    for group in groups.values():
        if len(group) < 2:
            continue
        by_runtime = {f"{record.runtime} {record.precision}": ranked for _, record, ranked in group}
        evaluation, record, _ = group[0]
        frame = disagreements(by_runtime, evaluation.dataset)
        file = folder / disagreements_file(record)
        write(frame, file)
        what = (
            f"{len(frame)} image{'s' * (len(frame) != 1)} on which not all runtimes agree"
            if len(frame)
            else "all runtimes agree"
        )
        lines.append(f"{record.model}: {what}: {file}")
    return lines


def disagreements_file(record: Accuracy) -> str:
    """The file, relative to the results, in which the runtimes' disagreements on a record's model and images are."""
    return f"{FOLDER}/{record.model}.{sha256_json(subject(record))[:12]}.disagreements.csv"


def classes(ranked: Ranked, labels: np.ndarray) -> pd.DataFrame:
    """A row for each class that has images: images, top1 and top5 (fractions), and what it is mostly taken for.

    labels: (images,). Images that could not be read are left out; logits that are not finite count as wrong. mistaken:
    the class that is most often first in place of the right one, the lower of two; empty where there is none.
    """
    known = ranked.known
    top, own = ranked.top[known], labels[known]
    frame = pd.DataFrame({"class": own, "first": top[:, 0]})
    frame["top1"] = frame["first"] == own
    frame["top5"] = (top == own[:, None]).any(axis=1)
    table = frame.groupby("class").agg(images=("top1", "size"), top1=("top1", "mean"), top5=("top5", "mean"))
    wrong = frame[~frame["top1"] & (frame["first"] >= 0)].groupby(["class", "first"]).size()
    mistaken = wrong.groupby(level="class").idxmax().map(lambda pair: pair[1]) if len(wrong) else pd.Series(dtype=int)
    table["mistaken"] = mistaken.reindex(table.index).astype("Int64")
    return table.reset_index()


def confusion(ranked: Ranked, labels: np.ndarray, worst: int = WORST) -> pd.DataFrame:
    """The classes with the lowest top-1, the lowest first, and how often each class came first for them.

    Among equals the one with more images is worse. Rows: class, images, top1, predicted, count, and share of the
    class's images. Classes that are always right are not there.
    """
    table = classes(ranked, labels)
    table = table[table["top1"] < 1].sort_values(["top1", "images", "class"], ascending=[True, False, True])[:worst]
    known = ranked.known
    pairs = pd.DataFrame({"class": labels[known], "predicted": ranked.top[known, 0]})
    pairs = pairs[pairs["predicted"] >= 0]
    counts = pairs.groupby(["class", "predicted"]).size().rename("count").reset_index()
    found = table[["class", "images", "top1"]].reset_index(drop=True)
    found["place"] = found.index
    rows = found.merge(counts, on="class").sort_values(["place", "count", "predicted"], ascending=[True, False, True])
    rows["share"] = rows["count"] / rows["images"]
    return rows.drop(columns="place").reset_index(drop=True)


def disagreements(by_runtime: Mapping[str, Ranked], dataset: LabelledSet) -> pd.DataFrame:
    """The images to which not all runtimes gave the same first class: image, label, and a column of each.

    An image that one of them has no answer to is left out; NaN or infinite logits are an answer, and stay empty.
    """
    known = np.logical_and.reduce([ranked.known for ranked in by_runtime.values()])
    first = np.stack([ranked.top[:, 0] for ranked in by_runtime.values()], axis=1)
    differing = np.flatnonzero(known & (first != first[:, :1]).any(axis=1))
    frame = pd.DataFrame(
        {"image": [dataset.names[i] for i in differing], "label": [dataset.labels[i] for i in differing]}
    )
    for column, name in enumerate(by_runtime):
        values = pd.Series(first[differing, column], dtype="Int64")
        frame[name] = values.mask(values < 0)
    return frame


def write(frame: pd.DataFrame, file: Path) -> None:
    """A table as CSV, whole or not at all."""
    with new_file(file) as work:
        texts = {str(name): frame[name].map(cell) for name in frame.select_dtypes(include=["object", "string"])}
        frame.assign(**texts).to_csv(work, index=False, float_format="%.6g")
