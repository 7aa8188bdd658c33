"""One cell of the accuracy table, a model on a runtime in a precision: what it is, and its record before it has run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from convert.artifact import Artifact
from convert.common.errors import InputError
from convert.common.files import sha256_json
from runtimes.base import Options, Runtime
from runtimes.options import Selection
from runtimes.records import blank as records
from runtimes.records.store import Record
from validate.accuracy import preprocessing as preprocessings
from validate.accuracy.preprocessing import Chosen
from validate.datasets import LabelledSet, load

REFERENCE = "paddle"  # the runtime that the others are held against
REFERENCE_PRECISION = "fp32"

# MLPerf's bar for a lowered precision: 99 % of the reference's top-1.
KEEP = "0.99"

FOLDER = "accuracy"  # in the results folder: what a record of an accuracy has beside it


@dataclass(frozen=True)
class Settings:
    """What holds for all cells of a command, as the user gave it.

    source: the options that say which images, by name, as they stand on the command line. keep: the part of the
    reference's top-1 that must be reached. preprocessing: the `--preprocessing` arguments.
    """

    selection: Selection
    source: Mapping[str, Any]
    weights: str | None = None
    batch: int = 8
    max_unreadable: int = 0
    keep: str = KEEP
    preprocessing: tuple[str, ...] = ()

    @property
    def bar(self) -> Fraction:
        """`keep`, exact. InputError when it is no number above 0 and up to 1."""
        try:
            bar = Fraction(self.keep.strip())
        except (ValueError, ZeroDivisionError):
            bar = Fraction(0)
        if not 0 < bar <= 1:
            raise InputError(f"--keep {self.keep!r}: a part of the reference's accuracy is needed, as in --keep 0.99")
        return bar

    def dataset(self, classes: int | None) -> LabelledSet:
        """The images, their labels checked against a number of classes where it is known. InputError as `load`."""
        rest = {name: self.source[name] for name in ("ground_truth", "synsets", "root")}
        return load(self.source["images"], classes, self.source["limit"], **rest)


@dataclass(frozen=True)
class Cell:
    """What is measured. argument: how the user names the model; dataset: its labels checked against the model."""

    artifact: Artifact
    argument: str
    runtime: Runtime
    precision: str
    dataset: LabelledSet
    preprocessing: Chosen
    options: Options = field(default_factory=Options)

    @property
    def title(self) -> str:
        return f"{self.artifact.model} {self.precision} on {self.runtime.name}"

    @property
    def batch(self) -> int:
        """Images in one inference: those asked for, or the whole set where it is smaller."""
        return self.options.batches[0]

    def key(self, settings: Settings) -> dict[str, Any]:
        """Everything that an image's answer may depend on."""
        return {
            "artifact": self.artifact.sha256,
            "runtime": self.runtime.name,
            "runtime_version": self.runtime.version(),
            "precision": self.precision,
            "device": self.options.device,
            "threads": self.options.thread_count(),
            "streams": self.options.streams,
            "settings": dict(self.options.extra),
            "batch": self.batch,
            "images": images_key(self.dataset),
            "root": _text(settings.source.get("root")),
            "preprocessing": preprocessings.as_dict(self.preprocessing.used),
        }


def images_key(dataset: LabelledSet) -> str:
    """Equal where the same number means the same image, so that the first thousand of a set are those of all of it."""
    spread = f" {dataset.selection} {len(dataset.labels)}" if dataset.selection not in ("", "first") else ""
    return f"{dataset.name} {dataset.sha256}{spread}"


def make(
    artifact: Artifact, argument: str, runtime: Runtime, precision: str, dataset: LabelledSet, settings: Settings
) -> Cell:
    """The cell of these. InputError when the preprocessing is not the model's, see `preprocessing.choose`."""
    chosen = preprocessings.choose(artifact, settings.preprocessing)
    batch = min(settings.batch, len(dataset.labels))
    options = settings.selection.options(runtime, precision, [batch])
    return Cell(artifact, argument, runtime, precision, dataset, chosen, options)


def blank(cell: Cell, settings: Settings) -> Record:
    """The record of a cell before anything is known of it."""
    return records.blank("accuracy", cell.artifact, cell.runtime, cell.precision, cell.options) | {
        "command": command(cell, [cell.runtime], [cell.precision], settings),
        "dataset": cell.dataset.description,
        "dataset_sha256": cell.dataset.sha256,
        "selection_sha256": sha256_json([cell.dataset.names, cell.dataset.labels, _text(settings.source.get("root"))]),
        "limit": settings.source.get("limit"),
        "subset": not cell.dataset.complete,
        "images": 0,
        "unreadable": 0,
        "unreadable_images": [],
        "nonfinite": 0,
        "top1": None,
        "top5": None,
        "top1_ci95": None,
        "top5_ci95": None,
        "reference_top1": None,
        "mcnemar_p": None,
        "keep": float(settings.bar),
        "published_top1": None,
        "published_difference": None,
        "passed": None,
        "batch": settings.batch,
        "threads": cell.options.thread_count(),
        "preprocessing": preprocessings.as_dict(cell.preprocessing.used),
        "preprocessing_is_models": cell.preprocessing.is_models,
        "outcomes": None,
        "ranked": None,
    }


def stored(cell: Cell, settings: Settings, earlier: Iterable[Record]) -> Record | None:
    """The newest good record that already answers the cell: same artifact, images, weights and preprocessing."""
    wanted = blank(cell, settings)
    keys = ("kind", "status", "runtime", "runtime_version", "precision", "device", "streams", "settings", "artifact")
    matching = [
        record
        for record in earlier
        if all(record.get(key) == wanted[key] for key in keys)
        and record.get("outcomes")
        and subject(record) == subject(wanted)
    ]
    return matching[-1] if matching else None


def subject(record: Record) -> list[Any]:
    """Equal where two records have the same images, weights and preprocessing, so that they can be compared."""
    keys = ("model", "dataset", "dataset_sha256", "selection_sha256", "preprocessing")
    weights = (record.get("model_info") or {}).get("weights") or {}
    return [weights.get("sha256"), *(record.get(key) for key in keys)]


def command(
    cell: Cell, runtimes: list[Runtime], precisions: list[str], settings: Settings, batch: int | None = None
) -> str:
    """The command line that gives a record again."""
    return records.command(
        "validate.accuracy",
        cell.argument,
        cell.artifact,
        settings.weights,
        **settings.source,
        **settings.selection.arguments(runtimes),
        precision=",".join(precisions),
        batch=batch or settings.batch,
        max_unreadable=settings.max_unreadable or None,
        keep=settings.keep if settings.keep != KEEP else None,
        preprocessing=list(settings.preprocessing),
    )


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
