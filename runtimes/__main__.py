"""The doctor: `python -m runtimes` says of each runtime whether it is available, and if not, why."""

from __future__ import annotations

from typing import Any

import click
from rich.table import Table

from convert.common.boundary import BoundedCommand
from convert.common.console import plain, print_table, printer, say_json
from convert.common.errors import CheckFailed, shown, told
from runtimes import registry
from runtimes.system import conflicts


@click.command(cls=BoundedCommand)
@click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output instead of the table.")
def main(as_json: bool) -> None:
    """Which runtimes this machine has: version, devices and precisions of each, or the reason why not.

    Exit status 1 when packages are installed that break each other.

    \b
    python -m runtimes
    python -m runtimes --json
    """
    states = list(registry.examine(registry.names()).values())
    problems = [problem.sentence for problem in conflicts.problems()]
    if as_json:
        say_json({"runtimes": states, "problems": problems})
    else:
        _show(states)
    if problems:
        raise CheckFailed("; ".join(problems))


def _show(states: list[dict[str, Any]]) -> None:
    console = printer(stderr=False)
    table = Table("runtime", "available", "version", "devices", "precisions", "reason")
    for state in states:
        devices, precisions = ", ".join(state["devices"]), ", ".join(state["precisions"])
        # TensorRT for RTX 1.7 is another product than TensorRT.
        version = f"{state['distribution']} {state['version']}" if state["version"] else "-"
        row = (state["name"], "yes" if state["available"] else "no", version, devices, precisions)
        lacks = "; ".join(f"no {precision}: {why}" for precision, why in state["lacks"].items())
        table.add_row(*map(plain, (*row, state["reason"] or lacks)))
    print_table(console, table, ("precisions", "reason"))
    for state in states:
        for key, text in state["options"].items():
            line = shown(f"--option {state['name']}.{key}=") + told(text)
            console.print(line, markup=False, highlight=False, soft_wrap=True)


if __name__ == "__main__":
    main(prog_name="python -m runtimes")
