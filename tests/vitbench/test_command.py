"""`vitbench COMMAND` is `python -m ...`: the same help, the same exit statuses, and a start that waits for nothing."""

from __future__ import annotations

import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from convert.common.commands import NAMES
from validate.parity.run import prove
from vitbench import command as vitbench

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "tests" / "reports" / "data" / "example"
MODULES = {name: module for module, name in NAMES.items()}


def called(*arguments: object) -> Result:
    return CliRunner().invoke(vitbench.main, [str(argument) for argument in arguments], prog_name="vitbench")


def in_fresh_process(code: str, *path: Path) -> subprocess.CompletedProcess[str]:
    """Run Python code away from the repository, with `path` before it among the places of imports."""
    places = os.pathsep.join(map(str, (*path, ROOT)))
    return subprocess.run(
        [sys.executable, "-P", "-c", code] if sys.version_info >= (3, 11) else [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": places},
        cwd=ROOT.parent,
        capture_output=True,
        text=True,
    )


def test_help_names_every_command_in_one_line() -> None:
    result = called("--help")
    assert result.exit_code == 0
    lines = [line.strip() for line in result.stdout.splitlines()]
    for title, commands in vitbench.COMMANDS.items():
        assert f"{title}:" in lines
        for name, text in commands.items():
            assert any(line.startswith(f"{name} ") and line.endswith(text) for line in lines), name


@pytest.mark.parametrize("name", MODULES)
def test_help_fits_a_terminal_and_has_an_example(name: str) -> None:
    result = called(name, "--help")
    assert result.exit_code == 0
    module = MODULES[name]
    assert f"\n  python -m {module}" in result.stdout.replace("\n    python", "\n  python")
    assert [line for line in result.stdout.splitlines() if len(line) > 80] == []


def test_help_imports_none_of_the_packages() -> None:
    code = (
        "import sys, vitbench.command\n"
        "vitbench.command.main(['--help'], standalone_mode=False)\n"
        "print('imported:', sorted({name.partition('.')[0] for name in sys.modules}\n"
        "    & {'convert', 'runtimes', 'validate', 'reports', 'numpy', 'rich', 'pandas'}))"
    )
    result = in_fresh_process(code)
    assert result.stdout.endswith("imported: []\n"), result.stdout + result.stderr


def test_a_command_has_one_name_wherever_it_is_called_by_it() -> None:
    assert sorted(name for group in vitbench.COMMANDS.values() for name in group) == sorted(NAMES.values())


def test_commands_that_the_contract_names() -> None:
    expected = {
        "convert",
        "bench",
        "parity",
        "accuracy",
        "bisect",
        "profile",
        "search",
        "report",
        "compare",
        "doctor",
        "export",
        "check",
        "share",
        "serve",
    }
    assert expected <= set(MODULES)


@pytest.mark.parametrize(("name", "module"), MODULES.items())
def test_help_of_a_command_is_that_of_its_module(name: str, module: str) -> None:
    own = importlib.import_module(f"{module}.__main__").main
    assert vitbench.load(name) is own or name == "bench"
    result = called(name, "--help")
    alone = CliRunner().invoke(own, ["--help"], prog_name=f"vitbench {name}")
    assert result.exit_code == 0
    assert result.stdout == alone.stdout


def test_the_bench_is_handed_the_validators_own_parity_check() -> None:
    assert vitbench.load("bench").context_settings == {"obj": (prove, "validate.parity.run")}


def test_version_is_that_of_the_distribution() -> None:
    assert called("--version").stdout.split()[-1] == importlib.metadata.version("vitbench")


def test_exit_status_0_and_only_json_on_standard_output() -> None:
    result = called("compare", EXAMPLE, EXAMPLE, "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["cells"]


def test_exit_status_1_where_a_check_fails(tmp_path: Path) -> None:
    shutil.copytree(EXAMPLE, tmp_path / "new")
    file = tmp_path / "new" / "results.jsonl"
    file.write_text(file.read_text(encoding="utf-8").replace('"passed": true', '"passed": false'), encoding="utf-8")
    result = called("compare", EXAMPLE, tmp_path / "new")
    assert result.exit_code == 1, result.output
    assert result.stderr.splitlines()[-1].startswith("failed: ")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["convert", "ViT_nobody"], "error: unknown model ViT_nobody"),
        (["compare", "nowhere", "nowhere"], "error: nowhere"),
        (["convert", "--no-such-option"], "Usage: vitbench convert"),
        (["bench", "--no-such-option"], "error: No such option '--no-such-option'"),
        (["benhc"], "Error: No such command 'benhc'"),
    ],
)
def test_exit_status_2_where_the_input_or_the_usage_is_wrong(arguments: list[str], line: str) -> None:
    result = called(*arguments)
    assert result.exit_code == 2
    assert result.stderr.startswith(line), result.stderr
    assert "Traceback" not in result.stderr


def test_the_exit_status_of_a_command_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """As 130, with which a bench ends after Ctrl-C."""

    @click.command()
    @click.pass_context
    def interrupted(ctx: click.Context) -> None:
        ctx.exit(130)

    monkeypatch.setattr(vitbench, "load", lambda module: interrupted)
    assert called("bench").exit_code == 130


@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("b", {"bisect", "bench"}),
        ("convert --pre", {"--precision", "--preprocessing"}),
        ("report --lang ", {"en", "zh"}),
    ],
)
def test_the_shell_completes_commands_and_options(typed: str, completed: set[str]) -> None:
    words = f"vitbench {typed}"
    asked = {"COMP_WORDS": words, "COMP_CWORD": str(len(words.split(" ")) - 1), "_VITBENCH_COMPLETE": "bash_complete"}
    result = CliRunner().invoke(vitbench.main, prog_name="vitbench", env=asked)
    assert {line.partition(",")[2] for line in result.stdout.splitlines()} == completed


def test_without_a_command_it_shows_its_help() -> None:
    result = called()
    assert "Make a model:" in result.output
    assert result.exit_code == 2


def test_as_a_process_it_says_what_the_module_says() -> None:
    line = [sys.executable, "-m"]
    one_command = subprocess.run([*line, "vitbench", "convert", "--list"], cwd=ROOT, capture_output=True, text=True)
    module = subprocess.run([*line, "convert", "--list"], cwd=ROOT, capture_output=True, text=True)
    assert one_command.returncode == module.returncode == 0
    assert one_command.stdout == module.stdout != ""


def test_the_package_of_another_distribution_is_refused_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "convert").mkdir()
    (tmp_path / "convert" / "__init__.py").write_text("raise RuntimeError('never imported')\n")
    result = in_fresh_process("from vitbench.command import main; main(['convert', '--list'])", tmp_path)
    assert result.returncode == 2, result.stderr
    (line,) = result.stderr.splitlines()
    assert f"{tmp_path}/convert/__init__.py is found before vitbench's own {ROOT}/convert/__init__.py" in line
    shutil.rmtree(tmp_path / "convert")
    (tmp_path / "convert.py").write_text("raise RuntimeError('never imported')\n")
    assert in_fresh_process("from vitbench.command import main; main(['convert', '--list'])", tmp_path).returncode == 2
