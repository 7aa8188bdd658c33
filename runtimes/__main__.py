"""The doctor: `python -m runtimes` says of each runtime whether it is available, and if not, why."""

from __future__ import annotations

import json
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from runtimes import registry


def examine(name: str) -> dict[str, Any]:
    """One runtime's state: name, available, reason (None when available), version, devices, precisions."""
    runtime = registry.get(name)
    reason = runtime.unavailable()
    return {
        "name": name,
        "available": reason is None,
        "reason": reason,
        "version": runtime.version(),
        "devices": runtime.devices() if reason is None else [],
        "precisions": list(runtime.precisions),
    }


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output instead of the table.")
def main(as_json: bool) -> None:
    """Which runtimes this machine has: version, devices and precisions of each, or the reason why not."""
    states = [examine(name) for name in registry.names()]
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
    Console().print(table)


if __name__ == "__main__":
    main(prog_name="python -m runtimes")
