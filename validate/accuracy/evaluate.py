"""An accuracy run as a function, which the command and `import vitbench` call: evaluations, their tables, a verdict."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from convert import cli
from convert.cli import Asked
from convert.common.errors import CannotTell, CheckFailed, InputError
from convert.precision.table import INT8
from runtimes.options import lacking
from runtimes.records import remarks, store
from runtimes.records.kinds import Accuracy
from validate.accuracy import calibration_overlap, run, tables
from validate.accuracy.cluster.spread import Spread
from validate.accuracy.console import Reporter
from validate.accuracy.dataset import classes_of, load_for
from validate.accuracy.evaluation import REFERENCE, REFERENCE_PRECISION, Evaluation, Settings, make
from validate.accuracy.verdict import below


def possible(names: Iterable[str], settings: Settings, report: Reporter) -> list[str]:
    """The precisions that the runtimes have, the reference's first: the others are held against it.

    What a runtime lacks is said once. InputError where nothing is left.
    """
    wanted = sorted(names, key=lambda name: name != REFERENCE_PRECISION)
    left_out = lacking((settings.selection, name) for name in wanted)
    found = [name for name in wanted if settings.selection.able(name)]
    if not found:
        why = "; ".join(left_out)
        raise InputError(f"--precision {','.join(wanted)}: {why}: `python -m runtimes` shows which has which")
    for why in left_out:
        report.say(f"left out: {why}")
    return found


def prepare(
    asked: Sequence[tuple[str, Asked]], settings: Settings, batch_named: bool, report: Reporter
) -> list[Evaluation]:
    """Every model on every runtime, in the order of their records; a model's reference comes first.

    asked: precisions and artifacts, in the order of `possible`. batch_named: whether the user named the batch.
    InputError for a set or a batch that is none of the models', and for images that int8 was calibrated on.
    """
    artifacts: dict[tuple[str, str], Asked] = {}
    for precision, one in asked:
        cli.batches(one.artifact, (settings.batch,), batch_named)
        artifacts.setdefault((one.artifact.model, precision), one)
    datasets = {}
    for one in artifacts.values():
        if classes_of(one.artifact) not in datasets:
            datasets[classes_of(one.artifact)] = load_for(one.artifact, settings, report)
    calibration_overlap.refuse((one.artifact for one in artifacts.values()), next(iter(datasets.values())))
    evaluations = [
        make(one, runtime, precision, datasets[classes_of(one.artifact)], settings)
        for model in dict.fromkeys(model for model, _ in artifacts)
        for (name, precision), one in artifacts.items()
        if name == model
        for runtime in sorted(settings.selection.having(precision, one.artifact), key=lambda one: one.name != REFERENCE)
        if precision in runtime.precisions
    ]
    for note in dict.fromkeys(note for dataset in datasets.values() for note in dataset.notes):
        report.say(f"--images {settings.labelled.images}: {note}")
    for warning in dict.fromkeys(cli.drawn_weights_warning(one.artifact) for one in artifacts.values()):
        if warning:
            report.say(warning, style="bold red")
    return evaluations


def evaluate(
    evaluations: Sequence[Evaluation],
    settings: Settings,
    storage: run.Storage,
    report: Reporter,
    spread: Spread | None = None,
) -> list[Accuracy]:
    """Measure them and say what came of it; records and tables of what was measured are there after a failure too.

    spread: as of `run.measure`.
    """
    records: list[Accuracy] = []
    try:
        with store.until_finished(storage.folder, "accuracy"):
            for record in run.measure(evaluations, settings, storage, report, spread):
                records.append(record)
    finally:
        if records:
            report.table(records)
            for record in records:
                for remark in remarks.of(record):
                    report.say(f"{record.model} {record.precision} on {record.runtime}, its processor: {remark}")
            report.say(f"records: {storage.folder / store.RESULTS}")
            for line in tables.write_all(evaluations[: len(records)], records, storage.folder):
                report.say(line)
    return records


def conclude(records: Sequence[Accuracy], named: bool, fail_unknown: bool, report: Reporter) -> None:
    """End as the records call for; what stays open is said.

    CheckFailed where a top-1 is too low or a runtime failed. InputError for what nobody has that was asked for by name,
    or where nothing else was measured. fail_unknown: CannotTell where one misses its bar by no more than chance.
    """
    undecided = [_verdict(record) for record in records if record.undecided]
    missed = [one for one in records if one.status == "failed" or (one.passed is False and not one.undecided)]
    bad = [_verdict(record) for record in missed]
    if not fail_unknown or bad:
        for one in undecided:
            report.say(f"accuracy cannot tell: {one}", style="bold yellow")
    if bad:
        raise CheckFailed(f"accuracy: {'; '.join(bad[:3])}{f'; and {len(bad) - 3} more' if len(bad) > 3 else ''}")
    refused = [_verdict(record) for record in records if record.status == "refused"]
    if refused and (named or len(refused) == len(records)):
        raise InputError("; ".join(refused))
    if undecided and fail_unknown:
        raise CannotTell(f"accuracy: {'; '.join(undecided)}")


def _verdict(record: Accuracy) -> str:
    title = f"{record.model} {record.precision} on {record.runtime}"
    if record.status != "ok":
        return f"{title} {record.status}: {record.reason}"
    lost = record.precision == INT8 and not record.undecided
    advice = "; python -m validate.search finds what to keep in FP32" if lost else ""
    return f"{title}: {below(record)}{advice}"
