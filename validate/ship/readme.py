"""README.md of a folder to ship: what whoever gets it has to know, in a few lines."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from convert.artifact import Artifact
from convert.cli import drawn_weights_warning
from convert.families.spec import Preprocessing, sides
from convert.manifest import LOGITS
from convert.precision.table import LARGEST_LOGIT
from runtimes.records.parts import ToleranceInfo
from validate.ship.proof import ProofFile, Shown
from validate.ship.target import LABELS, Target


def text(artifact: Artifact, target: Target, settings: Mapping[str, str], said: ProofFile, labels: str | None) -> str:
    """The whole file. labels: where the class names come from; None where they are not known."""
    (source,), (result,) = artifact.manifest.inputs, artifact.manifest.outputs
    title = f"# {artifact.model}, {artifact.precision}, for {target.name}"
    warning = drawn_weights_warning(artifact)
    head = "" if artifact.manifest.head == LOGITS else f" ({artifact.manifest.head})"
    names = f"`{LABELS}`, line by line ({labels})" if labels else "not known: the model does not say them"
    (height, width), free = artifact.image_shape, "any" if artifact.batch is None else artifact.batch
    lines = [
        f"- **Input** `{source.name}`: float32 (batch, 3, {height}, {width}), RGB, batch {free}. **Output**"
        f" `{result.name}`: float32 (batch, {artifact.classes}){head}, before any softmax.",
        f"- **Preprocessing**: {preprocessing(artifact.preprocessing)}.{_assumed(artifact)}",
        f"- **Class names**: {names}. **Precision**: {artifact.precision}.",
        f"- **Weights**: {artifact.manifest.weights.kind}, sha256 {artifact.manifest.weights.sha256[:16]}.",
    ]
    parts = [
        title,
        *([f"**{warning}.**"] if warning else []),
        "\n".join(lines),
        target.readme(artifact, settings).strip(),
        "\n".join(_proven(said, target)),
    ]
    return "\n\n".join(parts) + "\n"


def preprocessing(found: Preprocessing) -> str:
    """What becomes of an image, in words."""
    short, shape = found.resize_short, sides(found.shape)
    scale = " / 255" if math.isclose(255 * found.pixel_scale, 1) else f" * {found.pixel_scale:.10g}"
    resize = (
        f"short side to {short}" if found.keep_ratio else f"both sides to {short if found.height is None else shape}"
    )
    ends = ", ".join(f"{value:g}" for value in found.mean), ", ".join(f"{value:g}" for value in found.std)
    return (
        f"decode to RGB, resize the {resize} pixels ({found.interpolation}, {found.backend}), cut {shape} pixels"
        f" out of the centre, then (pixel{scale} - mean) / std with mean {ends[0]} and std {ends[1]}"
    )


def _assumed(artifact: Artifact) -> str:
    return " **It is assumed: the model does not say it.**" if artifact.preprocessing_is_models is None else ""


def _proven(said: ProofFile, target: Target) -> list[str]:
    """What was shown, and how to show it again."""
    again = f"`{target.check}` shows it again on your machine, without Paddle."
    lines = [f"**Proven** against Paddle in float64 ({said.source}; batch {', '.join(map(str, said.batches))}):"]
    lines += [f"- {one}" for one in map(_line, said.shown, [said.tolerance] * len(said.shown))]
    if all(one.loaded != "folder" for one in said.shown):
        why = target.why_none or target.absent
        lines.append(f"- **These files were not loaded again**: {why}.")
    return [*lines, "", again if target.runtime else f"{target.why_none}."]


def _line(one: Shown, tolerance: ToleranceInfo) -> str:
    loaded = "these files" if one.loaded == "folder" else "the artifact that they were made from"
    times = "of" if tolerance.unit == LARGEST_LOGIT else "times"
    needed = "" if one.needed is None else f", {one.needed:.2g} {times} {tolerance.unit}"
    top1 = "" if one.top1_agreement is None else f", top-1 agreement {one.top1_agreement:.0%}"
    error = "" if one.max_abs is None else f": largest error {one.max_abs:.2g}{needed} ({tolerance.factor:g} allowed)"
    # What a server computed on and in is not reported, and the proof says so.
    on = f"by {one.server}" if one.server else f"({one.device}, {one.precision})"
    runtime = " ".join(filter(None, (one.runtime, one.version)))
    return f"{loaded} on {runtime} {on}, {one.time_utc}{error}{top1}"


def label_lines(labels: Sequence[str]) -> str:
    """`labels.txt`: a name a line, in the order of the classes. A name's own ends of lines become spaces."""
    return "".join(f"{' '.join(label.split())}\n" for label in labels)
