"""One cell of the accuracy table, a model on a runtime in a precision, as a record; and which records stand for it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from convert.artifact import Artifact
from convert.errors import InputError
from runtimes.base import Options, Runtime, UnavailableError
from runtimes.bench import records
from runtimes.bench.store import Record
from validate.accuracy.evaluate import evaluate
from validate.accuracy.outcomes import Predictions, holds, mcnemar, wilson
from validate.imagenet import LabelledSet
from validate.preprocess import UnreadableImage

REFERENCE = "paddle"  # the runtime that the others are held against
REFERENCE_PRECISION = "fp32"


@dataclass(frozen=True)
class Settings:
    """What holds for all cells of a command, as the user gave it. images: the --images argument."""

    images: str
    weights: str | None = None
    batch: int = 8
    threads: int | None = None
    limit: int | None = None
    max_unreadable: int = 0


@dataclass(frozen=True)
class Cell:
    """What is measured. argument: how the user names the model; dataset: its labels checked against the model."""

    artifact: Artifact
    argument: str
    runtime: Runtime
    precision: str
    dataset: LabelledSet

    @property
    def title(self) -> str:
        return f"{self.artifact.model} {self.precision} on {self.runtime.name}"


def measure(
    cell: Cell,
    settings: Settings,
    earlier: Iterable[Record],
    on_progress: Callable[[int], None] = lambda done: None,
    on_unreadable: Callable[[UnreadableImage], None] = lambda error: None,
) -> Record:
    """Run a cell and return its record of kind `accuracy`.

    earlier: records among which Paddle's is looked for. A runtime that does not take the cell gives status refused, one
    that breaks or returns logits that are not finite gives failed. InputError for more unreadable images than allowed.
    """
    record = _blank(cell, settings)
    options = Options(precision=cell.precision, device=record["device"], threads=settings.threads)
    record["threads"] = options.thread_count()
    try:
        with cell.runtime.open(cell.artifact, options) as session:
            # Read after one run on zeros, not at the end: until then some runtimes keep a profile of every run.
            session.run(np.zeros((1, 3, cell.artifact.image_size, cell.artifact.image_size), dtype=np.float32))
            record["effective"] = session.effective().as_dict()
            predictions = evaluate(
                session,
                cell.dataset,
                cell.artifact.preprocessing,
                settings.batch,
                on_progress,
                on_unreadable,
                settings.max_unreadable,
            )
    except InputError:
        raise
    except UnavailableError as error:
        return record | {"status": "refused", "reason": str(error)}
    except Exception as error:  # whatever a runtime throws is this cell's result; the other cells go on
        text = " ".join(str(error).split())
        return record | {"status": "failed", "reason": f"{type(error).__name__}: {text[:500]}"}
    record |= _counted(predictions)
    computed = record["effective"]["precision"]
    if record["status"] == "ok" and computed != cell.precision:
        reason = f"{cell.runtime.name} computed in {computed} instead of {cell.precision}"
        record |= {"status": "failed", "reason": reason, "passed": False}
    return compare(record, earlier, cell, settings)


def _blank(cell: Cell, settings: Settings) -> Record:
    """The record of a cell before anything is known of it."""
    preprocessing = dataclasses.asdict(cell.artifact.preprocessing)
    return records.blank("accuracy", cell.artifact, cell.runtime, cell.precision) | {
        "command": _command(cell, [cell.runtime.name], [cell.precision], settings),
        "dataset": cell.dataset.description,
        "dataset_sha256": cell.dataset.sha256,
        "limit": settings.limit,
        "subset": not cell.dataset.complete,
        "images": 0,
        "unreadable": 0,
        "nonfinite": 0,
        "top1": None,
        "top5": None,
        "top1_ci95": None,
        "reference_top1": None,
        "mcnemar_p": None,
        "passed": None,
        "batch": settings.batch,
        "threads": None,
        "preprocessing": {key: list(v) if isinstance(v, tuple) else v for key, v in preprocessing.items()},
        "outcomes": None,
    }


def _counted(predictions: Predictions) -> Record:
    """The fields that follow from the outcomes alone. subset: also when some of 50,000 images could not be read."""
    counted: Record = {
        "images": predictions.images,
        "unreadable": predictions.unreadable,
        "nonfinite": predictions.nonfinite,
        "top1": predictions.top1,
        "top5": predictions.top5,
        "outcomes": predictions.outcomes,
    }
    if predictions.unreadable:
        counted["subset"] = True
    if not predictions.images:
        return counted | {"status": "failed", "reason": "no image could be read", "passed": False}
    counted["top1_ci95"] = list(wilson(predictions.right, predictions.images))
    if predictions.nonfinite:
        reason = f"the logits of {predictions.nonfinite} of {predictions.images} images are not finite"
        counted |= {"status": "failed", "reason": reason, "passed": False}
    return counted


def compare(record: Record, earlier: Iterable[Record], cell: Cell, settings: Settings) -> Record:
    """The cell's record held against Paddle's among the earlier ones: reference_top1, mcnemar_p, passed, command.

    Paddle in fp32 is its own reference. Lower precisions are held against fp32 too, or where Paddle ran in theirs only,
    against that. Without a reference the record comes back as it is.
    """
    own = record["runtime"] == REFERENCE and record["precision"] == REFERENCE_PRECISION
    reference = None if own else _reference(record, earlier)
    if reference is None:
        if record["runtime"] == REFERENCE and record["status"] == "ok":
            return record | {"reference_top1": record["top1"], "passed": True}
        return record
    predictions, standard = Predictions(record["outcomes"]), Predictions(reference["outcomes"])
    runtimes = list(dict.fromkeys([REFERENCE, record["runtime"]]))
    precisions = list(dict.fromkeys([reference["precision"], record["precision"]]))
    return record | {
        "reference_top1": reference["top1"],
        "mcnemar_p": mcnemar(predictions, standard),
        "passed": record["status"] == "ok" and holds(predictions, standard),
        "command": _command(cell, runtimes, precisions, dataclasses.replace(settings, batch=record["batch"])),
    }


def _reference(record: Record, earlier: Iterable[Record]) -> Record | None:
    """Paddle's newest good record on the same model, weights and images: in fp32, else in the record's precision."""
    found = {
        other["precision"]: other
        for other in earlier
        if other["kind"] == "accuracy"
        and other["runtime"] == REFERENCE
        and other["status"] == "ok"
        and other.get("outcomes")
        and _subject(other) == _subject(record)
    }
    return found.get(REFERENCE_PRECISION) or found.get(record["precision"])


def stored(cell: Cell, settings: Settings, earlier: Iterable[Record]) -> Record | None:
    """The newest good record that already answers the cell: same artifact, images, weights and preprocessing."""
    wanted = _blank(cell, settings)
    keys = ("kind", "status", "runtime", "runtime_version", "precision", "artifact")
    matching = [
        record
        for record in earlier
        if all(record[key] == wanted[key] for key in keys)
        and record.get("outcomes")
        and _subject(record) == _subject(wanted)
    ]
    return matching[-1] if matching else None


def _subject(record: Record) -> list[Any]:
    """Equal where two records have the same images, weights and preprocessing, so that they can be compared."""
    keys = ("model", "dataset", "dataset_sha256", "limit", "preprocessing")
    weights = (record.get("model_info") or {}).get("weights") or {}
    return [weights.get("sha256"), *(record.get(key) for key in keys)]


def _command(cell: Cell, runtimes: list[str], asked: list[str], settings: Settings) -> str:
    """The command line that gives a record again."""
    return records.command(
        "validate.accuracy",
        cell.argument,
        cell.artifact,
        settings.weights,
        images=settings.images,
        runtime=",".join(runtimes),
        precision=",".join(asked),
        batch=settings.batch,
        threads=settings.threads,
        limit=settings.limit,
        max_unreadable=settings.max_unreadable or None,
    )
