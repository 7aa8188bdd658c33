"""`python -m reports [RESULTS...]`: the report of what is stored. Nothing is measured."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from convert.common.boundary import BoundedCommand
from convert.common.console import say
from convert.common.disk.files import write_text
from convert.common.disk.folders import FolderToWrite
from convert.common.errors import InputError, WriteError, listing
from reports import language, written
from reports.load import results
from reports.render import terminal
from reports.tables import report as tables
from reports.text import one_line
from reports.written import FORMATS
from runtimes.records import store

if TYPE_CHECKING:
    from reports.pictures import PictureGroup


_NO_PHOTOS = "no photos to show: these results do not say on which ones runtimes disagree (accuracy of several does)"


@click.command(cls=BoundedCommand)
@click.argument("paths", metavar="[RESULTS]...", nargs=-1, type=click.Path(path_type=Path))
@click.option("--format", "formats", default="md", show_default=True, help=f"Comma-separated: {', '.join(FORMATS)}.")
@click.option(
    "--lang",
    type=click.Choice(language.LANGUAGES),
    default="en",
    show_default=True,
    help="Language of the report: English, or Chinese.",
)
@click.option("--title", help="Title of the report. [default: the names of the runs]")
@click.option(
    "--with-images",
    "with_images",
    is_flag=True,
    help="html: thumbnails of the photos on which runtimes disagree, where accuracy was measured, inside the page.",
)
@click.option("--out", type=FolderToWrite(), help="Folder of the report; default: that of the results.")
def main(
    paths: tuple[Path, ...], formats: str, lang: str, title: str | None, with_images: bool, out: Path | None
) -> None:
    """Write the report of RESULTS: folders, or files that `python -m reports.export` made (default: the newest folder).

    Several become one report, which needs --out. It is a pure function of results.jsonl and environment.json. Files:
    report.md, report.html, report.json, report.tex, report-TABLE.csv.

    What cannot be read is named and left out: the report is then of the rest, and the exit status is 2.

    \b
    python -m reports
    python -m reports results/<run> --format md,html
    python -m reports results/a b.vitbench.json.gz --format html --out both
    """
    wanted, made = _formats(formats), list[Path]()
    if with_images and "html" not in wanted:
        raise InputError("--with-images: only html has pictures: add --format html")
    sources = paths or (store.newest_run(),)
    folder = out or _only_folder(sources)
    found = results.load(sources)
    for source, problem in found.damaged.items():
        say(f"left out: {problem if source in problem else f'{source}: {problem}'}")
    if found.passed_over:
        count = len(found.passed_over)
        records = "a newer record is" if count == 1 else f"{count} newer records are"
        say(f"{records} passed over: earlier ones are better measured; the report names them")
    if title:
        found = replace(found, name=one_line(title) or found.name)
    with language.speaking(lang):
        report = tables.build(found)
        pictures = _pictures(found, sources) if with_images else None
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for file, text in (one for name in wanted for one in written.files(report, found, name, pictures).items()):
                write_text(folder / file, text)
                made.append(folder / file)
        except OSError as error:
            raise InputError(f"the report cannot be written: {WriteError(folder, error).message}") from None
        terminal.show(report, terminal.console(sys.stdout.isatty()))
    for path in made:
        click.echo(path)
    if found.damaged:
        left_out = f"{len(found.damaged)} of {len(dict.fromkeys(sources))} results"
        raise InputError(f"the report is written without {left_out}, which cannot be read: {listing(found.damaged)}")


def _pictures(found: results.Results, sources: tuple[Path, ...]) -> list[PictureGroup]:
    """The photos for the page. What cannot be shown is said here too."""
    from reports import pictures  # late: pandas and OpenCV take their time, and only this option needs them

    groups = pictures.gather(found, sources)
    for group in groups:
        if group.why:
            say(group.why)
    if not groups:
        say(_NO_PHOTOS)
    return groups


def _only_folder(sources: tuple[Path, ...]) -> Path:
    if len(sources) == 1 and not sources[0].is_file():
        return sources[0]
    raise InputError(
        "--out FOLDER is needed: a report of several results, or of an exported file, has no place of its own"
    )


def _formats(text: str) -> list[str]:
    names = list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    for name in names or [text]:
        if name not in FORMATS:
            raise InputError(f"--format {name!r} is no format; there are {', '.join(FORMATS)}")
    return names


if __name__ == "__main__":
    main(prog_name="python -m reports")
