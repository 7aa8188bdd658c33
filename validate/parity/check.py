"""One runtime held against the reference: its logits, whatever they share a batch with."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from convert.artifact import Artifact
from convert.common.worker import JobError
from convert.images.inputs import Inputs
from convert.manifest import FEATURES, MULTI_LABEL
from runtimes.base import Effective, Options, Runtime, UnavailableError, discrepancy
from runtimes.infer import Pass, infer
from runtimes.records import blank as blanks
from runtimes.records.kinds import Parity
from runtimes.records.parts import InputsInfo
from validate.parity.metrics import Difference, compare, without_classes, worst
from validate.parity.reference import Reference
from validate.parity.tolerances import Tolerance, tolerance

# What has a session compute, as `runtimes.infer.infer` does for a given artifact, runtime and options.
Run = Callable[[np.ndarray, Sequence[Pass]], tuple[list[np.ndarray], Effective]]


@dataclass(frozen=True)
class Case:
    """What is checked, and against what."""

    artifact: Artifact
    runtime: Runtime
    options: Options
    inputs: Inputs
    batches: tuple[int, ...]
    reference: Reference


@dataclass(frozen=True)
class Checked:
    """record: its command is still empty. outputs: the logits of each pass; none when it did not run."""

    record: Parity
    passes: tuple[Pass, ...]
    outputs: tuple[np.ndarray, ...]


def passes(count: int, batches: Sequence[int], fixed: int | None = None) -> tuple[Pass, ...]:
    """Every image alone; at each batch size; in reverse order at the largest; and one image in all rows of a batch.

    The last one because identical rows have come out differently (TensorRT#4813). fixed: the only batch size that the
    model takes; no image is alone then where that is more than one.
    """
    order, largest = range(count), max(batches)
    together = [Pass(batch, order) for batch in batches if batch > 1]
    identical = [Pass(largest, [0] * largest)] if largest > 1 else []
    alone = [] if fixed and fixed > 1 else [Pass(1, order)]
    return (*alone, *together, Pass(largest, order[::-1]), *identical)


def check(case: Case, run: Run | None = None) -> Checked:
    """Run a case and judge it. run: by a session that is open already; by default one is opened."""
    inputs, runtime, options = case.inputs, case.runtime, case.options
    bounds = tolerance(options.precision, case.reference)
    ways = passes(len(inputs.images), case.batches, case.artifact.batch)
    record = blanks.start(
        Parity,
        case.artifact,
        runtime,
        options,
        reference=case.reference.name,
        inputs=InputsInfo(source=inputs.source, count=len(inputs.images), sha256=inputs.sha256),
        batches=case.batches,
        tolerance=bounds.info(None),
    )
    try:
        runtime.check(options)
    except UnavailableError as lacking:
        return Checked(replace(record, status="refused", reason=str(lacking)), ways, ())
    try:
        run = run or functools.partial(infer, case.artifact, runtime.name, options)
        outputs, effective = run(inputs.images, ways)
    except JobError as failure:
        if failure.kind == UnavailableError.__name__:
            return Checked(replace(record, status="refused", reason=failure.said), ways, ())
        died = f"{runtime.name} did not run it: {failure}"
        return Checked(replace(record, status="failed", reason=died, passed=False), ways, ())
    difference = _difference(outputs, ways, case, bounds)
    if case.artifact.manifest.head in (FEATURES, MULTI_LABEL):
        difference = without_classes(difference)
    mixing, spread = (None, None) if difference.nonfinite else _mixing(outputs, ways, bounds, inputs.names)
    violation = bounds.violation(difference)
    reasons = [
        f"{violation} (worst: {difference.worst_image})" if violation else None,
        mixing,
        discrepancy(runtime.name, effective, options),
    ]
    reason = "; ".join(filter(None, reasons)) or None
    error = None if difference.max_abs is None or spread is None else max(difference.max_abs, spread)
    record = replace(
        record,
        **vars(difference),
        batch_invariant=None if difference.nonfinite else mixing is None,
        batch_max_abs=spread,
        tolerance=bounds.info(error),
        effective=effective,
        status="failed" if reason else "ok",
        reason=reason,
        passed=reason is None,
    )
    return Checked(record, ways, tuple(outputs))


def _difference(outputs: Sequence[np.ndarray], ways: Sequence[Pass], case: Case, bounds: Tolerance) -> Difference:
    """The worst of each statistic over the passes that hold every image; values not finite are counted in all."""
    found, names = [], case.inputs.names
    for logits, way in zip(outputs, ways, strict=True):
        expected = case.reference.logits[list(way.order)]
        difference = compare(logits, expected, [names[image] for image in way.order], bounds.max_abs)
        if difference.nonfinite or set(way.order) == set(range(len(names))):
            found.append(difference)
    return worst(found)


def _mixing(
    outputs: Sequence[np.ndarray], ways: Sequence[Pass], bounds: Tolerance, names: Sequence[str]
) -> tuple[str | None, float]:
    """Why an image's logits depend on its batch, in a sentence, None when they do not; and by how much at most.

    They do when a row is further from its image alone than an error is allowed to be, or nearer to another image that
    is not the same within FP32: so a swap is found among images that are alike, and in a precision that allows much.
    """
    alone = outputs[0].astype(np.float64)
    largest, reason = 0.0, None
    for found, way in zip(outputs[1:], ways[1:], strict=True):
        for row, image in zip(found.astype(np.float64), way.order, strict=True):
            distances = np.abs(alone - row).max(1)
            own = float(distances[image])
            like = int(distances.argmin())
            apart = np.abs(alone[like] - alone[image]).max() > bounds.resolution
            taken = apart and 2 * distances[like] < own
            if own > largest and (own > bounds.max_abs or taken):
                itself = "alone" if ways[0].batch == 1 else "in another place"
                reason = f"{names[image]} at batch {way.batch} differs from itself {itself} by {bounds.measure(own)}"
                reason += f" (it has the logits of {names[like]})" if taken else ""
            largest = max(largest, own)
    return (f"an image's logits depend on what it shares a batch with: {reason}" if reason else None), largest
