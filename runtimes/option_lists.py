"""Comma-separated values of command-line options, checked."""

from __future__ import annotations

from convert.common.errors import InputError, listing
from runtimes.base import PRECISIONS


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
