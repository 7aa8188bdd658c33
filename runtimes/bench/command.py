"""The bench's command: how fast models are on runtimes, each visit in a process of its own."""

from __future__ import annotations

import copy
import functools
import secrets
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from convert import cli
from convert.build import Request
from convert.common import typed
from convert.common.boundary import BoundedCommand, results_in
from convert.common.console import print_table, printer, say, say_json
from convert.common.disk.files import write_json
from convert.common.errors import CheckFailed, InputError, told
from runtimes.bench import describe
from runtimes.bench.ceiling import kept as ceiling
from runtimes.bench.cluster.measure import ClusterBench
from runtimes.bench.plan import estimate, overview, plan_file
from runtimes.bench.plan.matrix import cannot_exist, cells
from runtimes.bench.plan.plan import Plan
from runtimes.bench.plan.plan_file import OF_MATRIX, OF_PLAN, PlanFile
from runtimes.bench.plan.settings import HOW_HARD, SERVER, WHAT, WHERE, Matrix, Policy, declared, policy
from runtimes.bench.schedule import display, run
from runtimes.bench.schedule.parity import Prove
from runtimes.cluster import connect
from runtimes.options import fresh_option, resume_option, session_flags
from runtimes.records import reading, store
from runtimes.records.kinds import TimedRecord
from runtimes.system import environment

_GROUP_OF = {"plan": WHAT} | {key: setting.group for key, setting in {**OF_MATRIX, **OF_PLAN}.items()}


def _key(param: click.Parameter) -> str:
    return param.opts[0].lstrip("-").replace("-", "_")


