"""`python -m runtimes.records`: the fields of records, for people and for programs."""

from __future__ import annotations

import click

from runtimes.records import published


@click.command()
@click.option(
    "--markdown", "what", flag_value="markdown", default=True, help="Tables, as in docs/formats.md. [default]"
)
@click.option("--schema", "what", flag_value="schema", help="The JSON schema of a record.")
@click.option(
    "--write", "what", flag_value="write", help="Bring docs/formats.md and docs/records.schema.json up to date."
)
def main(what: str) -> None:
    """Print the fields of records, from their declarations."""
    if what == "write":
        text = published.documented(published.FORMATS.read_text(encoding="utf-8"))
        published.FORMATS.write_text(text, encoding="utf-8")
        published.SCHEMA.write_text(published.schema(), encoding="utf-8")
    else:
        click.echo(published.schema() if what == "schema" else published.markdown(), nl=False)


if __name__ == "__main__":
    main(prog_name="python -m runtimes.records")
