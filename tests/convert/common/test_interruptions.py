"""A process of vitbench ends when it is asked to, quietly, and with what is temporary removed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from convert.common import interruptible, said
from convert.common.boundary import BoundedCommand, results_in
from convert.common.commands import NAMES

ROOT = Path(__file__).parents[3]
_ASKED = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
_MODULES = [*NAMES, "runtimes.records"]


@pytest.fixture(autouse=True)
def _asked_as_ever() -> Iterator[None]:
    """The tests may run in the background, where Ctrl-C is ignored."""
    before = {number: signal.getsignal(number) for number in _ASKED}
    for number, handler in before.items():
        if handler is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def python(*words: str, first: Path | None = None, ignoring: int | None = None) -> subprocess.CompletedProcess[str]:
    """first: a folder that is looked into before others. ignoring: a signal that is ignored, as behind `nohup`."""
    path = os.pathsep.join([*([str(first)] if first else []), str(ROOT)])

    def begin() -> None:
        if ignoring is not None:
            signal.signal(ignoring, signal.SIG_IGN)

    return subprocess.run(
        [sys.executable, *words],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        preexec_fn=begin,
    )


def interrupting(folder: Path, number: int) -> Path:
    """A folder in which the first library that commands import sends them a signal."""
    code = f"import os, time\nos.kill(os.getpid(), {int(number)})\ntime.sleep(0.5)\nraise SystemExit(5)\n"
    (folder / "click.py").write_text(code, encoding="utf-8")
    return folder


@pytest.mark.parametrize("module", _MODULES)
def test_every_command_is_quiet_while_it_is_imported(module: str, tmp_path: Path) -> None:
    done = python("-m", module, first=interrupting(tmp_path, signal.SIGINT))
    assert (done.returncode, done.stderr) == (130, "interrupted\n")


def test_and_so_is_the_one_for_all_of_them(tmp_path: Path) -> None:
    done = python("-m", "vitbench", "convert", first=interrupting(tmp_path, signal.SIGINT))
    assert (done.returncode, done.stderr) == (-signal.SIGINT, "")  # which shells have as 130


@pytest.mark.parametrize(("number", "words"), [(signal.SIGTERM, "SIGTERM"), (signal.SIGHUP, "SIGHUP")])
def test_other_signals_tell_their_name(number: signal.Signals, words: str, tmp_path: Path) -> None:
    done = python("-m", "reports", first=interrupting(tmp_path, number))
    assert (done.returncode, done.stderr) == (128 + number, f"ended by {words}\n")


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT])
def test_what_was_ignored_at_the_start_stays_so(number: signal.Signals, tmp_path: Path) -> None:
    done = python("-m", "reports", first=interrupting(tmp_path, number), ignoring=number)
    assert (done.returncode, done.stderr) == (5, "")


@pytest.mark.parametrize("number", _ASKED)
def test_each_signal_is_an_exception_inside_and_what_it_was_afterwards(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with interruptible() as signalled:
        assert signalled() == 0
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)
        assert signalled() == number
        signal.raise_signal(number)  # the same one, sent to the command and to its group
    assert signal.getsignal(number) is before


def test_one_that_comes_where_no_exception_can_go_comes_again() -> None:
    class Dying:
        def __del__(self) -> None:
            signal.raise_signal(signal.SIGTERM)

    def dies() -> None:
        dying = Dying()
        del dying
        time.sleep(10)

    with interruptible() as signalled:
        with pytest.raises(KeyboardInterrupt):
            dies()
        assert signalled() == signal.SIGTERM


def test_other_errors_there_are_told_as_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    class Dying:
        def __del__(self) -> None:
            raise ValueError("in vain")

    told = []
    monkeypatch.setattr(sys, "unraisablehook", lambda found: told.append(found.exc_type))
    with interruptible():
        dying = Dying()
        del dying
    assert told == [ValueError]


def ended(number: int, becomes: type[Exception] | None) -> Result:
    """A command that gets a signal, of which a library makes another exception."""

    @click.command(cls=BoundedCommand)
    @click.option("--resume", is_flag=True)
    def main(resume: bool) -> None:
        results_in(Path("results/new"))
        try:
            signal.raise_signal(number)
        except KeyboardInterrupt:
            if becomes is None:
                raise
            raise becomes("cannot import the core") from None

    return CliRunner().invoke(main, [], prog_name="vitbench thing")


@pytest.mark.parametrize("becomes", [None, ImportError, click.UsageError])
@pytest.mark.parametrize("number", _ASKED)
def test_a_command_says_how_to_go_on_whatever_a_library_makes_of_it(
    number: signal.Signals, becomes: type[Exception] | None
) -> None:
    result = ended(number, becomes)
    assert result.exit_code == 128 + number
    assert result.stderr == f"{said(number)}; to go on: vitbench thing --resume --out results/new\n"


def test_a_command_removes_what_dead_ones_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    making = (
        "from convert.common.disk import scratch; import tempfile; print(tempfile.mkdtemp(prefix=scratch.prefix('x')))"
    )
    left = Path(python("-c", making).stdout.strip())
    left.rename(tmp_path / left.name)
    (tmp_path / "not-ours").mkdir()

    @click.command(cls=BoundedCommand)
    def main() -> None:
        assert [path.name for path in tmp_path.iterdir()] == ["not-ours"]

    assert CliRunner().invoke(main, []).exit_code == 0
