"""Every message that the source says to a user has its Chinese: a line is not half English."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from convert.common.language import translated

ROOT = Path(__file__).parents[3]
PACKAGES = ("convert", "runtimes", "validate", "reports", "vitbench")
# Calls whose first argument a user reads. What says that our own graph is wrong (GraphError) is for us to read.
SAYING = {"say", "InputError", "CheckFailed", "CannotTell", "UnavailableError", "add_column", "bar"}
CHINESE = re.compile("[\u4e00-\u9fff]")
ENGLISH = re.compile(r"(?<![\w./=-])[a-z]{2,} [a-z]{2,} [a-z]{2,}")
TYPED = re.compile(r"`[^`]*`|pip install \S+|make \w+=\S+|python -m \S+")  # what a user would type stays as it is
# What somebody else says behind a name, and the word of an option.
OTHERS = {"LoadGen: 7", "Paddle Lite: 7", "7: 7"}


def called(node: ast.Call) -> str:
    function = node.func
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def literals(node: ast.AST) -> Iterator[str]:
    """The texts that an argument may be, with 7 for each thing that is filled in, and those that are filled in."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.JoinedStr):
        yield "".join(str(one.value) if isinstance(one, ast.Constant) else "7" for one in node.values)
        for one in node.values:
            if isinstance(one, ast.FormattedValue) and isinstance(one.value, ast.IfExp):
                yield from literals(one.value)
    elif isinstance(node, ast.IfExp):
        yield from literals(node.body)
        yield from literals(node.orelse)
    elif isinstance(node, ast.BoolOp):
        for value in node.values:
            yield from literals(value)


def said(file: Path) -> Iterator[str]:
    text = file.read_text(encoding="utf-8")
    of_report = "from reports.language import" in text  # whose words are in reports/locale, and held by its own tests
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call) and node.args and called(node) in SAYING - ({"say"} if of_report else set()):
            yield from literals(node.args[0])


def untold(file: Path) -> Iterator[int]:
    """Lines that give a text to click.echo, or hand it on, without the language of the user."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    calls = {id(node.func): node for node in ast.walk(tree) if isinstance(node, ast.Call)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and ast.unparse(node) == "click.echo":
            call = calls.get(id(node))
            text = call.args[0] if call else node
            if isinstance(text, ast.JoinedStr) or text is node or (isinstance(text, ast.Constant) and text.value):
                yield node.lineno


def test_nothing_is_echoed_that_is_not_in_the_language_of_the_user() -> None:
    files = [file for package in PACKAGES for file in sorted((ROOT / package).rglob("*.py"))]
    assert not [f"{file}:{line}" for file in files for line in untold(file)]


def english(text: str) -> str:
    """What of a message is left in English, if it is more than names."""
    if text in OTHERS or not re.search("[a-z]{2,} [a-z]{2,}", TYPED.sub("", text)):
        return ""
    shown = TYPED.sub("", translated(text, "zh"))
    return shown if ENGLISH.search(shown) or not CHINESE.search(shown) else ""


@pytest.mark.parametrize("package", PACKAGES)
def test_every_message_has_its_chinese(package: str) -> None:
    files = sorted((ROOT / package).rglob("*.py"))
    left = [f"{file.name}: {text!r} -> {english(text)!r}" for file in files for text in said(file) if english(text)]
    assert not left, "\n".join(left)


@pytest.mark.parametrize("text", ["nobody has ever said this", "7: parity failed: nobody has ever said this"])
def test_a_message_without_chinese_is_noticed(text: str) -> None:
    assert english(text)
