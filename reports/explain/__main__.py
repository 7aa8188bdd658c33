"""`python -m reports.explain RUN [PUBLISHED]`: what lies between a number of one's own and a published one."""

from __future__ import annotations

from pathlib import Path

import click

from convert.common.boundary import BoundedCommand
from convert.common.console import printer
from convert.common.disk.files import json_text
from convert.precision.table import NAMES
from reports.explain import show
from reports.explain.causes import explain
from reports.explain.choose import V100, pick


@click.command(cls=BoundedCommand)
@click.argument("run", metavar="RUN", type=click.Path(path_type=Path))
@click.argument("published", metavar="[PUBLISHED]", default=V100)
@click.option("--model", help="The model of the latency in RUN.")
@click.option("--runtime", help="Its runtime.")
@click.option("--precision", type=click.Choice(NAMES), help="Its precision, as it was asked for.")
@click.option("--batch", type=click.IntRange(min=1), help="Its batch.")
@click.option("--threads", type=click.IntRange(min=1), help="Its threads, as they were asked for.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output, nothing else there.")
def main(run: Path, published: str, as_json: bool, **wanted: str | int | None) -> None:
    """Say what lies between a latency in RUN and a published one.

    RUN is a results folder or an exported file. PUBLISHED is another one, or the name of a column of PaddleClas' pages
    on these models: V100 (the default). Of both, the latencies that fit each other best are taken; where several do,
    choose with the options.

    What each side had is said cause by cause, with how many times as long the run takes for it where that can be
    computed, and what nobody recorded or published.

    \b
    python -m reports.explain results/<run> --runtime openvino
    python -m reports.explain results/mine results/theirs --json
    """
    found = explain(*pick(run, published, {name: value for name, value in wanted.items() if value is not None}))
    if as_json:
        click.echo(json_text(show.document(found), allow_nan=False))
    else:
        show.terminal(found, printer(stderr=False))


if __name__ == "__main__":
    main(prog_name="python -m reports.explain")
