"""Command-line options of whatever runs models, and comma-separated values, checked."""

from __future__ import annotations

from pathlib import Path

import click

from convert.cli import Command
from convert.errors import InputError, listing
from runtimes.base import PRECISIONS


def run_options(command: Command) -> Command:
    """`--runtime`, `--threads` and `--out`, for commands that run models and store records."""
    options = [
        click.option("--runtime", "chosen", help="Comma-separated. [default: every one available here]"),
        click.option("--threads", type=click.IntRange(min=1), help="Inside one operator. [default: every core]"),
        click.option("--out", type=click.Path(path_type=Path), help="Results folder. [default: new, under results/]"),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def resume_option(command: Command) -> Command:
    """`--resume`, for commands whose work is long."""
    text = "Only what the folder lacks; without --out, in the newest under results/."
    return click.option("--resume", is_flag=True, help=text)(command)


def words(text: str) -> list[str]:
    """The parts of a comma-separated list, each once."""
    return list(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))


def numbers(option: str, text: str) -> list[int]:
    """Whole numbers above zero, each once. InputError names the option."""
    parts = words(text)
    if not parts or not all(part.isascii() and part.isdigit() and int(part) > 0 for part in parts):
        raise InputError(f"{option} {text!r}: whole numbers above zero are needed, as in {option} 1,4,8")
    return list(dict.fromkeys(int(part) for part in parts))


def precisions(text: str) -> list[str]:
    """Precisions, in the order given. InputError for one that there is not."""
    parts = words(text)
    unknown = [part for part in parts if part not in PRECISIONS]
    if unknown or not parts:
        raise InputError(f"--precision {text!r}: {listing(unknown) or 'nothing'} is none of {', '.join(PRECISIONS)}")
    return parts
