"""Whatever happens inside a command ends in one line and the exit status of the contract."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from convert.common import boundary
from convert.common.boundary import BoundedCommand
from convert.common.errors import CheckFailed, InputError

ROOT = Path(__file__).parents[3]
REAL_FAULT = boundary.fault


def command(raises: Callable[[], None]) -> click.Command:
    @click.command(cls=BoundedCommand)
    @click.option("--resume", is_flag=True)
    @click.option("--out")
    @click.option("--note")
    def main(resume: bool, out: str | None, note: str | None) -> None:
        boundary.results_in(Path(out or "results/new"))
        raises()

    return main


def ended(error: BaseException | None, *arguments: str) -> Result:
    def raises() -> None:
        if error is not None:
            raise error

    return CliRunner().invoke(command(raises), arguments, prog_name="python -m some.thing")


@pytest.fixture
def _for_users(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a user has it: our faults are told in a line."""
    monkeypatch.setattr(boundary, "fault", REAL_FAULT)


def test_a_command_that_works_ends_with_0() -> None:
    assert ended(None).exit_code == 0


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (InputError("no such model"), 2, "error: no such model"),
        (CheckFailed("parity"), 1, "failed: parity"),
        (
            OSError(errno.ENOSPC, "No space left on device", "some/file"),
            2,
            "error: some/file: no space left on device:",
        ),
        (NotADirectoryError(errno.ENOTDIR, "Not a directory", "a/b"), 2, "error: a/b: not a directory: a file stands"),
        (OSError(errno.EROFS, "Read-only file system", Path("c")), 2, "error: c: read-only file system: choose a"),
        (OSError(errno.EIO, "Input/output error"), 2, "error: input/output error: VITBENCH_DEBUG=1 shows"),
        (OSError("of no number"), 2, "error: of no number"),
        (MemoryError(), 2, "error: there is not enough memory"),
    ],
)
def test_what_happened_is_one_line_and_a_status(error: Exception, status: int, line: str) -> None:
    result = ended(error)
    assert result.exit_code == status
    (said,) = result.stderr.splitlines()
    assert said.startswith(line)


@pytest.mark.usefixtures("_for_users")
def test_a_fault_of_ours_is_called_so() -> None:
    result = ended(KeyError("x\x1b[2J\nerror: all is well"))
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: this is a fault of vitbench, not of what it was given (KeyError: ")
    assert f"in {Path(__file__).name}, line " in line
    assert "VITBENCH_DEBUG=1" in line
    assert "\x1b" not in line


@pytest.mark.usefixtures("_for_users")
def test_the_stack_is_shown_to_whoever_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(boundary.DEBUG, "1")
    assert isinstance(ended(KeyError("x")).exception, KeyError)
    for error in (InputError("no such model"), OSError(errno.EIO, "Input/output error")):
        result = ended(error)
        assert result.exit_code == 2
        assert "Traceback" in result.stderr
        assert result.stderr.splitlines()[-1].startswith("error: ")


@pytest.mark.usefixtures("_for_users")
def test_whoever_calls_it_without_standing_alone_gets_the_exception() -> None:
    def raises() -> None:
        raise KeyError("x")

    with pytest.raises(KeyError):
        command(raises).main([], standalone_mode=False)


def test_tests_see_our_faults() -> None:
    assert isinstance(ended(KeyError("x")).exception, KeyError)


@pytest.mark.parametrize(
    ("typed", "again"),
    [
        ([], "--resume --out results/new"),
        (["--resume", "--out", "its own", "--note", "a b"], "--note 'a b' --resume --out 'its own'"),
        (["--out=there", "--note=--out"], "--note=--out --resume --out there"),
    ],
)
def test_ctrl_c_says_how_to_go_on(typed: list[str], again: str) -> None:
    result = ended(KeyboardInterrupt(), *typed)
    assert result.exit_code == 130
    assert result.stderr == f"interrupted; to go on: python -m some.thing {again}\n"


def test_ctrl_c_in_a_command_that_stores_nothing_half() -> None:
    @click.command(cls=BoundedCommand)
    @click.argument("model")
    def main(model: str) -> None:
        raise KeyboardInterrupt

    result = CliRunner().invoke(main, ["it's"], prog_name="vitbench convert")
    assert result.exit_code == 130
    assert result.stderr.endswith("""the same command begins again: vitbench convert 'it'"'"'s'\n""")


def test_ctrl_c_during_imports_is_no_traceback() -> None:
    code = "import os, signal, convert.common.boundary\nos.kill(os.getpid(), signal.SIGINT)\nimport time; time.sleep(9)"
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == -signal.SIGINT  # which shells have as 130
    assert result.stderr == "interrupted\n"


def test_a_package_that_is_missing_is_a_line() -> None:
    code = "import convert.common.boundary\nimport a_package_that_is_missing.of_this_name"
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 2
    line = "error: this command needs the package a_package_that_is_missing, which is not installed here: "
    assert result.stderr == f"{line}pip install 'vitbench[convert]'\n"
    ours = subprocess.run([sys.executable, "-c", f"{code[:30]}\nimport convert.nothing"], cwd=ROOT, capture_output=True)
    assert b"Traceback" in ours.stderr  # a fault of ours


def test_an_ascii_terminal_is_no_reason_to_fail() -> None:
    code = (
        "import click\nfrom convert.common.boundary import BoundedCommand\n"
        "@click.command(cls=BoundedCommand)\ndef main():\n    click.echo('\"延迟\"')\nmain()"
    )
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONPATH": str(ROOT)}
    result = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout) == "延迟"
