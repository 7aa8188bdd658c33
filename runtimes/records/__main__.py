"""`python -m runtimes.records`: what is published of records, in docs/formats.md and docs/records.schema.json."""

from __future__ import annotations

import json
from pathlib import Path

import click

from convert.common import typed
from runtimes.records.kinds import KINDS, Record, TimedRecord

DOCS = Path(__file__).parents[2] / "docs"
FORMATS, SCHEMA = DOCS / "formats.md", DOCS / "records.schema.json"
BEGIN, END = "<!-- records: `python -m runtimes.records --write` makes what follows -->", "<!-- end of records -->"


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
    sections.append("The tables inside them:")
    for one in inside:
        sections += [f"`{one.__name__}`: {_first_line(one)}", typed.markdown(one)]
    return "\n\n".join(sections) + "\n"


def schema() -> str:
    """The JSON schema of a line of `results.jsonl`."""
    return json.dumps(typed.schema(KINDS.values()), indent=2, ensure_ascii=False) + "\n"


def documented(text: str) -> str:
    """The text of docs/formats.md with the tables of today between its two marks."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{markdown()}\n{END}{after}"


def _first_line(kind: type) -> str:
    return (kind.__doc__ or "").splitlines()[0]


@click.command()
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
