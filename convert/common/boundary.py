"""The outermost layer of every command: whatever happens inside becomes one line and an exit status.

Bad input is an `InputError` where it is noticed. What is left comes here: a disk that is full, a folder that cannot be
made, Ctrl-C, and our own faults, which are called so. `VITBENCH_DEBUG=1` shows the stack.
"""

from __future__ import annotations

import errno
import os
import shlex
import signal
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import click

from convert.common import interruptible, language, paddle, said
from convert.common.commands import FLOORS
from convert.common.console import say
from convert.common.disk import scratch
from convert.common.errors import shown

DEBUG = "VITBENCH_DEBUG"
INPUT, SIGNALLED = 2, 128  # exit statuses; a signal's number is added to the latter, as shells have it: 130 is Ctrl-C
_OURS = ("vitbench", *FLOORS, "scripts")
_TYPED, _FOLDER = "vitbench.typed", "vitbench.folder"

_ADVICE = {
    errno.ENOSPC: "make room on that disk, or choose another folder",
    errno.EDQUOT: "make room on that disk, or choose another folder",
    errno.EROFS: "choose a folder that can be written to",
    errno.EACCES: "choose another folder, or change its permissions",
    errno.EPERM: "choose another folder, or change its permissions",
    errno.ENOTDIR: "a file stands where a folder is needed; choose another folder",
    errno.EEXIST: "a file stands where a folder is needed; choose another folder",
    errno.EISDIR: "a folder stands where a file is needed; choose another name",
    errno.ENOENT: "check the path",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.EMFILE: "allow more open files (ulimit -n)",
}


def _speak(ctx: click.Context, param: click.Parameter, given: str | None) -> None:
    if given:
        language.choose(given)


_LANG = click.Option(
    ["--lang"],
    type=click.Choice(language.LANGUAGES),
    expose_value=False,
    is_eager=True,
    callback=_speak,
    help="Language of the messages: English, or Chinese (中文).  [default: by the locale]",
)


