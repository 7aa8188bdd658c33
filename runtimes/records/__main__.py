"""`python -m runtimes.records`: fields of manifests and records, in docs/formats.md and docs/records.schema.json."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import click

from convert.common import typed
from convert.common.boundary import BoundedCommand
from convert.manifest import Lowering, Manifest
from runtimes.records.kinds import KINDS, Record, TimedRecord

DOCS = Path(__file__).parents[2] / "docs"
FORMATS, SCHEMA = DOCS / "formats.md", DOCS / "records.schema.json"
_BEGIN, _END = "<!-- {}: `python -m runtimes.records --write` makes what follows -->", "<!-- end of {} -->"


def manifest() -> str:
    """A table for the manifest's fields, one for those of a lower precision, and one for each table inside them."""
    sections = [
        typed.markdown(Manifest, without=Lowering),
        "The manifest of a lower precision has besides",
        typed.markdown(Lowering),
    ]
    return "\n\n".join([*sections, *_inside(typed.parts(Manifest))]) + "\n"


def markdown() -> str:
    """A table for what records have in common, one for each kind, and one for each table inside them."""
    sections = [
        "Every record has",
        typed.markdown(Record),
        "What is measured (latency, throughput, server) has besides",
        typed.markdown(TimedRecord, without=Record),
        "and each by its kind",
    ]
    inside: dict[type, None] = {}
    for name, kind in KINDS.items():
        common = TimedRecord if issubclass(kind, TimedRecord) else Record
        sections += [f"**{name}**: {_first_line(kind)}", typed.markdown(kind, without=common)]
        inside |= dict.fromkeys(typed.parts(kind))
    return "\n\n".join([*sections, *_inside(inside)]) + "\n"


def schema() -> str:
    """The JSON schema of a line of `results.jsonl`."""
    return json.dumps(typed.schema(KINDS.values()), indent=2, ensure_ascii=False) + "\n"


def documented(text: str) -> str:
    """The text of docs/formats.md with the tables of today between their marks."""
    for name, tables in (("manifest", manifest()), ("records", markdown())):
        begin, end = _BEGIN.format(name), _END.format(name)
        before, _, rest = text.partition(begin)
        _, _, after = rest.partition(end)
        text = f"{before}{begin}\n\n{tables}\n{end}{after}"
    return text


def _inside(kinds: Iterable[type]) -> list[str]:
    tables = [(f"`{one.__name__}`: {_first_line(one)}", typed.markdown(one)) for one in kinds]
    return ["The tables inside them:", *(part for table in tables for part in table)]


def _first_line(kind: type) -> str:
    return (kind.__doc__ or "").splitlines()[0]


@click.command(cls=BoundedCommand)
@click.option("--schema", "what", flag_value="schema", help="The JSON schema of a record.")
@click.option(
    "--write", "what", flag_value="write", help="Bring docs/formats.md and docs/records.schema.json up to date."
)
def main(what: str | None) -> None:
    """Print the fields of records, from their declarations: tables, as in docs/formats.md."""
    if what == "write":
        FORMATS.write_text(documented(FORMATS.read_text(encoding="utf-8")), encoding="utf-8")
        SCHEMA.write_text(schema(), encoding="utf-8")
    else:
        click.echo(schema() if what == "schema" else markdown(), nl=False)


if __name__ == "__main__":
    main(prog_name="python -m runtimes.records")
