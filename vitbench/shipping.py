"""ship, export and check as functions, see api.py."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from convert import cli
from convert.artifact import Artifact
from convert.common.errors import CheckFailed
from convert.datasets.options import set_of
from convert.images.inputs import COUNT
from runtimes.options import listed
from runtimes.records import store
from runtimes.records.kinds import Parity
from validate.check.run import held
from validate.choice.budget import LATENCY
from validate.choice.candidates import Question
from validate.choice.run import MINUTES, PRECISIONS, choose
from validate.parity.inputs import InputOptions
from validate.parity.run import conclude
from validate.ship import shipping
from validate.ship.shipping import SHIPPED, settings_of, targets
from vitbench.asking import PathLike, asked, joined, path, root
from vitbench.outcome import CheckOutcome, ExportOutcome
from vitbench.run_folder import CHOICE, ShipOutcome


def ship(
    artifact: Artifact,
    budget: str = "",
    *,
    objective: str = LATENCY,
    price: float | None = None,
    images: PathLike | None = None,
    calibration: PathLike | None = None,
    precisions: Sequence[str] = PRECISIONS,
    runtimes: Sequence[str] | None = None,
    threads: Sequence[int] | None = None,
    smooth: Sequence[float] | None = None,
    streams: int | None = None,
    minutes: float = MINUTES,
    limit: int | None = None,
    ground_truth: PathLike | None = None,
    synsets: PathLike | None = None,
    images_root: PathLike | None = None,
    columns: str | None = None,
    device: str | None = None,
    options: Iterable[str] = (),
    out: PathLike | None = None,
    resume: bool = False,
    fresh: bool = False,
) -> ShipOutcome:
    """Choose what to ship within a budget, and write its folder, as `vitbench ship` does.

    artifact: the model in any precision; the others of `precisions` are made beside it. budget: as
    `"p99<50ms, top1>=-0.5, memory<1GB"`. price: euros
    per hour of this machine, for the objective `cost`. images: a labelled set; lowered precisions take no part without.
    calibration: images for int8 that are none of these; those of the int8 artifact that is there, without. runtimes:
    all that are available without. threads: numbers of threads, every core and half of them without. smooth: strengths
    of int8's smoothing, the preferred one first; on and off without. minutes: of the whole race, 0 for no end. The
    others are options of the command, and of the set as in `accuracy`.

    Returns the results folder; its `choice` is the record, with everyone who took part and why they fell, and `shipped`
    the folder to ship. `passed` is False where nothing meets the budget, and `problems` names the nearest. InputError
    for a wrong input; CheckFailed where Paddle's accuracy is in doubt, and where the folder to ship cannot be made.
    """
    one = asked(artifact)
    labelled = set_of(path(images or None), path(ground_truth), path(synsets), path(images_root), limit, columns)
    question = Question(
        one.argument,
        one.chosen,
        joined("precisions", precisions) or "",
        root(artifact),
        objective,
        joined("runtimes", runtimes),
        device,
        tuple(threads) if threads else None,
        streams,
        pairs=tuple(options),
        calibration=path(calibration),
        strengths=tuple(smooth) if smooth else None,
        price=price,
    )
    folder = Path(out) if out else store.newest_run() if resume else store.new_run()
    found = choose(question, budget, labelled, minutes, folder, resume=resume, fresh=fresh)
    holds = found.record.status == "ok"
    problems = () if holds else (found.record.reason or "nothing meets the budget",)
    return ShipOutcome(holds, problems, folder=folder, shown=CHOICE, choice=found.record, shipped=found.shipped)


def export(
    artifact: Artifact,
    to: Sequence[str],
    *,
    images: PathLike | None = None,
    limit: int = COUNT,
    labels: PathLike | None = None,
    batches: Sequence[int] | None = None,
    options: Iterable[str] = (),
    out: PathLike = SHIPPED,
) -> ExportOutcome:
    """Write a folder to ship for each way out, as `vitbench export` does.

    to: ways out, as `["onnx", "openvino"]`. images: photos that travel too, and limit: how many. labels: a file with
    the names of the classes. batches: sizes that are proven, 1 and 4 without. options: `target.key=value` each. out:
    the folder of what is shipped.

    Returns the folders. CheckFailed where parity does not hold: what it would return is not there then. InputError for
    what cannot be shipped.
    """
    ways = targets(listed(joined("to", to) or ""))
    settings = settings_of(options, ways)
    sizes = cli.batches(artifact, tuple(batches or (1, 4)), batches is not None)
    images_of = InputOptions(path(images), limit)
    made = list(shipping.ship(asked(artifact), ways, settings, sizes, images_of, path(labels), Path(out)))
    rows = [
        {
            "Way out": one.target.name,
            "Folder": str(one.path),
            "Loaded again": "-" if one.reloaded is None else one.reloaded.runtime,
            "Bytes": sum(file.stat().st_size for file in one.path.rglob("*") if file.is_file()),
        }
        for one in made
    ]
    return ExportOutcome(True, (), {"folders": rows}, folders={one.target.name: one.path for one in made})


def check(
    folder: PathLike,
    *,
    runtimes: Sequence[str] | None = None,
    precision: str | None = None,
    batches: Sequence[int] | None = None,
    device: str | None = None,
    threads: int | None = None,
    options: Iterable[str] = (),
    out: PathLike | None = None,
) -> CheckOutcome:
    """Hold a folder to ship against the proof that it carries, as `vitbench check` does; it needs no Paddle.

    runtimes: the one that the folder is for, without. precision: `tf32` of an fp32 folder; batches: those that were
    proven, without. out: a results folder for the records, none without.

    `passed` is False where a file was changed, or the logits are another model's. Errors of the table are absolute, of
    logits. InputError for a folder that is none, and for a runtime that is missing or does not load it.
    """
    place, results = Path(folder), path(out)
    more: dict[str, Any] = {"device": device, "threads": threads, "pairs": tuple(options)}
    records: list[Parity] = []
    problems: tuple[str, ...] = ()
    try:
        with store.alone(results) if results else nullcontext():
            records = held(place, joined("runtimes", runtimes), precision, batches, results, **more)
        conclude(records, True, str(place))
    except CheckFailed as error:
        problems = (error.message,)
    rows = [
        {
            "Runtime": one.runtime,
            "Version": one.runtime_version,
            "Precision": one.effective.precision if one.effective else None,
            "Passed": one.passed,
            "Max abs": one.max_abs,
            "Factor allowed": one.tolerance.factor if one.tolerance else None,
            "Factor needed": one.tolerance.needed if one.tolerance else None,
            "Top-1 agreement": one.top1_agreement,
            "Reason": one.reason,
        }
        for one in records
    ]
    return CheckOutcome(not problems, problems, {"runtimes": rows}, records=tuple(records))
