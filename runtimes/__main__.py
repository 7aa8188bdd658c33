"""The doctor: `python -m runtimes` says of each runtime whether it is available, and if not, why."""

from __future__ import annotations

import json

import click
from rich.table import Table

from convert import cli
from runtimes import registry


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output instead of the table.")
def main(as_json: bool) -> None:
    """Which runtimes this machine has: version, devices and precisions of each, or the reason why not."""
    states = list(registry.examine(registry.names()).values())
    if as_json:
        click.echo(json.dumps({"runtimes": states}, indent=2))
        return
    table = Table("runtime", "available", "version", "devices", "precisions", "reason")
    for state in states:
        table.add_row(
            state["name"],
            "yes" if state["available"] else "no",
            state["version"] or "-",
            ", ".join(state["devices"]),
            ", ".join(state["precisions"]),
            state["reason"] or "",
        )
    cli.console(stderr=False).print(table)


if __name__ == "__main__":
    main(prog_name="python -m runtimes")
