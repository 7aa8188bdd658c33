"""What the commands may end with: one clear line and an exit status, never a traceback."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterable
from typing import IO, Any

import click

from convert.common import language


class InputError(click.ClickException):
    """The input or the usage is wrong: the message says what, where and what to do. Exit status 2."""

    exit_code = 2

    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(told(f"error: {self.format_message()}"), err=True)


_LONGEST, _NAME = 4000, 400  # characters of a message, and of one of many names in it
# A password may have characters that it may not have in a URL; digits and a slash are a port and a path.
_LOGIN = re.compile(r"""(?<=://)(?:[^\s/?#"'<>]*|[^\s/:@"'<>]+:(?!\d+/)[^\s"'<>]*)@""")
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class WriteError(InputError, OSError):
    """Something cannot be written: a full disk, one that is read-only, a place where no file can be.

    An OSError as well, with its errno and strerror, for those who can do without what they wanted to keep.
    """

    def __init__(self, target: os.PathLike[str] | str, error: OSError, told: str = "") -> None:
        """told: the message, where another process has it already."""
        full = is_full(error)
        reason = "No space left" if full else error.strerror or str(error)
        if full:
            said = f"no space left on the disk of {target}; what was stored before is whole"
        else:
            said = f"{target}: cannot be written ({reason})"
        super().__init__(told or said)
        self.errno, self.strerror = errno.ENOSPC if full else error.errno, reason


def is_full(error: OSError) -> bool:
    """Whether the disk, a quota or a limit on files has no more room. NumPy tells of it without a number."""
    return error.errno in _FULL or (error.errno is None and "requested and" in str(error))


class CheckFailed(click.ClickException):
    """The command did its work and what it checked does not hold. Exit status 1."""

    exit_code = 1

    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(told(f"failed: {self.format_message()}"), err=True)


class CannotTell(click.ClickException):
    """The command did its work and what it checked stays open. Exit status 3."""

    exit_code = 3

    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(told(f"cannot tell: {self.format_message()}"), err=True)


class GraphError(Exception):
    """The converted graph is not what it must be; the message says what was expected and what was found."""


def shown(text: object, most: int = _LONGEST) -> str:
    """A text from elsewhere on one line: names that files and servers give may be endless, hold what steers a terminal,
    look like a line of ours, or be a URL with a password. most: characters; beyond them its middle is left out."""
    line = without_passwords(str(text))
    if len(line) > most:
        line = f"{line[: most // 2]} ... {line[-most // 2 :]}"
    return "".join(
        one if one.isprintable() else one.encode("unicode_escape", "backslashreplace").decode() for one in line
    )


def told(text: object, most: int = _LONGEST) -> str:
    """A text on one line, as `shown`, for the user who sits there: in the language that is spoken to him."""
    return shown(language.translated(str(text), language.spoken()), most)


def without_passwords(text: str) -> str:
    """A text whose URLs have lost the user and the password before their host."""
    return _LOGIN.sub("", text)


def listing(names: Iterable[str], limit: int = 5) -> str:
    """`a, b, c and 4 more`: enough of a long list for one line of an error."""
    names = list(names)
    first = ", ".join(shown(name, _NAME) for name in names[:limit])
    return first if len(names) <= limit else f"{first} and {len(names) - limit} more"
