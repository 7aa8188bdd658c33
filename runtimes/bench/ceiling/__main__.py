"""`python -m runtimes.bench.ceiling`: what this machine reaches at its best."""

from __future__ import annotations

from collections.abc import Iterator

import click

from convert.common import typed
from convert.common.boundary import BoundedCommand
from convert.common.console import say_json
from convert.common.errors import told
from convert.precision.table import INT8
from runtimes.bench.ceiling import kept
from runtimes.bench.ceiling.measure import SECONDS
from runtimes.bench.ceiling.reach import BANDWIDTH, Ceiling, Reach


@click.command(cls=BoundedCommand)
@click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output instead of the table.")
@click.option("--fresh", is_flag=True, help="Measure once more, though it is known, and keep the better.")
@click.option("--forget", "anew", is_flag=True, help="Forget what is known of this machine first.")
@click.option(
    "--seconds",
    default=SECONDS,
    show_default=True,
    type=click.FloatRange(min=0, max=60),
    help="Seconds of measuring for each precision.",
)
def main(as_json: bool, fresh: bool, anew: bool, seconds: float) -> None:
    """The machine's ceiling: GFLOP/s of a large matrix product in each precision, and memory bandwidth.

    It is measured on the first three occasions; the best of them is kept and used from then on.

    \b
    python -m runtimes.bench.ceiling
    python -m runtimes.bench.ceiling --fresh --json
    """
    if anew:
        kept.forget()
    found = kept.known(fresh, seconds)
    if as_json:
        say_json({"ceiling": typed.table(found)})
    else:
        click.echo("\n".join(map(told, summary(found))))


def summary(found: Ceiling) -> list[str]:
    """The ceiling for people, a line for each number."""
    lines = [line for place in (found, *found.gpus) for line in _numbers(place)]
    if not found.gpus:
        lines.append(f"GPU - {found.unmeasured['gpus']}")
    lines.append(f"the best of {found.occasions} quiet measurements")
    return [*lines, found.disturbed] if found.disturbed else lines


def _numbers(found: Reach) -> Iterator[str]:
    numbers = {BANDWIDTH: found.bandwidth_gb_s} if BANDWIDTH in {**found.how, **found.unmeasured} else {}
    for name, value in {**found.gflops, **numbers}.items():
        unit = {INT8: "GOP/s", BANDWIDTH: "GB/s"}.get(name, "GFLOP/s")
        text = f"- {found.unmeasured[name]}" if value is None else f"{value:,.1f} {unit}: {found.how[name]}"
        yield f"{found.device} {name.removesuffix('_gb_s')} {text}"


if __name__ == "__main__":
    main(prog_name="python -m runtimes.bench.ceiling")
