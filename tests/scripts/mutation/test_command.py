"""Faults that are planted, and what is said of those that nobody notices."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from click.testing import CliRunner

from scripts.mutation import __main__ as command
from scripts.mutation.mutants import mutants

SOURCE = b'''"""A module."""
LIMIT: int = 3


def first(items, least: float | None = 0.5):
    """The first of them, sorted."""
    if not items or len(items) > LIMIT:
        raise ValueError(f"{len(items)} + 1 are too many")
    return sorted(items, key=str)[0].strip()


def pairs(items):
    """Guards of our own code are no faults that a user meets."""
    yield from zip(items, items, strict=True)
'''


def test_each_fault_is_one_small_change() -> None:
    planted = {one.what for one in mutants(SOURCE)}
    assert planted == {
        "`3` became `4`",
        "`0.5` became `0.75`",
        "`not items or len(items) > LIMIT` became `(not (not items or len(items) > LIMIT))`",
        "`or` became `and`",
        "`not items` became `items`",
        "`>` became `>=`",
        '`raise ValueError(f"{len(items)} + 1 are too many")` became `pass`',
        "`sorted(items, key=str)[0].strip()` became `None`",
        "`sorted(items, key=str)[0].strip()` became `sorted(items, key=str)[0]`",
        "`sorted(items, key=str)` became `list(items)`",
        "`0` became `1`",
    }


def test_what_comes_of_them_is_python() -> None:
    for one in mutants(SOURCE):
        assert one.source(SOURCE) != SOURCE
        ast.parse(one.source(SOURCE))


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with a module whose test sees one of its faults."""
    for name, text in {
        "pkg/__init__.py": "",
        "pkg/a.py": "def double(x):\n    return x * 2\n",
        "tests/pkg/test_a.py": "from pkg.a import double\n\ndef test_zero():\n    assert double(0) == 0\n",
        "equivalent.toml": "",
    }.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.setattr(command, "ROOT", tmp_path)
    monkeypatch.setattr(command, "EQUIVALENT", tmp_path / "equivalent.toml")
    return tmp_path


def test_the_command_names_what_was_missed(checkout: Path) -> None:
    result = CliRunner().invoke(command.main, ["--module", "pkg/a.py", "--jobs", "1"])
    assert result.exit_code == 1
    assert "pkg/a.py:2: `*` became `/`" in result.stderr
    assert "pkg/a.py:2: `2` became `3`" in result.stderr
    assert "33.3% of 3 faults noticed" in result.stdout
    assert (checkout / "pkg/a.py").read_text().endswith("x * 2\n")


def test_what_changes_nothing_does_not_count(checkout: Path) -> None:
    """All like it in the module, or the one in a line: then others like it still count."""
    (checkout / "pkg/a.py").write_text("def double(x):\n    y = x * 2\n    return y * 2\n")
    known = '[[mutant]]\nmodule = "pkg/a.py"\nwhat = "`*` became `/`"\nwhy = "for a test"\n'
    known += '[[mutant]]\nmodule = "pkg/a.py"\nwhat = "`2` became `3`"\ncode = "y = x * 2"\nwhy = "for a test"\n'
    (checkout / "equivalent.toml").write_text(known)
    result = CliRunner().invoke(command.main, ["--module", "pkg/a.py", "--jobs", "1"])
    assert "`*` became `/`" not in result.stderr
    assert "pkg/a.py:2: `2` became `3`" not in result.stderr
    assert "pkg/a.py:3: `2` became `3`" in result.stderr


def test_tests_that_fail_without_a_fault_tell_nothing(checkout: Path) -> None:
    (checkout / "tests/pkg/test_a.py").write_text("assert False\n")
    result = CliRunner().invoke(command.main, ["--module", "pkg/a.py"])
    assert result.exit_code == 2
    assert "fail without a fault" in result.stderr