class Grouped(BoundedCommand):
    """A command whose options are listed in groups; --help, which click adds, ends the last one."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            raise InputError(error.format_message()) from None  # in a line

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        groups: dict[str, list[tuple[str, str]]] = {title: [] for title in (WHAT, HOW_HARD, SERVER, WHERE)}
        for param in self.get_params(ctx):
            if line := param.get_help_record(ctx):
                groups[_GROUP_OF.get(_key(param), WHERE)].append(line)
        for title, found in groups.items():
            with formatter.section(title):
                formatter.write_dl(found)


def _declared_options(command: Any) -> Any:
    """The options that plan/settings.py declares, but for `--threads`, which stands among those of a session."""
    defaults = {"batch": ",".join(map(str, Matrix.batch)), "mode": ",".join(Matrix.mode)}
    settings = [*declared(Matrix).values(), *declared(Policy).values()]
    for setting in reversed([one for one in settings if one.help and one.key != "threads"]):
        command = setting.option(defaults.get(setting.key))(command)
    return command


@click.command(cls=Grouped)
@cli.model_options
@functools.partial(session_flags, threads=declared(Matrix)["threads"].option())
@_declared_options
@click.option(
    "--plan",
    metavar="FILE.toml",
    type=click.Path(path_type=Path),
    help="What to measure, as tables of a TOML file: several matrices.",
)
@click.option("--seed", type=click.IntRange(min=0), help="Seed of the random order of visits. [default: drawn]")
@click.option("--cluster", metavar="auto|HOST:PORT", help=connect.HELP)
@resume_option
@fresh_option
@click.option("--dry-run", is_flag=True, help="Only show what would be measured and what it would take.")
@click.pass_context
def main(
    ctx: click.Context,
    /,
    root: Path,
    out: Path | None,
    resume: bool,
    fresh: bool,
    as_json: bool,
    cluster: str | None,
    **_: Any,
) -> None:
    """Measure how fast models are on runtimes.

    Models are converted and their parity is checked first; a cell that fails it is refused. Each cell (a model on a
    runtime in a precision, with a batch size and so on) is measured in several fresh processes, in random order with
    the others, until its median is known well enough. One record per cell, raw samples included, is appended to
    results.jsonl in the results folder.

    \b
    latency     one request at a time, from images in memory to logits in memory
    throughput  back to back; batch (among --batch) and streams are searched
    server      at random moments: the highest rate that keeps a latency bound

    Exit status 1 when a cell was refused or failed, 2 when the usage is wrong, 130 after Ctrl-C, 143 after SIGTERM.

    \b
    python -m runtimes.bench --model ViT_base_patch32_384 \\
        --runtime ort-cpu,openvino --batch 1,8
    python -m runtimes.bench --threads 1,2 --target 0.5% --dry-run
    python -m runtimes.bench --plan night.toml --out results/night
    """
    given = {_key(param): ctx.params[param.name or ""] for param in ctx.command.params}
    prove, prover = ctx.obj
    file = _file(ctx, given["plan"], root, cluster is None)
    effort = policy(file.effort if file else {}, {key: given[key] for key in OF_PLAN if key != "seed"})
    folder = out or (store.newest_run() if resume else store.new_run())
    seed = next((one for one in (given["seed"], file.seed if file else None) if one is not None), None)
    results_in(folder)
    if not given["dry_run"]:
        store.refuse_unfinished(folder, "bench", resume, fresh)
    matrices = file.matrices if file else [Matrix.from_options(given, "batch" in _typed(ctx))]
    if cluster is not None:
        there = ClusterBench(cluster, matrices, effort, folder, seed, resume, prover, file.prices if file else ())
        if given["dry_run"]:
            there.dry_run(as_json)
            return
        _conclude(*there.measure(), as_json)
        return
    if given["dry_run"]:
        missing: list[Request] = []
        machine = environment.setting_key(environment.describe())
        plan = _plan(matrices, effort, machine, folder, seed, resume, missing)
        _show(replace(plan, unconverted=tuple(dict.fromkeys(missing))), as_json)
        return
    _conclude(*measure(matrices, effort, folder, seed, resume, prove), as_json)


def _conclude(made: list[TimedRecord], unmade: tuple[str, ...], as_json: bool) -> None:
    """Print the records where they are the result. CheckFailed for cells without numbers."""
    if as_json:
        tables = [reading.to_table(record) for record in made]
        say_json({"records": tables})
    bad = [f"{describe.name(one)} {one.status}: {one.reason}" for one in made if not one.measured]
    if bad:
        raise CheckFailed(f"{len(bad)} of {len(made)} cells have no numbers: {bad[0]}")
    if unmade:
        raise CheckFailed(unmade[0])


def measure(
    matrices: Sequence[Matrix], effort: Policy, folder: Path, seed: int | None, resume: bool, prove: Prove
) -> tuple[list[TimedRecord], tuple[str, ...]]:
    """Measure the cells of some matrices into a results folder; the record of each, and why some artifacts could not
    be made.

    The plan and its progress are told on standard error. seed: of the order of visits, drawn for None. resume, prove:
    as in `run.run`. InputError for what cannot be measured at all.
    """
    machine = environment.setting_key(environment.describe())
    plan = _plan(matrices, effort, machine, folder, seed, resume)
    return carry_out(plan, machine, folder, resume, prove), plan.unmade


def carry_out(plan: Plan, machine: str, folder: Path, resume: bool, prove: Prove) -> list[TimedRecord]:
    """Measure what a plan has; the record of each cell. machine: as in keys. The others as in `measure`."""
    with store.alone(folder), store.until_finished(folder, "bench"):
        _show(plan)
        if resume:
            say(overview.left_behind(folder / overview.PLAN, plan))
        write_json(folder / overview.PLAN, overview.as_dict(plan))
        environment.save(folder, ceiling=typed.table(ceiling.known()))
        with display.shown(plan, machine, printer()) as watch:
            made = list(run.run(plan, folder, resume, watch, prove))
    for line in watch.summary():
        say(line)
    say(f"records: {folder / store.RESULTS}")
    return made


def _plan(
    matrices: Sequence[Matrix],
    effort: Policy,
    machine: str,
    folder: Path,
    seed: int | None,
    resume: bool,
    missing: list[Request] | None = None,
) -> Plan:
    """missing: as in `matrix.cells`."""
    drawn = secrets.randbelow(1 << 32) if seed is None else seed
    unmade: list[str] = []
    plan = estimate.plan(cells(matrices, missing, unmade), effort, machine, folder, drawn, resume)
    return replace(plan, left_out=cannot_exist(matrices), unmade=tuple(unmade))


def command(prove: Prove, prover: str) -> click.Command:
    """The command. prove: checks parity where it is not known yet, by whoever stands above this floor. prover: the
    module that has such a function for a machine of a cluster, as `prove`, and computes what it needs, as `refer`."""
    made = copy.copy(main)
    made.context_settings = {"obj": (prove, prover)}
    return made


def _typed(ctx: click.Context) -> dict[str, click.Parameter]:
    """The options that the user typed, by their keys."""
    return {
        _key(param): param
        for param in ctx.command.params
        if ctx.get_parameter_source(param.name or "") == ParameterSource.COMMANDLINE
    }


def _file(ctx: click.Context, path: Path | None, root: Path, here: bool) -> PlanFile | None:
    """The plan file. here: whether this machine measures.

    InputError when options say beside it which cells there are: which of them should hold? And for machines of a
    cluster where there is none.
    """
    if path is None:
        if here and ctx.params["where"] is not None:
            raise InputError("--where names machines of a cluster: give --cluster too")
        return None
    stray = [param for key, param in _typed(ctx).items() if key in OF_MATRIX and key != "artifacts"]
    if stray:
        raise InputError(f"{stray[0].opts[0]} beside --plan: write it into {path}, or leave --plan out")
    file = plan_file.load(path, root, here)
    if here and file.of_clusters:
        raise InputError(f"{path}: {file.of_clusters} is about machines of a cluster: give --cluster too")
    return file


def _show(plan: Plan, as_json: bool | None = None) -> None:
    """The plan: on standard error before it is carried out; as_json given, it is the result itself."""
    if as_json:
        say_json({"plan": overview.as_dict(plan)})
        return
    console = printer(stderr=as_json is None)
    if plan.cells or not plan.unconverted:
        print_table(console, overview.table(plan), ("runtime",))
    for line in overview.totals(plan):
        console.print(told(line), highlight=False, markup=False, soft_wrap=True)
