"""What the commands do, as functions of a program or a notebook.

They do the same work by the same functions, tell about it on standard error, and store the same records. Where a
command ends with exit status 2, they raise `vitbench.InputError`, whose `message` is the line that the command would
print. A check that fails does not raise: what comes back has `passed`, and `problems` with that line, and `require()`
stops a program there. What was to be made and cannot be (an artifact, a folder to ship, any speed) is
`vitbench.CheckFailed`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from convert import cli
from convert.artifact import ARTIFACTS, Artifact
from convert.build import Request
from convert.common.console import say
from convert.common.errors import CheckFailed, InputError, listing
from convert.images.inputs import COUNT
from convert.models import onnx_alone
from convert.precision.table import FP32
from convert.zoo import DEFAULT_MODEL
from reports.load.results import load
from runtimes.bench import describe
from runtimes.bench.command import measure
from runtimes.bench.plan.settings import Matrix, Policy, declared, policy
from runtimes.options import precisions, select
from runtimes.records import store
from runtimes.records.kinds import Parity, TimedRecord
from validate.parity.inputs import InputOptions
from validate.parity.run import ParityRequest, conclude, hints, prove, run
from vitbench.asking import PathLike, asked, joined, path, root, several
from vitbench.inside import bisect, profile
from vitbench.quality import accuracy, compare, search
from vitbench.run_folder import ACCURACY, PARITY, SPEEDS, RunFolder
from vitbench.shipping import check, export, ship

__all__ = [
    "CheckFailed",
    "InputError",
    "accuracy",
    "bench",
    "bisect",
    "check",
    "compare",
    "convert",
    "export",
    "parity",
    "profile",
    "results",
    "search",
    "ship",
]


def convert(
    model: PathLike | None = None,
    *,
    weights: PathLike | None = None,
    precision: str = FP32,
    calibration: PathLike | None = None,
    keep_fp32: Sequence[str] | None = None,
    int8_range: str | None = None,
    smooth: float | None = None,
    opset: int | None = None,
    artifacts: PathLike = ARTIFACTS,
    weights_key: str | None = None,
    name: str | None = None,
    image_size: int | None = None,
    preprocessing: str | None = None,
    classes: int | None = None,
    onnx: PathLike | None = None,
) -> Artifact:
    """Convert a model to ONNX, as `vitbench convert` does; what is there and is the same is taken.

    model: a name, a `.toml` model spec, or a folder with a Paddle inference model; that of the
    command where neither it nor onnx is given. onnx: an ONNX file, held against the model; without one it is the model,
    and nothing vouches for it.
    The others are the options of the command. Returns the artifact: `path`, its folder; `onnx`, the file; `manifest`.
    InputError for a wrong input, CheckFailed where what came out is not the model.
    """
    if model is None:
        model, onnx = DEFAULT_MODEL if onnx is None else onnx_alone(str(onnx)), None
    request = Request(
        str(model),
        weights=None if weights is None else str(weights),
        precision=precision,
        opset=opset,
        root=Path(artifacts),
        calibration=path(calibration),
        keep_fp32=None if keep_fp32 is None else tuple(keep_fp32),
        int8_range=int8_range,
        smooth=smooth,
        weights_key=weights_key,
        name=name,
        image_size=image_size,
        preprocessing=preprocessing,
        classes=classes,
        onnx=None if onnx is None else str(onnx),
    )
    return cli.obtain_loudly(request)[0]


def parity(
    artifact: Artifact,
    images: PathLike | None = None,
    *,
    runtimes: Sequence[str] | None = None,
    precision: str | None = None,
    batches: Sequence[int] | None = None,
    limit: int = COUNT,
    device: str | None = None,
    threads: int | None = None,
    options: Iterable[str] = (),
    out: PathLike | None = None,
) -> RunFolder:
    """Hold runtimes against the Paddle model in float64, as `vitbench parity` does.

    images: photos, as `--inputs` takes them; seeded images without. runtimes: all that are available without.
    precision: of the arithmetic, where it is not the artifact's (`tf32`). batches: sizes to check, 1 and 4 without.
    limit: images used. options: `runtime.key=value` each. out: the results folder, a new one below results/ without.

    Returns the results folder with one record for each runtime; `passed` is False where a runtime does not compute what
    the model does. InputError for a wrong input.
    """
    names = precisions(precision or artifact.precision)
    chosen = select(joined("runtimes", runtimes), device, threads, pairs=options)
    sizes = cli.batches(artifact, tuple(batches or (1, 4)), batches is not None)
    folder = Path(out) if out else store.new_run()
    say(cli.drawn_weights_warning(artifact))
    made: list[Parity] = []
    with store.alone(folder):
        for one in names:
            what = asked(artifact)
            photos = InputOptions(path(images), limit)
            request = ParityRequest(what.argument, what.chosen, artifact, one, chosen, sizes, photos)
            for record in run(request, folder):
                made.append(record)
                for hint in hints(request, record, folder) if record.passed is False else ():
                    say(hint)
    try:
        conclude(made, runtimes is not None)
    except CheckFailed as error:
        return RunFolder(False, (error.message,), folder=folder, shown=(PARITY,))
    without = tuple(f"{one.model} {one.precision} on {one.runtime}: {one.reason}" for one in made if one.passed is None)
    return RunFolder(any(one.passed for one in made) or None, without, folder=folder, shown=(PARITY,))


def bench(
    artifacts: Artifact | Iterable[Artifact],
    *,
    runtimes: Sequence[str] | None = None,
    precision: str | None = None,
    batches: Sequence[int] | None = None,
    mode: Sequence[str] = Matrix.mode,
    device: str | None = None,
    threads: Sequence[int] | None = None,
    options: Iterable[str] = (),
    out: PathLike | None = None,
    resume: bool = False,
    seed: int | None = None,
    **effort: Any,
) -> RunFolder:
    """Measure how fast artifacts are on runtimes, as `vitbench bench` does, after their parity.

    runtimes: all that are available without. precision: of the arithmetic, where it is not the artifact's. batches:
    sizes, 1, 4 and 8 without. mode: any of latency, throughput and server. threads: numbers of threads, every core
    without. out, resume, seed: as of the command. effort: how hard to try, by the keys of a plan file, as
    `max_seconds=10`.

    Returns the results folder. Cells without numbers are in its `problems`, and are said on standard error; CheckFailed
    where no cell has any.
    """
    strange = sorted(set(effort) - {setting.key for setting in declared(Policy).values()})
    if strange:
        known = ", ".join(setting.key for setting in declared(Policy).values())
        raise InputError(f"{listing(strange)}: no setting of the bench; there are {known}")
    matrices = []
    named = joined("runtimes", runtimes)
    for artifact in several(artifacts):
        what = asked(artifact)
        matrices.append(
            Matrix(
                model=(what.argument,),
                runtime=None if named is None else (named,),
                precision=(precision or artifact.precision,),
                mode=tuple(mode),
                device=(device,),
                option=tuple(options),
                batch=tuple(batches or Matrix.batch),
                threads=tuple(threads) if threads else (None,),
                artifacts=str(root(artifact)),
                batches_given=batches is not None,
                **what.chosen.arguments(),
            )
        )
    folder = Path(out) if out else store.newest_run() if resume else store.new_run()
    made, unmade = measure(matrices, policy(effort), folder, seed, resume, prove)
    problems = _without_numbers(made)
    if problems and len(problems) == len(made):
        raise CheckFailed(f"no cell has numbers: {listing(problems)}; the records are in {folder}")
    problems += unmade
    for problem in problems:
        say(problem)
    return RunFolder(None, problems, folder=folder, shown=SPEEDS)


def results(folder: PathLike) -> RunFolder:
    """A results folder that is there, or a file that `vitbench share` made of some. InputError for others.

    What of it has no numbers is in its `problems`.
    """
    path = Path(folder)
    timed = [one for one in load((path,)).records if isinstance(one, TimedRecord)]
    found = RunFolder(None, _without_numbers(timed), folder=path, shown=(*SPEEDS, ACCURACY, PARITY))
    found.report_of()
    return found


def _without_numbers(records: Iterable[TimedRecord]) -> tuple[str, ...]:
    return tuple(f"{describe.name(one)} {one.status}: {one.reason}" for one in records if not one.measured)
