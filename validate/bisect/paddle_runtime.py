"""Where Paddle Inference stops being the model: its own program as it runs it, against plain kernels in float64.

oneDNN's kernels and the passes of the graph depend on what is asked for: with every value asked for, an operator may
be right that is wrong in the whole program. So the program is cut behind one operator after the other, by halves.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from convert.artifact import Artifact
from convert.common import typed, worker
from convert.common.disk import scratch
from convert.common.disk.files import writing
from convert.common.errors import CheckFailed
from convert.images.inputs import Inputs
from runtimes.base import Options, Runtime
from runtimes.infer import infer_all
from validate.bisect import locations, paddle_program
from validate.bisect.bisection import BisectionResult, JudgedTensor, Say
from validate.bisect.fault import Fault
from validate.bisect.judgement import Judgement, judge
from validate.bisect.paddle_activations import PaddleActivations, cut
from validate.bisect.paddle_program import PaddleOperator, PaddleProgram


@dataclass(frozen=True)
class RuntimeRun:
    """A program of Paddle's with its parameters as the adapter runs it. images, found: .npy files."""

    program: str
    params: str
    options: Options
    images: str
    found: str


def bisect(artifact: Artifact, runtime: Runtime, options: Options, inputs: Inputs, say: Say) -> BisectionResult:
    """The first operator of the Paddle program whose value leaves its bound on Paddle Inference.

    It is taken for granted that what is wrong once stays wrong. CheckFailed when Paddle does not run the program.
    """
    with scratch.folder() as folder, writing(folder):
        base, images = artifact.base, folder / "images.npy"
        np.save(images, inputs.images)
        program = paddle_program.read(base.paddle_program)
        read = {*program.users, program.output}  # what nothing reads, as the mean of a LayerNorm, may not be kept
        made = [
            (one, value) for one in program.operators for value in one.outputs if value in program.activations & read
        ]
        say(f"{artifact.model}: the whole program on {runtime.name}")
        paddle = PaddleActivations(base, folder, options.thread_count())

        def judged_as(file: Path, value: int) -> Judgement:
            # One value at a time: a later operator may work in the memory of an earlier one's.
            truth, own = paddle.compute({program.input: images}, [value])
            return judge(np.load(file), truth[value], own[value], options.precision)

        document = json.loads(base.paddle_program.read_text(encoding="utf-8"))

        def judged(value: int) -> Judgement:
            part, file = folder / "part.json", folder / "found.npy"
            part.write_text(json.dumps(cut(document, [program.input], [value])), encoding="utf-8")
            job = RuntimeRun(str(part), str(base.paddle_params), options, str(images), str(file))
            try:
                worker.call("validate.bisect.paddle_runtime:run_program", {"run": typed.table(job)})
            except worker.JobError as error:
                raise CheckFailed(f"{runtime.name} does not run its program up to one of its values: {error}") from None
            return judged_as(file, value)

        try:
            files, effective = infer_all(artifact, runtime.name, options, inputs.images, folder)
        except worker.JobError as error:
            raise CheckFailed(f"{runtime.name} does not run {artifact.model}: {error}") from None
        (logits,) = files.values()
        last = judged_as(logits, program.output)
        found = BisectionResult(
            [JudgedTensor("model", _name(program.maker[program.output]), last)], effective=effective
        )
        if last.bad:
            places = locations.locate(program, artifact.spec)
            say(f"{artifact.model}: its operators on {runtime.name}, by halves")
            rows = _search([value for _, value in made], judged)
            found.sessions, found.opened = len(rows) + 1, "model"
            found.operators = [
                JudgedTensor(f"{places[one.index].layer} {one.kind}", _name(one), rows[value])
                for one, value in made
                if value in rows
            ]
            found.fault = _fault(program, places, rows, last, options)
        return found


def _search(values: list[int], judged: Callable[[int], Judgement]) -> dict[int, Judgement]:
    """The judgements that were needed to know the first bad value, of which the last is bad in the whole program."""
    rows: dict[int, Judgement] = {}
    low, high = -1, len(values) - 1
    rows[values[high]] = judged(values[high])
    if not rows[values[high]].bad:
        return rows
    while high - low > 1:
        middle = (low + high) // 2
        rows[values[middle]] = judged(values[middle])
        low, high = (low, middle) if rows[values[middle]].bad else (middle, high)
    return rows


def _fault(
    program: PaddleProgram,
    places: dict[int, locations.Location],
    rows: dict[int, Judgement],
    whole: Judgement,
    options: Options,
) -> Fault:
    """The operator of the first bad value; the model as a whole where none is when the program is cut."""
    first = min((value for value, one in rows.items() if one.bad), key=lambda v: program.maker[v].index, default=None)
    operator = program.maker[program.output if first is None else first]
    place, judgement = places[operator.index], whole if first is None else rows[first]
    plain = "give --option paddle.kernels=plain, which is the reference's way"
    return Fault(
        block="model" if first is None else place.block,
        layer="model" if first is None else place.layer,
        operator=None if first is None else operator.kind,
        tensor=_name(operator),
        nodes=[],
        statistic=judgement.statistic,
        error=judgement.errors.get(judgement.statistic),
        bound=judgement.bounds.get("max" if judgement.statistic == "nonfinite" else judgement.statistic),
        max_abs=judgement.errors.get("max"),
        nonfinite=judgement.nonfinite,
        input_range=None,
        cause="none of its operators is when its value is asked for" if first is None else None,
        advice=f"Paddle Inference computes its own program wrongly in {options.precision}: {plain}",
        mending_precision=None,
    )


def _name(operator: PaddleOperator) -> str:
    return f"{operator.label}.{operator.number}"


def run_program(payload: dict[str, Any]) -> None:
    """The other side of `bisect`: one run as the adapter does it."""
    from runtimes.adapters import paddle_inference

    run = typed.read(RuntimeRun, payload["run"])
    _, predictor = paddle_inference.predictor(Path(run.program), Path(run.params), run.options)
    (source,), (result,) = predictor.get_input_names(), predictor.get_output_names()
    predictor.get_input_handle(source).copy_from_cpu(np.load(run.images))
    predictor.run()
    np.save(run.found, predictor.get_output_handle(result).copy_to_cpu())
