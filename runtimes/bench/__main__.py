"""`python -m runtimes.bench`: how fast models are on runtimes, each visit in a process of its own."""

from __future__ import annotations

import dataclasses
import functools
import json
import secrets
import shlex
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from convert import cli
from convert.common.errors import CheckFailed, InputError
from convert.common.files import write_json
from runtimes.bench.ceiling import __main__ as ceiling
from runtimes.bench.plan import estimate, overview
from runtimes.bench.plan import toml_file as planfile
from runtimes.bench.plan.matrix import PERCENTILES, Matrix, Plan, Policy, cells, models
from runtimes.bench.plan.toml_file import PlanFile
from runtimes.bench.schedule import display, run
from runtimes.bench.worker.job import MODES
from runtimes.option_lists import numbers, precisions, words
from runtimes.options import Asked, ask, resume_option, session_flags
from runtimes.records import blank as records
from runtimes.records import store
from runtimes.records.store import Record
from runtimes.system import environment

PLAN = "plan.json"  # in the results folder: what the last command planned, and the seed of its order
INTERRUPTED = 130  # 128 + SIGINT, as shells have it
# What says which cells there are, by the options' names in Python; a plan file says the same.
_MATRIX = (
    *("models", "weights", "precision", "chosen", "device", "batch", "threads", "modes", "streams", "pairs", "cache"),
    *("latency_bound", "percentile"),
)
_GROUPS = {
    "What to measure": (
        *("models", "weights", "precision", "chosen", "device", "batch", "threads", "modes", "streams", "pairs"),
        "plan_file",
    ),
    "How hard to try": (*planfile.EFFORT, "seed"),
    "Mode server": ("latency_bound", "percentile"),
    "Where, and how it is said": ("out", "resume", "dry_run", "as_json", "root", "cache"),
}


