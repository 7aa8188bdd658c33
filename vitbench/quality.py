"""accuracy, compare and search as functions, see api.py."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from convert.artifact import Artifact
from convert.build import Request
from convert.common.errors import CannotTell, CheckFailed
from convert.datasets.options import SetOptions
from convert.precision.table import INT8
from reports.compare import judge, writers
from runtimes.options import select
from runtimes.records import store
from runtimes.records.kinds import Accuracy
from validate.accuracy.console import Reporter
from validate.accuracy.evaluate import conclude, evaluate, possible, prepare
from validate.accuracy.evaluation import KEEP, Settings
from validate.accuracy.run import Storage
from validate.search.trials import find
from vitbench.asking import PathLike, asked, joined, path, root, several
from vitbench.outcome import CompareOutcome, SearchOutcome
from vitbench.run_folder import ACCURACY, RunFolder

_PASSED = {judge.HOLDS: True, judge.REGRESSION: False, judge.OPEN: None}


def accuracy(
    artifacts: Artifact | Iterable[Artifact],
    images: PathLike,
    *,
    runtimes: Sequence[str] | None = None,
    batch: int | None = None,
    limit: int | None = None,
    keep: float | str = KEEP,
    ground_truth: PathLike | None = None,
    synsets: PathLike | None = None,
    images_root: PathLike | None = None,
    columns: str | None = None,
    max_unreadable: int = 0,
    device: str | None = None,
    threads: int | None = None,
    options: Iterable[str] = (),
    out: PathLike | None = None,
    resume: bool = False,
    fresh: bool = False,
) -> RunFolder:
    """Measure top-1 and top-5, fractions from 0 to 1, over a labelled set, as `vitbench accuracy` does.

    artifacts: of any models and precisions. images: a labelled set, as `--images` takes it. runtimes: all that are
    available without; `paddle` is the reference that the others are held against, and without it there is no verdict.
    batch: images in one inference, 8 without. limit: only so many images, all without. keep: the part of Paddle's top-1
    that must be reached. The others are options of the command (images_root is `--root`).

    Returns the results folder; `passed` is False where a top-1 is too low or a runtime failed, and None where one of
    them has no verdict. InputError for a wrong input.
    """
    chosen = select(joined("runtimes", runtimes), device, threads, pairs=options)
    labelled = SetOptions(Path(images), path(ground_truth), path(synsets), path(images_root), limit or None, columns)
    settings = Settings(chosen, labelled, batch or Settings.batch, max_unreadable, str(keep))
    _ = settings.bar
    found = several(artifacts)
    report = Reporter()
    names = possible(dict.fromkeys(one.precision for one in found), settings, report)
    wanted = [(name, asked(one)) for name in names for one in found if one.precision == name]
    folder = Path(out) if out else store.newest_run() if resume else store.new_run()
    with store.alone(folder):
        store.refuse_unfinished(folder, "accuracy", resume, fresh)
        evaluations = prepare(wanted, settings, batch is not None, report)
        records = evaluate(evaluations, settings, Storage(folder, resume), report)
    try:
        conclude(records, chosen.named, True, report)
    except CannotTell as error:
        return RunFolder(None, (error.message,), folder=folder, shown=(ACCURACY,))
    except CheckFailed as error:
        return RunFolder(False, (error.message,), folder=folder, shown=(ACCURACY,))
    unjudged = tuple(map(_unjudged, (one for one in records if one.passed is None)))
    return RunFolder(None if unjudged else True, unjudged, folder=folder, shown=(ACCURACY,))


def _unjudged(record: Accuracy) -> str:
    why = record.doubt or record.reason or "Paddle's top-1 on these images is not known"
    return f"{record.model} {record.precision} on {record.runtime}: no verdict: {why}"


def compare(
    base: PathLike | RunFolder,
    new: PathLike | RunFolder,
    *,
    fail: Sequence[str] | None = None,
    smallest: str = judge.SMALLEST,
) -> CompareOutcome:
    """Hold the results new against base, cell by cell, as `vitbench compare` does.

    base, new: results folders, or files of `vitbench share`. fail: `FIGURE:NUMBER%` each, changes for the worse that
    fail it; the command's own without. smallest: changes of speed below it do not count.

    `passed` is False for a regression, and None where nothing can be said of some cells. The table has times in ms,
    rates per second, accuracies and changes as fractions. InputError for what are no results or have no cell in common
    """
    joined("fail", fail)
    sides = [one.folder if isinstance(one, RunFolder) else Path(one) for one in (base, new)]
    found = judge.held(sides[0], sides[1], judge.DEFAULT if fail is None else fail, smallest)
    rows = [
        {
            "Cell": cell.cell,
            "Figure": cell.figure,
            "Base": cell.base,
            "New": cell.new,
            "Change": cell.change and cell.change.amount,
            "95 % low": cell.change and cell.change.low,
            "95 % high": cell.change and cell.change.high,
            "Verdict": cell.verdict,
            "Regression": cell.regression,
            "Notes": "; ".join(cell.notes),
        }
        for cells in writers.ordered(found)
        for cell in cells
    ]
    problem = writers.verdict(found)
    return CompareOutcome(
        _PASSED[found.outcome],
        (problem,) if problem else (),
        {"cells": rows},
        (writers.summary(found), *found.notes, *writers.alone(found)),
        comparison=found,
        markdown=writers.markdown(found, found.base, found.new),
    )


def search(
    artifact: Artifact,
    images: PathLike,
    *,
    calibration: PathLike | None = None,
    runtimes: Sequence[str] | None = None,
    smooth: Sequence[float] | None = None,
    keep: float | str = KEEP,
    evaluations: int = 12,
    batch: int | None = None,
    limit: int | None = None,
    device: str | None = None,
    threads: int | None = None,
    options: Iterable[str] = (),
    out: PathLike | None = None,
    resume: bool = False,
) -> SearchOutcome:
    """Find the operators of a model that must stay FP32 so that int8 keeps its accuracy, as `vitbench search` does.

    artifact: the model in any precision; the int8 one is made beside it. images: a labelled set. calibration: images
    that are none of these; those of the int8 artifact that is there, without. smooth: strengths of the
    smoothing to try, the preferred one first; on and off without. evaluations: models to try, at most. The others are
    as in `accuracy`.

    `artifact` of what is returned is the int8 model that holds, and `passed` False where none was found. CheckFailed
    where a runtime gives no accuracy or Paddle's is in doubt, so that there is no question to answer.
    """
    chosen = select(joined("runtimes", runtimes), device, threads, pairs=options)
    labelled = SetOptions(Path(images), limit=limit or None)
    settings = Settings(chosen, labelled, batch or Settings.batch, keep=str(keep))
    one = asked(artifact)
    request = Request(
        one.argument, precision=INT8, root=root(artifact), calibration=path(calibration), **vars(one.chosen)
    )
    folder = Path(out) if out else store.newest_run() if resume else store.new_run()
    with store.alone(folder):
        found = find(request, settings, folder, evaluations, resume, tuple(smooth) if smooth else None)
    rows = [
        {
            "Smoothing": rung.smooth,
            "Operators in FP32": list(rung.kept_fp32),
            "Operators in int8": rung.lowered,
            **{f"Top-1 on {name}": top1 for name, top1 in rung.top1.items()},
            "Holds": rung.holds,
            "Chosen": rung is found.rung,
        }
        for rung in found.ladder.rungs
    ]
    problems = (found.failure,) if found.failure else ()
    return SearchOutcome(not problems, problems, {"rungs": rows}, artifact=found.artifact, ladder=found.ladder)
