"""An evaluation: a model on a runtime in a precision over a labelled set, and its record before it has run."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from convert.artifact import Artifact
from convert.cli import Asked
from convert.common import typed
from convert.common.disk.files import sha256_json
from convert.common.errors import InputError
from convert.datasets import LabelledSet
from convert.datasets.labels.settle import shown
from convert.datasets.options import SetOptions
from convert.model_options import ModelOptions
from convert.precision.table import FP32
from runtimes import registry
from runtimes.base import Options, Runtime
from runtimes.options import Selection
from runtimes.records import blank as blanks
from runtimes.records.kinds import Accuracy
from runtimes.records.parts import ImagePreprocessing

REFERENCE = registry.reference().name
REFERENCE_PRECISION = FP32

# MLPerf's bar for a lowered precision: 99 % of the reference's top-1.
KEEP = "0.99"

FOLDER = "accuracy"  # in the results folder: the files that go with the records of an accuracy

# Records that differ in one of these are not of the same evaluation.
_SUBJECT = ("runtime", "runtime_version", "precision", "device", "streams", "settings", "artifact")


@dataclass(frozen=True)
class Settings:
    """What holds for all evaluations of a command, as the user gave it.

    selection: the runtimes and their options. labelled: which images. keep: the part of the reference's top-1 that must
    be reached. cluster: whether the machines of a cluster answer.
    """

    selection: Selection
    labelled: SetOptions
    batch: int = 8
    max_unreadable: int = 0
    keep: str = KEEP
    cluster: bool = False

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

    @property
    def root(self) -> str | None:
        """`--root`, as it stands in keys and hashes."""
        return None if self.labelled.root is None else str(self.labelled.root)


@dataclass(frozen=True)
class Evaluation:
    """What is measured. argument, chosen: how the user named the model, and what was said of it besides; dataset: its
    labels checked against the model. elsewhere: the runtime's version on the machines where it runs, when that is not
    this one."""

    artifact: Artifact
    argument: str
    chosen: ModelOptions
    runtime: Runtime
    precision: str
    dataset: LabelledSet
    options: Options = field(default_factory=Options)
    elsewhere: str | None = None

    @property
    def runtime_version(self) -> str | None:
        """Of the runtime that answers."""
        return self.elsewhere or self.runtime.version()

    @property
    def title(self) -> str:
        return f"{self.artifact.model} {self.precision} on {self.runtime.name}"

    @property
    def batch(self) -> int:
        """Images in one inference: those asked for, or the whole set where it is smaller."""
        return self.options.batches[0]

    def key(self, settings: Settings) -> dict[str, Any]:
        """Everything that an image's answer may depend on, the machine aside: what is known of that stands beside the
        answers, with the number of threads where it was not asked for."""
        return {
            "artifact": self.artifact.sha256,
            "runtime": self.runtime.name,
            "runtime_version": self.runtime_version,
            "precision": self.precision,
            "device": self.options.device,
            "threads": self.options.threads,
            "streams": self.options.streams,
            "settings": dict(self.options.extra),
            "batch": self.batch,
            "images": images_key(self.dataset),
            "root": settings.root,
            "preprocessing": typed.table(self.artifact.preprocessing),
        }


def images_key(dataset: LabelledSet) -> str:
    """Equal where the same number means the same image: of the same set, and of the same part of it."""
    part = f" {dataset.selection} {len(dataset.labels)}" if dataset.selection else ""
    return f"{dataset.name} {dataset.sha256}{part}"


def order_of(dataset: LabelledSet, artifact: Artifact) -> str | None:
    """`assumed: sorted names of classes (ng -> 0, ok -> 1)`: how the labels are known, with the first classes."""
    if dataset.order is None:
        return None
    first = shown(dataset, artifact.classes, artifact.manifest.class_names)
    return f"{dataset.order} ({first})" if first else str(dataset.order)


def make(asked: Asked, runtime: Runtime, precision: str, dataset: LabelledSet, settings: Settings) -> Evaluation:
    batch = asked.artifact.batch or min(settings.batch, len(dataset.labels))
    options = settings.selection.options(runtime, precision, [batch])
    return Evaluation(asked.artifact, asked.argument, asked.chosen, runtime, precision, dataset, options)


def blank(evaluation: Evaluation, settings: Settings) -> Accuracy:
    """The record of an evaluation before anything is known of it."""
    dataset, artifact = evaluation.dataset, evaluation.artifact
    return blanks.start(
        Accuracy,
        evaluation.artifact,
        evaluation.runtime,
        evaluation.options,
        command=command(evaluation, [evaluation.runtime], [evaluation.precision], settings),
        dataset=dataset.description,
        dataset_sha256=dataset.sha256,
        selection_sha256=sha256_json([dataset.names, dataset.labels, settings.root]),
        runtime_version=evaluation.runtime_version,
        labels=order_of(dataset, evaluation.artifact),
        limit=settings.labelled.limit,
        subset=not dataset.complete,
        images=0,
        unreadable=0,
        nonfinite=0,
        keep=float(settings.bar),
        batch=evaluation.artifact.batch or settings.batch,
        threads=evaluation.options.thread_count(),
        preprocessing=typed.read(ImagePreprocessing, typed.table(artifact.preprocessing)),
        preprocessing_is_models=artifact.preprocessing_is_models,
    )


def stored(evaluation: Evaluation, settings: Settings, earlier: Iterable[Accuracy]) -> Accuracy | None:
    """The newest good record that already answers: of the same artifact, images, weights and preprocessing."""
    wanted = blank(evaluation, settings)
    matching = [
        record
        for record in earlier
        if record.status == "ok"
        and record.outcomes
        and all(getattr(record, name) == getattr(wanted, name) for name in _SUBJECT)
        and subject(record) == subject(wanted)
    ]
    return matching[-1] if matching else None


def subject(record: Accuracy) -> list[Any]:
    """Equal where two records have the same images, weights and preprocessing, so that they can be compared."""
    weights = record.model_info.weights if record.model_info else None
    return [
        weights.sha256 if weights else None,
        record.model,
        record.dataset,
        record.dataset_sha256,
        record.selection_sha256,
        typed.table(record.preprocessing),
    ]


def command(
    evaluation: Evaluation, runtimes: list[Runtime], precisions: list[str], settings: Settings, batch: int | None = None
) -> str:
    """The command line that gives a record again."""
    return blanks.command(
        "validate.accuracy",
        evaluation.argument,
        evaluation.artifact,
        evaluation.chosen,
        **settings.labelled.arguments(),
        **settings.selection.arguments(runtimes),
        precision=",".join(precisions),
        batch=batch or settings.batch,
        max_unreadable=settings.max_unreadable or None,
        cluster="auto" if settings.cluster else None,  # whatever its address was
        keep=settings.keep if settings.keep != KEEP else None,
    )