class Grouped(click.Command):
    """A command whose options are listed in groups; --help, which click adds, ends the last one."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            raise InputError(error.format_message()) from None  # in a line

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        lines = {param.name: line for param in self.get_params(ctx) if (line := param.get_help_record(ctx))}
        groups = {title: [lines.pop(name) for name in names] for title, names in _GROUPS.items()}
        next(reversed(groups.values())).extend(lines.values())
        for title, found in groups.items():
            with formatter.section(title):
                formatter.write_dl(found)


def _target(ctx: click.Context, param: click.Parameter, value: str | None) -> float | None:
    try:
        return None if value is None else planfile.share(value)
    except ValueError as error:
        raise InputError(f"--target: {error}") from None


def _effort(flag: str, kind: Any, text: str) -> Any:
    """An option that says how hard to try: what it leaves out, a plan file or `Policy` says."""
    field = planfile.field_of(flag)
    return click.option(f"--{flag}", type=kind, help=f"{text} [default: {getattr(Policy, field):g}]")


@click.command(cls=Grouped)
@cli.model_options
@functools.partial(
    session_flags,
    threads=click.option("--threads", help="Inside one operator, comma-separated. [default: every core]"),
)
@click.option("--batch", default="1,4,8", show_default=True, help="Batch sizes, comma-separated.")
@click.option("--mode", "modes", default="latency", show_default=True, help=f"Any of {', '.join(MODES)}.")
@click.option("--plan", "plan_file", metavar="FILE.toml", type=click.Path(path_type=Path), help="Several matrices.")
@_effort("processes", click.IntRange(min=1), "Fresh processes for each cell, at least.")
@_effort("min-seconds", click.FloatRange(min=0), "Measured time of a cell, at least.")
@_effort("min-count", click.IntRange(min=1), "... and inferences, at least.")
@click.option(
    "--target",
    callback=_target,
    help="... until half of the median's 95 % interval is this share of it. [default: 1%]",
)
@_effort("max-seconds", click.FloatRange(min=0), "... but no longer than this: then the cell is unstable.")
@_effort("patience", click.FloatRange(min=0), "Seconds of the run to wait while the machine is slowed down.")
@_effort("repeats", click.IntRange(min=0), "How often a disturbed visit is repeated.")
@_effort("minutes", click.FloatRange(min=0), "Of the run: then only what each cell needs at least; 0: no end.")
@click.option("--seed", type=click.IntRange(min=0), help="Of the random order of visits. [default: drawn]")
@click.option(
    "--latency-bound",
    type=float,
    metavar="MS",
    help="Milliseconds that a request may take. [default: three times the median of an idle machine]",
)
@click.option(
    "--percentile",
    type=int,
    help=f"... and how many in a hundred must: {' or '.join(map(str, PERCENTILES))}. [default: {max(PERCENTILES)}]",
)
@resume_option
@click.option("--dry-run", is_flag=True, help="Only show what would be measured and what it would take.")
@click.pass_context
def main(ctx: click.Context, root: Path, out: Path | None, resume: bool, as_json: bool, **given: Any) -> None:
    """Measure how fast models are on runtimes.

    Models are converted and their parity is checked first; a cell that fails it is refused. Each cell (a model on a
    runtime in a precision, with a batch size and so on) is measured in several fresh processes, in random order with
    the others, until its median is known well enough. One record per cell, raw samples included, is appended to
    results.jsonl in the results folder.

    \b
    latency     one request at a time, from images in memory to logits in memory
    throughput  back to back; batch (among --batch) and streams are searched
    server      requests at random moments: the highest rate that keeps a bound on latency

    Exit status 1 when a cell was refused or failed, 2 when the usage is wrong, 130 after Ctrl-C.

    \b
    python -m runtimes.bench --model ViT_base_patch32_384 --runtime ort-cpu,openvino --batch 1,8
    python -m runtimes.bench --threads 1,2 --target 0.5% --dry-run
    python -m runtimes.bench --plan night.toml --out results/night
    """
    file = _file(ctx, given["plan_file"])
    effort = _policy(file, given)
    folder = out or (store.newest_run() if resume else store.new_run())
    seeds = (given["seed"], file.seed if file else None, secrets.randbelow(1 << 32))
    seed = next(seed for seed in seeds if seed is not None)
    try:
        matrices = file.matrices(root) if file else [_matrix(ctx, root, given)]
        machine = environment.setting_key(environment.describe())
        plan = estimate.plan(cells(matrices), effort, machine, folder, seed, resume)
        if given["dry_run"]:
            _show(plan, as_json)
            return
        _show(plan)
        write_json(folder / PLAN, overview.as_dict(plan))
        environment.save(folder, ceiling=ceiling.known())
        made = _measure(plan, machine, folder, resume)
    except KeyboardInterrupt:
        cli.say(f"interrupted; to go on: {_again(ctx, folder)}")
        ctx.exit(INTERRUPTED)
    cli.say(f"records: {folder / store.RESULTS}")
    if as_json:
        click.echo(json.dumps({"records": made}, indent=2, ensure_ascii=False))
    bad = [f"{display.name(r)} {r['status']}: {r['reason']}" for r in made if r["status"] not in ("ok", "unstable")]
    if bad:
        raise CheckFailed(f"{len(bad)} of {len(made)} cells have no numbers: {bad[0]}")


def _file(ctx: click.Context, path: Path | None) -> PlanFile | None:
    """The plan file. InputError when options say beside it which cells there are: which of them should hold?"""
    if path is None:
        return None
    typed = [param for param in ctx.command.params if param.name in _MATRIX and _was_typed(ctx, param)]
    if typed:
        raise InputError(f"{typed[0].opts[0]} beside --plan: write it into {path}, or leave --plan out")
    return planfile.load(path)


def _policy(file: PlanFile | None, given: dict[str, Any]) -> Policy:
    """How hard to try: the command line has the last word, then the file."""
    effort = {planfile.field_of(name): given[name] for name in planfile.EFFORT}
    return (file or PlanFile(Path(), ())).effort(**effort)


def _matrix(ctx: click.Context, root: Path, given: dict[str, Any]) -> Matrix:
    batches_typed = any(param.name == "batch" and _was_typed(ctx, param) for param in ctx.command.params)
    axes: dict[str, Any] = {
        "models": models(given["models"]),
        "precisions": precisions(given["precision"]),
        "batches": numbers("--batch", given["batch"]),
        "threads": numbers("--threads", given["threads"]) if given["threads"] else [None],
        "modes": words(given["modes"]),
        "weights": given["weights"],
        "root": root,
        "batches_given": batches_typed,
        "latency_bound_ms": given["latency_bound"],
        "percentile": given["percentile"],
    }
    # Mistakes in these are told before runtimes are looked for, which takes seconds.
    matrix = Matrix(asked=Asked([], named=False), **axes)
    asked = ask(given["chosen"], given["device"], None, given["streams"], given["cache"], given["pairs"])
    return dataclasses.replace(matrix, asked=asked)


def _show(plan: Plan, as_json: bool | None = None) -> None:
    """The plan: on standard error before it is carried out; as_json given, it is the result itself."""
    if as_json:
        click.echo(json.dumps({"plan": overview.as_dict(plan)}, indent=2, ensure_ascii=False))
        return
    console = cli.console(stderr=as_json is None)
    console.print(overview.table(plan))
    for line in overview.totals(plan):
        console.print(line, highlight=False, markup=False, soft_wrap=True)


def _measure(plan: Plan, machine: str, folder: Path, resume: bool) -> list[Record]:
    with display.shown(plan, machine, cli.console()) as watch:
        made = list(run.run(plan, folder, resume, watch))
    cli.say(watch.summary())
    return made


def _was_typed(ctx: click.Context, param: click.Parameter) -> bool:
    return ctx.get_parameter_source(param.name or "") == ParameterSource.COMMANDLINE


def _again(ctx: click.Context, folder: Path) -> str:
    """The command that goes on where this one was interrupted."""
    typed = [p for p in ctx.command.params if _was_typed(ctx, p) and p.name not in ("resume", "out")]
    options: list[str] = []
    for param in typed:
        value = ctx.params[param.name or ""]
        if isinstance(param, click.Option) and param.is_flag:
            options.append(param.opts[0])
        else:
            options += records.words({param.opts[0][2:]: list(value) if isinstance(value, tuple) else value})
    return shlex.join(["python", "-m", "runtimes.bench", *options, "--resume", "--out", str(folder)])


if __name__ == "__main__":
    main(prog_name="python -m runtimes.bench")
