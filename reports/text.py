"""Texts from records, wherever a report shows them."""

from __future__ import annotations

from convert.common.errors import shown, without_passwords

_LONGEST, _COMMAND = 4000, 20_000  # characters of a text, and of a command


def one_line(text: object) -> str:
    """A text on one line, without what is not seen and without passwords, its middle left out where it is endless."""
    line = str(text)
    if len(line) > _LONGEST:
        line = f"{line[: _LONGEST // 2]} ... {line[-_LONGEST // 2 :]}"
    return " ".join("".join(char if char.isprintable() else " " for char in without_passwords(line)).split())


def command_line(text: str) -> str:
    """A command on one line, whose blanks all count."""
    return shown(text, _COMMAND)
