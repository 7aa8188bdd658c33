"""`python -m reports.compare BASE NEW`: what changed between two results, and a verdict."""

from __future__ import annotations

from pathlib import Path

import click

from convert.common.boundary import BoundedCommand, in_words
from convert.common.console import printer, say
from convert.common.disk.files import json_text, write_text
from convert.common.errors import CannotTell, CheckFailed, InputError, told
from reports.compare import writers
from reports.compare.judge import DEFAULT, OPEN, REGRESSION, SMALLEST, held


@click.command(cls=BoundedCommand)
@click.argument("base_path", metavar="BASE", type=click.Path(path_type=Path))
@click.argument("new_path", metavar="NEW", type=click.Path(path_type=Path))
@click.option(
    "--fail",
    "fails",
    multiple=True,
    metavar="FIGURE:NUMBER%",
    help="Exit status 1 on such a change for the worse; repeatable. Figures: median, p90, p95, p99, throughput,"
    f" accuracy (percentage points).  [default: {', '.join(DEFAULT)}]",
)
@click.option(
    "--smallest",
    default=SMALLEST,
    show_default=True,
    metavar="NUMBER%",
    help="Changes of speed count only where they are certain to be larger than this.",
)
@click.option(
    "--fail-unknown",
    is_flag=True,
    help="Exit status 3 where nothing can be said of a cell that --fail asks for; without it 0.",
)
@click.option("--markdown", type=click.Path(path_type=Path), help="Write it as Markdown too, for a pull request.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output, nothing else there.")
def main(
    base_path: Path,
    new_path: Path,
    fails: tuple[str, ...],
    smallest: str,
    fail_unknown: bool,
    markdown: Path | None,
    as_json: bool,
) -> None:
    """Hold the results NEW against BASE, cell by cell. Each is a results folder or an exported file.

    Compared is the same model, runtime, precision, device, settings, batch and threads, measured on the same machine.
    A change is one only where it is statistically so, by the variation between processes and for the number of cells
    looked at. It fails where it is for the worse and the threshold cannot be excluded: a true slow-down of 5 % is
    measured below 5 % every other time. What does not run any more, or fails parity now, fails always.

    \b
    ✅ exit status 0: it holds, and all that --fail asks for was judged
    ❌ exit status 1: a regression
    ❔ nothing can be said of some cells: 0, and 3 with --fail-unknown
    2: the input is wrong, or the two have no cell in common

    \b
    python -m reports.compare results/main results/branch --fail median:5% \\
        --markdown comment.md
    """
    found = held(base_path, new_path, fails or DEFAULT, smallest)
    if markdown:
        try:
            write_text(markdown, writers.markdown(found, found.base, found.new))
        except OSError as error:
            raise InputError(f"--markdown {markdown}: cannot be written ({in_words(error)})") from None
        say(f"written: {markdown}")
    if as_json:
        click.echo(json_text(writers.document(found), allow_nan=False))
    else:
        writers.terminal(found, printer(stderr=False))
    say(f"{writers.SIGNS[found.outcome]} {told(writers.summary(found, told))}")
    said = writers.verdict(found)
    if found.outcome == REGRESSION:
        raise CheckFailed(said)
    if found.outcome == OPEN and fail_unknown:
        raise CannotTell(said)


if __name__ == "__main__":
    main(prog_name="python -m reports.compare")