class BoundedCommand(click.Command):
    """A command that ends as the contract says, also by Ctrl-C, also inside the group `vitbench`.

    Each has `--lang`, unless it says itself what that is. What was chosen holds for the rest of the process.
    """

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        *own, help_option = super().get_params(ctx)
        return [*own, *([] if any(one.name == "lang" for one in own) else [_LANG]), help_option]

    def main(  # type: ignore[override]
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        *,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        if not standalone_mode:  # whoever calls it so wants the exceptions
            return super().main(args, prog_name, standalone_mode=False, **extra)
        try:
            status = super().main(args, prog_name, standalone_mode=False, **extra)
        except BaseException as error:
            end(error)
        sys.exit(status if isinstance(status, int) else 0)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.meta[_TYPED] = list(args)
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        for stream in (sys.stdout, sys.stderr):
            if hasattr(stream, "reconfigure"):  # an ASCII terminal gets \u4e2d, and JSON stays JSON
                stream.reconfigure(errors="backslashreplace")
        with interruptible() as signalled:
            scratch.sweep()
            try:
                return super().invoke(ctx)
            except (Exception, KeyboardInterrupt) as error:
                number = signalled() or (signal.SIGINT if isinstance(error, KeyboardInterrupt) else 0)
                if not number:
                    raise
                say(f"{said(number)}; {how_to_go_on(ctx)}")
                ctx.exit(SIGNALLED + number)


def results_in(folder: Path) -> None:
    """Tell the boundary where the running command stores what it finds, so that it can say so after Ctrl-C."""
    context = click.get_current_context(silent=True)
    if context is not None:
        context.meta[_FOLDER] = folder


def end(error: BaseException) -> NoReturn:
    """End the process because of an exception: a line on standard error, and the exit status."""
    if isinstance(error, SystemExit):
        raise error
    if isinstance(error, (click.Abort, KeyboardInterrupt)):
        say("interrupted")
        sys.exit(SIGNALLED + signal.SIGINT)
    known = isinstance(error, (click.ClickException, OSError, MemoryError))
    if known and os.environ.get(DEBUG):
        traceback.print_exception(error)
    if isinstance(error, click.ClickException):
        show(error)
        sys.exit(error.exit_code)
    say(f"error: {missing(error) or (in_words(error) if known else fault(error))}")
    sys.exit(INPUT)


def show(error: click.ClickException) -> None:
    """What click says of the usage, in the language that is spoken; ours say it themselves."""
    if not isinstance(error, click.UsageError) or language.spoken() == language.LANGUAGES[0]:
        error.show()
        return
    said = error.format_message().rstrip(".")
    if isinstance(error, click.MissingParameter) and error.param:
        said = f"{error.param.get_error_hint(error.ctx)} is missing"
    elif near := getattr(error, "possibilities", None):
        said = f"{error.message.rstrip('.')}; did you mean {', '.join(near)}"
    if error.ctx:
        say(f"usage: {' '.join([error.ctx.command_path, *error.ctx.command.collect_usage_pieces(error.ctx)])}")
        said = f"{said}; `{error.ctx.command_path} --help` says more"
    say(f"error: {said}")


def missing(error: BaseException) -> str | None:
    """What to install, where a package is missing that a light installation leaves out; None for anything else."""
    if not isinstance(error, ModuleNotFoundError) or not error.name or error.name.partition(".")[0] in _OURS:
        return None
    return f"this command needs the package {error.name}, which is not installed here: {paddle.INSTALL}"


def in_words(error: BaseException) -> str:
    """What the system refused, where, and what to do about it."""
    if isinstance(error, MemoryError):
        return "there is not enough memory for this: close other programs, or take a smaller model or batch"
    if not isinstance(error, OSError) or error.errno is None:
        return _short(error)
    where = f"{os.fsdecode(error.filename)}: " if isinstance(error.filename, (str, bytes, os.PathLike)) else ""
    advice = _ADVICE.get(error.errno, f"{DEBUG}=1 shows where it happened")
    return shown(f"{where}{str(error.strerror).lower()}: {advice}")


def fault(error: BaseException) -> str:
    """The words for what nobody foresaw. Raises it instead under VITBENCH_DEBUG, and in the tests."""
    if os.environ.get(DEBUG):
        raise error
    frames = traceback.extract_tb(error.__traceback__)
    place = f" in {Path(frames[-1].filename).name}, line {frames[-1].lineno}" if frames else ""
    return (
        f"this is a fault of vitbench, not of what it was given ({type(error).__name__}: {_short(error)}{place}): "
        f"please run the command again with {DEBUG}=1 and report what it prints"
    )


def how_to_go_on(ctx: click.Context) -> str:
    """What is stored, and the command that goes on."""
    folder, typed = ctx.meta.get(_FOLDER), ctx.meta.get(_TYPED, [])
    command = shlex.split(ctx.command_path)
    if folder is None:
        return f"nothing is left half made; the same command begins again: {shlex.join([*command, *typed])}"
    if all(param.name != "resume" for param in ctx.command.params):
        return f"what was found until now is in {folder}; to begin again: {shlex.join([*command, *typed])}"
    return f"to go on: {shlex.join([*command, *_without(typed), '--resume', '--out', str(folder)])}"


def _without(typed: Sequence[str]) -> list[str]:
    """Arguments without `--resume`, `--fresh` and `--out`."""
    left, skip = [], False
    for word in typed:
        if not skip and word not in ("--out", "--resume", "--fresh") and not word.startswith("--out="):
            left.append(word)
        skip = word == "--out" and not skip
    return left


def _short(error: BaseException) -> str:
    return shown((str(error).strip() or "no message").splitlines()[0])


def _quiet_interrupt(kind: type[BaseException], error: BaseException, trace: Any) -> None:
    """`sys.excepthook`: Ctrl-C while a command is still being imported is no traceback either, nor is a package that a
    light installation lacks."""
    if issubclass(kind, KeyboardInterrupt):
        say("interrupted")
    elif (what := missing(error)) and not os.environ.get(DEBUG):
        say(f"error: {what}")
        sys.stdout.flush()
        os._exit(INPUT)  # a hook cannot choose the status otherwise
    else:
        sys.__excepthook__(kind, error, trace)


sys.excepthook = _quiet_interrupt
