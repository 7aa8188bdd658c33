"""The command `vitbench`: one name for every command of the project.

`vitbench bench` is `python -m runtimes.bench`, and so on: the same click command, with the same options and exit
statuses. A command is imported when it is called, so `vitbench --help` starts at once whatever else is installed.
"""

from __future__ import annotations

import signal
import sys

if sys.argv[0].endswith(("vitbench", "vitbench/__main__.py")):  # Ctrl-C is quiet from the first import on
    signal.signal(signal.SIGINT, signal.SIG_DFL)

import importlib
import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

# What a user wants to do -> command -> what it does; convert/common/commands.py has the module whose `main` it is.
COMMANDS = {
    "Make a model": {
        "convert": "Convert a Paddle model to ONNX: FP32, fp16, bf16 or int8.",
        "search": "Find what must stay FP32 so that int8 keeps its accuracy.",
    },
    "Hold it against Paddle": {
        "parity": "Compare each runtime's logits with Paddle's in float64.",
        "bisect": "Find the block and the operator that make the difference.",
        "accuracy": "Measure top-1 and top-5 on labelled images.",
    },
    "Measure its speed": {
        "bench": "Measure latency, throughput and servers after parity.",
        "profile": "Show where the milliseconds go: by block and operator.",
        "ceiling": "Measure what this machine reaches at its best.",
    },
    "Read, compare and share results": {
        "report": "Write the report of one or several results folders.",
        "compare": "Tell what changed between two results, with a verdict.",
        "explain": "Tell what lies between a latency and a published one.",
        "share": "Write results as one file, without names and paths.",
    },
    "Ship it": {
        "ship": "Choose what to ship within a budget, and prove it.",
        "export": "Write a folder for each way out, with proof that travels.",
        "check": "Hold such a folder against its proof, without Paddle.",
        "serve": "Start Triton on loopback with a model, for a first try.",
    },
    "Look at this machine": {
        "doctor": "Show which runtimes are available, or why they are not.",
    },
}
_NAMES = [name for group in COMMANDS.values() for name in group]


class WrongCommandError(click.ClickException):
    """No such command, or not ours. It is no `convert.common.errors.InputError`: `convert` may be a stranger's here."""

    exit_code = 2


class _LazyGroup(click.Group):
    """A group that imports a command when it is called, and lists the commands by what they are for."""

    def main(  # type: ignore[override]
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        *,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        if not standalone_mode:
            return super().main(args, prog_name, standalone_mode=False, **extra)
        try:
            status = super().main(args, prog_name, standalone_mode=False, **extra)
        except SystemExit:  # as of the shell's completion, which nothing is imported for
            raise
        except WrongCommandError as error:
            error.show()
            sys.exit(error.exit_code)
        except BaseException as error:
            # Late: --help imports nothing, and `convert` may be a stranger's.
            from convert.common.boundary import end

            end(error)
        sys.exit(status if isinstance(status, int) else 0)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return _NAMES

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _NAMES:
            return None
        return load(cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            message = error.format_message().rstrip(".")
            if not Path(__file__).with_name("floors").is_dir():
                _refuse_a_stranger("convert")  # whose words would be asked for ours
            raise click.UsageError(f"{message}; `vitbench --help` lists the commands") from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for title, commands in COMMANDS.items():
            with formatter.section(title):
                formatter.write_dl(list(commands.items()))


def load(name: str) -> click.Command:
    """Return the click command of a name, `main` of the `__main__` of its module.

    Raises WrongCommandError in a checkout whose package is not the one that Python finds first: `convert`, `runtimes`,
    `validate` and `reports` are names that others have too. What is installed has them inside this package.
    """
    checkout = not Path(__file__).with_name("floors").is_dir()
    if checkout:
        _refuse_a_stranger("convert")
    from convert.common import commands, end_at_once

    end_at_once()
    module = next(module for module, called in commands.NAMES.items() if called == name)
    if checkout:
        _refuse_a_stranger(module.partition(".")[0])
    if module == "runtimes.bench":  # here stands what is above both: parity is checked without another process
        from runtimes.bench.command import command as bench
        from validate.parity.run import prove

        return bench(prove, prove.__module__)
    command = importlib.import_module(commands.module(f"{module}.__main__")).main
    assert isinstance(command, click.Command), module
    return command


def _refuse_a_stranger(package: str) -> None:
    spec = importlib.util.find_spec(package)
    found = Path(spec.origin) if spec and spec.origin else Path(package)
    ours = Path(__file__).resolve().parents[1] / package / "__init__.py"
    if found.resolve() != ours:
        raise WrongCommandError(
            f"{found} is found before vitbench's own {ours}: remove one of the two packages, or install vitbench into"
            " an environment of its own (what a wheel installs does not have this trouble)"
        )


@click.group(cls=_LazyGroup)
@click.version_option(package_name="vitbench")
def main() -> None:
    """Convert Paddle vision transformers to ONNX, prove that they are the same model, and measure them.

    \b
    vitbench convert ViT_base_patch32_384
    vitbench bench --runtime ort-cpu,openvino --batch 1,8
    vitbench report results/<run> --format md,html

    In a checkout each command is also there as `python -m ...`; `vitbench COMMAND --help` says more of it. Exit status:
    0 it holds, 1 a check failed, 2 the input or the usage is wrong, 3 nothing can be said (compare --fail-unknown), 130
    after Ctrl-C, 143 after SIGTERM.
    """


if __name__ == "__main__":
    main(prog_name="vitbench")
