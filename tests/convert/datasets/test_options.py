"""The command line's options of a labelled set."""

from __future__ import annotations

import functools
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from convert.datasets import options
from convert.datasets.options import SetOptions, set_options


@click.command()
@set_options
def command(labelled: SetOptions) -> None:
    click.echo(repr(labelled))


def test_all_of_them() -> None:
    arguments = "--images a --ground-truth b --synsets c --root d --limit 3 --columns image=x"
    result = CliRunner().invoke(command, arguments.split())
    expected = SetOptions(Path("a"), Path("b"), Path("c"), Path("d"), 3, "image=x")
    assert result.output.strip() == repr(expected)


def test_they_mean_the_set_that_is_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []
    monkeypatch.setattr(options, "load", lambda *given, **named: asked.extend([given, named]))
    given = SetOptions(tmp_path, Path("b"), Path("c"), Path("d"), 3, "image=x")
    given.load(7, ["x"])
    named = {"ground_truth": Path("b"), "synsets": Path("c"), "root": Path("d"), "columns": "image=x", "own": ["x"]}
    assert asked == [(tmp_path, 7, 3), named]
    arguments = given.arguments()
    assert SetOptions(**arguments) == given
    assert list(arguments) == ["images", "ground_truth", "synsets", "root", "limit", "columns"]


def test_the_help_begins_with_what_is_needed() -> None:
    text = CliRunner().invoke(command, ["--help"]).output
    places = [text.index(f"  {name} ") for name in ("--images", "--ground-truth", "--synsets", "--limit", "--columns")]
    assert places == sorted(places)
    assert CliRunner().invoke(command, ["--images", " "]).output.count("known are") == 1
    assert "known are" not in CliRunner().invoke(command, ["--images", "a", "--root", " "]).output


def test_images_alone_are_needed() -> None:
    result = CliRunner().invoke(command, ["--images", "a"])
    assert result.output.count("None") == 5
    assert CliRunner().invoke(command, []).exit_code == 2


@pytest.mark.parametrize("option", ["--images", "--ground-truth", "--synsets", "--root"])
def test_an_empty_value_is_not_the_current_folder(option: str) -> None:
    result = CliRunner().invoke(command, ["--images", "a", option, " "])
    assert result.exit_code == 2
    assert f"error: {option} is empty" in result.output


def test_a_limit_of_none() -> None:
    assert CliRunner().invoke(command, ["--images", "a", "--limit", "-1"]).exit_code == 2


@click.command()
@functools.partial(set_options, required=False)
def perhaps(labelled: SetOptions | None) -> None:
    click.echo(repr(labelled))


@pytest.mark.parametrize("said", ["--limit 3", "--limit 0", "--ground-truth b", "--synsets c", "--root d --columns x"])
def test_what_is_said_of_images_needs_images(said: str) -> None:
    result = CliRunner().invoke(perhaps, said.split())
    assert result.exit_code == 2
    names = ", ".join(word for word in said.split() if word.startswith("--"))
    assert f"error: {names}: of the images of --images, and none are given" in result.output
    assert CliRunner().invoke(perhaps, []).output.strip() == "None"
    assert CliRunner().invoke(perhaps, ["--images", "a", "--limit", "0"]).exit_code == 0
