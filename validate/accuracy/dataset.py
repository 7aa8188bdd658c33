"""The labelled set as a model needs it: its labels are the model's, and how that is known is said."""

from __future__ import annotations

from convert import other_onnx
from convert.artifact import Artifact
from convert.common.errors import InputError
from convert.datasets import LabelledSet
from convert.manifest import FEATURES, MULTI_LABEL
from validate.accuracy.console import Reporter
from validate.accuracy.evaluation import Settings, order_of

# A model's number of classes, and their names where it says them.
Classes = tuple[int, tuple[str, ...] | None]


def classes_of(artifact: Artifact) -> Classes:
    """Equal where two models need the same labels, and head where they are told the same of them."""
    return artifact.classes, artifact.manifest.class_names


def load_for(artifact: Artifact, settings: Settings, report: Reporter) -> LabelledSet:
    """The set for a model. What is known of its labels is reported. InputError: the model has no classes."""
    other_onnx.refuse_photos(artifact)
    if artifact.manifest.head == FEATURES:
        raise InputError(
            f"{artifact.model}: it ends in features, not in classes, so it has no accuracy; parity and speed hold for"
            " it: python -m validate.parity, python -m runtimes.bench"
        )
    if artifact.manifest.head == MULTI_LABEL:
        report.say(
            f"{artifact.model}: a multi-label model: top-1 and top-5 ask whether the one label of an image has one of"
            " the highest scores; no threshold is looked at",
            style="yellow",
        )
    dataset = settings.labelled.load(*classes_of(artifact))
    proven = dataset.order is None or dataset.order.proven
    report.say(f"{dataset.name}: labels {order_of(dataset, artifact)}", style="" if proven else "yellow")
    return dataset
