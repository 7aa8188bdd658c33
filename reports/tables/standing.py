"""How a measured cell stands: its name, its status, what a reader must know of it, and how it ranks among others."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from convert.precision.table import FP32, INT8, percent
from reports import faster
from reports.language import mark, say, stored
from reports.load.results import SEVERAL, Results, machine_of
from reports.numbers import measured, spread
from reports.tables.table import Tone
from runtimes import pairs
from runtimes.records import remarks
from runtimes.records.kinds import MEASURED, Accuracy, Latency, Record, TimedRecord
from runtimes.records.parts import NOT_REPORTED, ModelInfo
from runtimes.statistics import Noise
from runtimes.system import programs

SLOWER = "slower than fp32"  # a status of reports alone: it depends on the other records
SHOWN = (*MEASURED, SLOWER)  # the statuses of records whose speed may be shown
TONES = {
    **dict.fromkeys(("ok", "passed", "fastest"), Tone.GOOD),
    "failed": Tone.BAD,
    "fastest, on a busy machine": Tone.GOOD,
    **dict.fromkeys(("unstable", "unproven", "refused", "unavailable", "cannot tell", SLOWER), Tone.DOUBTFUL),
}
_MOST_PROGRAMS, _MOST_OPERATORS = 3, 12
BATCH_NOTE = mark("The latency of a batch is the time of the whole batch: it is never divided by the number of images.")
_SPREAD_NOTE = mark(
    "Intervals are 95 % confidence intervals of the median; a number has the digits that its interval carries."
)
_SLOWER_NOTE = mark(
    "slower than fp32 on the same runtime, for sure: it takes {times} times as long ({ends}), so that it would give "
    "accuracy away for nothing on this machine and is not offered"
)
_UNVOUCHED_NOTE = mark(
    "Nothing vouches for {models}: no Paddle program is there to hold that ONNX file against, so that agreement only "
    "says that runtimes compute what ONNX's own reference does."
)
_ACROSS_RUNS_NOTE = mark(
    "Intervals (95 %) say where another run on the same machine would find the median; a number has the digits that "
    "its interval carries. What decides which cell of a run is faster is narrower: its cells met the same machine."
)


def spread_note(results: Results) -> str:
    """What the intervals of latencies are, to be translated; records made before runs were told apart have those of a
    run alone."""
    return _ACROSS_RUNS_NOTE if any(cell.run_ci95_ms for cell in results.of(Latency)) else _SPREAD_NOTE


def runtime_name(record: Record) -> str:
    """`paddle fp32 on GPU, kernels=plain`: runtime and precision, the device where it is not the CPU, the settings."""
    place = say(" on {device}", device=record.device) if (record.device or "CPU") != "CPU" else ""
    settings = [f"{name}={value}" for name, value in sorted(record.settings.items())]
    return ", ".join([f"{record.runtime} {record.precision}{place}", *settings])


def cell_name(record: Record) -> str:
    """`ViT_base_patch32_384 on openvino fp32, batch 4`."""
    what = say("batch {batch}", batch=record.batch) if isinstance(record, Latency) else say(record.kind)
    return say("{model} on {runtime}, {what}", model=record.model, runtime=runtime_name(record), what=what)


def label(results: Results, cell: TimedRecord) -> str:
    """Runtime and precision; the threads too where the results hold several numbers of them."""
    name = runtime_name(cell)
    threads = cell.threads or say("default")
    if not results.several_threads:
        return name
    return say("{name}, {threads} thread{s}", name=name, threads=threads, s="s" * (threads != 1))


def ran_as(record: Record) -> str | None:
    """Precision, with its share of the arithmetic where that is not all, and device; None where nothing ran."""
    effective = record.effective
    if not effective or not effective.precision:
        return None
    if effective.precision == NOT_REPORTED:
        return say("not reported by the server")
    device = effective.device or say("an unknown device")
    shares = (effective.arithmetic and effective.arithmetic.shares) or {}
    share = shares.get(effective.precision, 1.0)
    ran = effective.precision if share == 1 else f"{percent(share)} {effective.precision}"
    return say("{precision} on {device}", precision=ran, device=device)


def status_note(record: Record) -> str:
    """Status and reason of a record in one sentence, and who disturbed it."""
    said = say("{status}: {reason}", status=say(record.status), reason=reason(record))
    named = programs_of([record]) if isinstance(record, TimedRecord) and record.disturbed else ""
    return f"{said} ({named})" if named else said


def reason(record: Record) -> str:
    """Why a record did not end well, as far as it tells."""
    return stored(record.reason) if record.reason else say("no reason recorded")


def shown_status(results: Results, record: Record) -> str:
    """A record's status, or "unproven" where a speed was measured and its parity did not pass, or SLOWER where it is
    that of a lowered precision that is not offered."""
    if isinstance(record, TimedRecord) and record.measured and results.doubt(record):
        return "unproven"
    return SLOWER if slower(results, record) else record.status


def why(results: Results, cell: TimedRecord) -> list[str]:
    """What a reader must know about a cell: why it has no number, or that it ran as something else."""
    texts = []
    if cell.status != "ok":
        texts.append(status_note(cell))
    if cell.measured:
        doubt, effective = results.doubt(cell), cell.effective
        if doubt:
            texts.append(say("{status}: {reason}", status=say("unproven"), reason=stored(doubt)))
        if effective and effective.precision not in (None, cell.precision, NOT_REPORTED):
            texts.append(say("asked for {asked}, ran as {ran}", asked=cell.precision, ran=ran_as(cell)))
        if effective and effective.device == "CPU" and (cell.device or "CPU") != "CPU":
            texts.append(say("asked for {device}, ran on the CPU", device=cell.device))
        if gain := slower(results, cell):
            texts.append(_slower_note(gain))
        if cell.elsewhere:
            texts.append(say("a server computed that was not seen on this machine"))
        texts += remarks_on(cell)
        if effective and (target := effective.details.get("target")):
            texts.append(say("measured on {target}", target=str(target)))
        if results.accurate(cell) is False:
            texts.append(accuracy_note(results, cell))
    return texts + [say("a process crashed and was replaced: {reason}", reason=stored(one)) for one in cell.crashes]


def remarks_on(record: Record) -> list[str]:
    """What must be said of the processor that a record is of (`runtimes.records.remarks`)."""
    return [stored(remark) for remark in remarks.of(record)]


def accuracy_note(results: Results, cell: Record) -> str:
    """Why the accuracy of a cell did not hold, or cannot be told, in a sentence."""
    return missed_note(results.missed(cell)[0])


def missed_note(failed: Accuracy) -> str:
    """Why an accuracy did not hold, or cannot be told, in a sentence."""
    top1, reference, published = failed.top1, failed.reference_top1, failed.published_top1
    if failed.reason or top1 is None or (reference is None and published is None):
        return say("accuracy failed: {reason}", reason=reason(failed))
    # Held against the published figure too, it may fail that one alone.
    keep = 1 if failed.keep is None else failed.keep
    if reference is None or (published is not None and top1 >= keep * reference):
        return say("accuracy failed: top-1 is {top1:.4f}, published is {published:.4f}", top1=top1, published=published)
    if failed.undecided:
        return say(
            "accuracy cannot be told: top-1 is {top1:.4f}, on the reference {reference:.4f}, which on {images} images "
            "may be chance (p = {p:.2g}): take more",
            top1=top1,
            reference=reference,
            images=failed.images,
            p=failed.mcnemar_p,
        )
    return say("accuracy failed: top-1 is {top1:.4f}, on the reference {reference:.4f}", top1=top1, reference=reference)


def missed_accuracy(results: Results, cell: Record) -> str:
    """In two or three words: that the accuracy of a cell failed, or cannot be told; "" where it did not miss its
    bar."""
    if results.accurate(cell) is not False:
        return ""
    return say("accuracy cannot be told") if results.undecided(cell) else say("accuracy failed")


def how_made(record: Record) -> str | None:
    """How a lower precision came about: calibration images, operators in FP32 and the bar of its accuracy, where the
    record is one; None where there is nothing of that."""
    facts = record.model_info or ModelInfo()
    parts = []
    if facts.calibration:
        count, digest = facts.calibration.images, (facts.calibration.sha256 or "")[:8]
        parts.append(say("calibrated on {count} images (sha256 {digest})", count=count, digest=digest))
    elif record.precision == INT8:
        parts.append(say("what it was calibrated on is not recorded"))
    if facts.kept_fp32 is not None and parts:
        kept = [str(one.operator) for one in facts.kept_fp32]
        named = ", ".join(kept[:_MOST_OPERATORS]) + (", ..." if len(kept) > _MOST_OPERATORS else "")
        parts.append(
            say("{count} operator{s} kept in FP32", count=len(kept), s="s" * (len(kept) != 1))
            + (f" ({named})" if kept else "")
        )
    smooth = facts.recipe.smooth if facts.recipe else None
    if smooth is not None and parts:
        parts.append(say("smoothed at {strength}", strength=f"{smooth:g}") if smooth else say("not smoothed"))
    if facts.saturation and parts:
        parts.append(stored(facts.saturation.sentence))
    if isinstance(record, Accuracy) and record.keep and parts:
        parts.append(say("the bar is {keep} of the reference's top-1", keep=f"{record.keep:.4g}"))
    return (
        say("{precision} was made so: {parts}", precision=record.precision, parts="; ".join(parts)) if parts else None
    )


def unvouched_note(results: Results) -> list[str]:
    """What has to be said of ONNX files that no Paddle program vouches for: a sentence, none where there are none."""
    alone = ", ".join(model for model in results.models if results.unvouched(model))
    return [say(_UNVOUCHED_NOTE, models=alone)] if alone else []


def machines_and_models(results: Results) -> list[tuple[str, str]]:
    """(machine, model) of every model that a machine has a record of. Machines are never ranked against each other."""
    pairs = [(machine_of(one), one.model) for one in results.records if one.machine != SEVERAL]
    return sorted(dict.fromkeys(pairs), key=lambda pair: (results.models.index(pair[1]), pair[0]))


def ranking(results: Results, cells: Sequence[Latency]) -> tuple[str, list[Latency]]:
    """A verdict over cells of one machine, model and batch, and the cells that it is about, the fastest first.

    "fastest": one that all others are slower than, for sure; "tie": all that may be the fastest; both may be found on a
    busy machine, and say so; "cannot tell": the machine was too busy; "the only one": nothing to compare it with;
    "none". Where nothing vouches for the model, the first two begin with "unvouched: ". A cell whose accuracy did not
    hold takes no part, nor does a lowered precision that is slower than FP32, nor one that a server on another machine
    computed: machines are never ranked against each other.
    """
    held = [cell for cell in _sound(results, cells) if results.accurate(cell) is not False and not cell.elsewhere]
    able = [cell for cell in held if not slower(results, cell)]
    if not able or len(held) < 2:
        return ("the only one" if able else "none"), able
    spread = pairs.spread(able)
    first = _not_surely_slower(able, spread)
    others = [cell for cell in able if cell is not first]
    gains = [faster.faster(cell, first, spread) for cell in others]
    if None in gains:
        return "cannot tell", []
    close = [cell for cell, gain in zip(others, gains, strict=True) if gain and not (gain.sure and gain.value > 1)]
    verdict = "tie" if close else "fastest"
    if results.unvouched(first.model):  # parity holds no cell of it against Paddle
        verdict = f"unvouched: {verdict}"
    return f"{verdict}, on a busy machine" if any(map(busy, able)) else verdict, [first, *close]


def _not_surely_slower(cells: Sequence[Latency], spread: Noise) -> Latency:
    """The first of some cells that none is faster than, for sure."""
    first = cells[0]
    for cell in cells[1:]:
        gain = faster.faster(first, cell, spread)
        if gain and gain.sure and gain.value > 1:
            first = cell
    return first


def busy(cell: Latency) -> bool:
    """Whether other programs ran beside it so much that its own samples do not tell a quiet machine's median.

    Where it is not known what its samples met, as on a GPU or without Linux's counters, whatever disturbed it counts.
    """
    unknown = cell.undisturbed is None or (cell.device or "CPU") != "CPU"
    return cell.undisturbed == 0 or bool(cell.disturbed and unknown)


def programs_of(cells: Iterable[TimedRecord]) -> str:
    """Which programs took the processor while some cells were measured, with what they took of a core; "" where nothing
    is known of it."""
    heaviest: dict[str, float] = {}
    for cell in cells:
        for name, share in (cell.disturbance.programs if cell.disturbance else {}).items():
            heaviest[name] = max(share, heaviest.get(name, 0.0))
    return programs.told(dict(sorted(heaviest.items(), key=lambda pair: -pair[1])[:_MOST_PROGRAMS]))


def inaccurate(results: Results, cells: Sequence[Latency]) -> list[Latency]:
    """The cells that would take part in a ranking, had their accuracy held; the fastest first."""
    return [cell for cell in _sound(results, cells) if results.accurate(cell) is False]


def _sound(results: Results, cells: Sequence[Latency]) -> list[Latency]:
    """The cells that have a proven speed; the fastest first."""
    return faster.order([cell for cell in cells if cell.measured and not results.doubt(cell)])


def slower(results: Results, cell: Record) -> faster.Faster | None:
    """How many times as fast as FP32 a latency in a lowered precision is, where it is slower for sure; None elsewhere.

    Such a cell is not offered: it takes no part in rankings and is recommended nowhere, since FP32 of the same machine,
    model, runtime, device, batch and threads is faster and loses nothing. Of several such FP32, whose settings differ,
    the fastest tells.
    """
    if id(cell) not in results.judged:  # all tables ask, and pairs of turns take long
        results.judged[id(cell)] = cell, _slower(results, cell)
    found: faster.Faster | None = results.judged[id(cell)][1]
    return found


def _slower(results: Results, cell: Record) -> faster.Faster | None:
    if not isinstance(cell, Latency) or cell.precision == FP32 or not cell.measured or results.doubt(cell):
        return None
    same = {name: getattr(cell, name) for name in ("machine", "model", "runtime", "device", "batch", "threads")}
    exact = results.of(Latency, precision=FP32, **same)
    bases = [one for one in exact if one.measured and not results.doubt(one) and results.accurate(one) is not False]
    gains = [gain for one in bases if (gain := faster.faster(one, cell))]
    return min((gain for gain in gains if gain.sure and gain.value < 1), key=lambda gain: gain.value, default=None)


def _slower_note(gain: faster.Faster) -> str:
    assert gain.interval is not None  # who has none is not slower for sure
    times, ends = 1 / gain.value, (1 / gain.interval[1], 1 / gain.interval[0])
    return say(_SLOWER_NOTE, times=measured(times, ends), ends=spread(times, ends))


def median(cell: Latency) -> float:
    """The median (ms) of a cell that was measured: a record without one is none (`Latency.__post_init__`)."""
    assert cell.median_ms is not None
    return cell.median_ms
