"""`python -m validate.check`: does a folder to ship compute here what Paddle computes? No Paddle is needed for it."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import click

from convert.common.boundary import BoundedCommand
from convert.common.console import say_json
from runtimes.options import numbers, session_flags
from runtimes.records import store
from runtimes.records.reading import to_table
from validate.check.run import held
from validate.parity.run import conclude


@click.command(cls=BoundedCommand)
@click.argument("folder", type=click.Path(path_type=Path))
@session_flags
@click.option("--precision", help="As tf32, of an fp32 folder.  [default: the folder's]")
@click.option("--batch", help="Batch sizes, comma-separated.  [default: those that were proven]")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output, nothing else there.")
def main(
    folder: Path,
    named: str | None,
    precision: str | None,
    batch: str | None,
    as_json: bool,
    out: Path | None,
    **given: Any,
) -> None:
    """Hold a folder of `vitbench export` against the proof that it carries.

    First the sha256 of every file, then what a runtime of this machine computes of the inputs in proof/, against
    Paddle's logits in float64. It needs neither Paddle nor a network. Exit status: 0 it holds; 1 a file was changed or
    the logits are another model's; 2 the folder or the usage is wrong, or the runtime is missing.

    \b
    python -m validate.check shipped/vit/fp32/onnx
    python -m validate.check shipped/vit/fp32/onnx --runtime ort-cuda
    """
    with store.alone(out) if out else nullcontext():
        sizes = numbers("--batch", batch) if batch else None
        made = held(folder, named, precision, sizes, out, **given)
    if as_json:
        say_json({"records": [to_table(record) for record in made]})
    conclude(made, True, str(folder))  # the folder itself names a runtime


# Where the options that other commands share mean something else here.
_HELP = {
    "named": "Runtimes, comma-separated.  [default: the one that the folder is for]",
    "cache": "Folder for engines and compiled models.  [default: a temporary one]",
    "out": "Results folder to store the records in.  [default: none]",
}
for _option in main.params:
    if isinstance(_option, click.Option):
        _option.help = _HELP.get(str(_option.name), _option.help)


if __name__ == "__main__":
    main(prog_name="python -m validate.check")
