"""`python -m reports [RESULTS]`: the report of what is stored. Nothing is measured."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from convert.errors import InputError
from convert.files import write_json, write_text
from reports import markdown, plain, results, tables, terminal
from runtimes.bench import store

FORMATS = ("md", "csv", "json")
PLANNED = ("html",)


@click.command()
@click.argument("results_folder", metavar="[RESULTS]", required=False, type=click.Path(path_type=Path))
@click.option("--format", "formats", default="md", show_default=True, help=f"Comma-separated: {', '.join(FORMATS)}.")
def main(results_folder: Path | None, formats: str) -> None:
    """Write the report of the results folder RESULTS (default: the newest one) into that folder.

    It is a pure function of results.jsonl and environment.json. Files: report.md, report.json, report-TABLE.csv.
    """
    wanted = _formats(formats)
    folder = results_folder or store.newest_run()
    report = tables.build(results.load(folder))
    try:
        paths = [path for name in wanted for path in _write(report, folder, name)]
    except OSError as error:
        raise InputError(f"{folder}: the report cannot be written ({error})") from None
    terminal.console(sys.stdout.isatty()).print(terminal.latencies(report))
    for path in paths:
        click.echo(path)


def _formats(text: str) -> list[str]:
    names = list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    for name in names or [text]:
        if name not in FORMATS:
            problem = "is not there yet" if name in PLANNED else "is no format"
            raise InputError(f"--format {name!r} {problem}; there are {', '.join(FORMATS)}")
    return names


def _write(report: tables.Report, folder: Path, name: str) -> list[Path]:
    if name == "md":
        write_text(folder / "report.md", markdown.render(report))
        return [folder / "report.md"]
    if name == "json":
        write_json(folder / "report.json", plain.document(report))
        return [folder / "report.json"]
    paths = [folder / f"report-{table.name}.csv" for table in report.tables]
    for path, table in zip(paths, report.tables, strict=True):
        write_text(path, plain.csv(report, table))
    return paths


if __name__ == "__main__":
    main(prog_name="python -m reports")
