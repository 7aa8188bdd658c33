"""How many times as fast as Paddle Inference a model's variants are: runtimes and precisions, measured in turn.

A cell is runtime:precision, with the default settings of the runtime. Each round measures the baseline and every cell
once, in random order, each in a fresh process, and gives a ratio of medians for each cell. Rounds in which the machine
changed its speed are counted and left out. The figure is the geometric mean over rounds, its 95 % interval Student's t
on the logarithms: 3.9 means that the baseline takes 3.9 times as long. A runtime that computed in another precision
than it was asked for fails. The last finding is the fastest cell.

README's figures are those of one model at batch 1. Another machine has others: a cell holds unless it is faster than
the baseline where it is said to be slower, or the other way round, beyond its interval.

This is about speed alone: whether a variant is as good, `validate.parity` and `validate.accuracy` say.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping

from convert.common.errors import InputError
from convert.zoo import DEFAULT_MODEL
from scripts.common import ClaimOptions, Finding, Verdict, compared, verdict
from scripts.interleaved import Ratio, Rounds, measure, possible, runnable, visit_ms

BASELINE = "paddle:fp32"
CELLS = "openvino:int8,openvino:bf16,openvino:fp32,ort-cpu:int8,ort-cpu:fp32,mnn:fp32,paddle:bf16"
# README's, of ViT_base_patch32_384 at batch 1 on two cores of an AMD EPYC.
STATED = {
    "openvino:int8": 4.35,
    "ort-cpu:int8": 3.28,
    "openvino:bf16": 2.50,
    "paddle:bf16": 1.72,
    "openvino:fp32": 1.39,
    "ort-cpu:fp32": 1.28,
    "mnn:fp32": 0.57,
}
AT_LEAST = 3.0  # times as fast: the fastest of these cells, on a processor with VNNI or AMX


def find(options: ClaimOptions) -> Iterator[Finding]:
    """How many times as fast as the baseline each cell of each model is, the slowest first, and then the fastest."""
    models = options.chosen_models()
    cells = possible(f"{BASELINE},{options.cells or CELLS}")
    for model in models:
        artifacts = {precision: options.artifact(model, precision) for _, precision in cells.values()}
        title = f"{next(iter(artifacts.values())).model}, batch {options.batch}"
        visits = {
            name: functools.partial(visit_ms, artifacts[precision], runtime, precision, options.batch)
            for name, (runtime, precision) in cells.items()
        }
        sides = runnable(visits, title)
        if BASELINE not in sides or len(sides) < 2:
            raise InputError(
                f"{BASELINE} and a cell to hold against it are needed; only {', '.join(sides)} can run here"
            )
        rounds = measure(sides, options.repetition(10, 2.0), title)
        in_readme = model == DEFAULT_MODEL and options.batch == 1
        at_least = options.at_least or (AT_LEAST if in_readme and not options.cells else None)
        yield from judge(title, rounds, sorted({*sides} - {BASELINE}), STATED if in_readme else {}, at_least)


def judge(
    title: str, rounds: Rounds, cells: list[str], stated: Mapping[str, float], at_least: float | None
) -> list[Finding]:
    """The findings of one model's rounds. title: the model and the batch.

    stated: how many times as fast cells are said to be. at_least: ... the fastest one has to be; None asks for nothing.
    """

    def finding(cell: str) -> Finding:
        times = stated.get(cell)

        def holds(ratio: Ratio) -> Verdict:
            return verdict(ratio.high > 1 if times and times > 1 else ratio.low < 1)

        text = f"{times:.2f}" if times else ""
        return compared(
            "variants", f"{title}, {cell}", text, rounds, (BASELINE, cell), holds if times else None, digits=2
        )

    if not rounds.enough:
        return [compared("variants", title, "", rounds, (BASELINE, BASELINE))]
    ascending = sorted(cells, key=lambda cell: rounds.ratio(BASELINE, cell).value)
    subject = f"{title}, fastest: {ascending[-1]}"
    text = f"at least {at_least:g}" if at_least else ""
    enough = (lambda ratio: verdict(ratio.value >= at_least)) if at_least else None
    best = compared("variants", subject, text, rounds, (BASELINE, ascending[-1]), enough, digits=2)
    return [*map(finding, ascending), best]
