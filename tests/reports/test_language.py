"""The report in Chinese: every string that the report says has an entry, and no English sentence is left in it."""

from __future__ import annotations

import ast
import re
import string
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jinja2
import pytest
from babel.messages.pofile import read_po
from click.testing import CliRunner
from jinja2 import nodes

from reports import language
from reports.__main__ import main
from reports.load import results
from reports.render import latex, markdown, plain
from reports.tables import report as tables

PACKAGE = Path(language.__file__).parent
# Whose first argument is a column's name.
COLUMNS = ("text_column", "number_column", "range_column")
# Names, units and what records hold: they stay as they are in any language.
SAME = {"p50 (ms)", "p90 (ms)", "p95 (ms)", "p99 (ms)", "bs={batch}", "GPU"}


def constants(node: ast.expr) -> Iterator[str]:
    """The texts that an argument may be."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.IfExp):
        yield from constants(node.body)
        yield from constants(node.orelse)
    elif isinstance(node, (ast.Starred, ast.Tuple)):
        for inner in [node.value] if isinstance(node, ast.Starred) else node.elts:
            yield from constants(inner)


def in_python(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and _called(node.func) in ("say", "mark", *COLUMNS):
            for argument in node.args[:1]:
                yield from constants(argument)


def _called(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def in_template(file: Path) -> Iterator[str]:
    tree = jinja2.Environment(autoescape=True).parse(file.read_text(encoding="utf-8"))
    for call in tree.find_all(nodes.Call):
        if isinstance(call.node, nodes.Name) and call.node.name == "say" and isinstance(call.args[0], nodes.Const):
            yield call.args[0].value


def source_texts() -> set[str]:
    files = list(PACKAGE.rglob("*"))
    found = {text for file in files if file.suffix == ".py" for text in in_python(file)}
    return found | {text for file in files if file.suffix == ".jinja" for text in in_template(file)}


def catalogue() -> dict[str, str]:
    with (PACKAGE / "locale" / "zh.po").open("rb") as stream:
        return {str(entry.id): str(entry.string) for entry in read_po(stream, locale="zh") if entry.id}


def test_every_text_has_an_entry_and_every_entry_a_text() -> None:
    assert len(source_texts()) > 100
    assert source_texts() == set(catalogue())


@pytest.mark.parametrize(("text", "said"), catalogue().items())
def test_a_translation_is_chinese_and_has_the_same_places(text: str, said: str) -> None:
    assert text in SAME or re.search("[\u4e00-\u9fff，（）]", said) or "}" in text, said
    fields = [{name for _, name, _, _ in string.Formatter().parse(one) if name} for one in (text, said)]
    assert fields[0] - {"s"} == fields[1] - {"s"}  # the ending of a plural, which Chinese has not


def test_english_is_what_stands_in_the_source() -> None:
    assert language.say("Median (ms)") == "Median (ms)"
    assert [language.say("{count} core{s}", count=n, s="s" * (n != 1)) for n in (1, 2)] == ["1 core", "2 cores"]


def test_a_language_is_spoken_for_a_while_only() -> None:
    with language.speaking("zh"):
        assert language.say("{count} core{s}", count=2, s="s") == "2 核"
        assert language.say("in no catalogue") == "in no catalogue"
        assert language.html_lang() == "zh-Hans"
    assert language.current() == "en"
    with pytest.raises(ValueError, match="none of en, zh"), language.speaking("fr"):
        pass


def test_the_values_are_the_same_in_any_language(example: Path) -> None:
    found = results.load(example)
    english = plain.document(tables.build(found))["tables"]
    with language.speaking("zh"):
        chinese = plain.document(tables.build(found))["tables"]
    assert len(english["latency-detail"]["rows"]) == sum(one.kind == "latency" for one in found.records)
    assert list(english) == list(chinese)
    numbers = 0
    for name, table in english.items():
        for one, other in zip(table["rows"], chinese[name]["rows"], strict=True):
            for value, said in zip(one.values(), other.values(), strict=True):
                assert value == said or isinstance(value, str), (name, value, said)
                numbers += isinstance(value, float)
    assert numbers > 3 * len(found.records)


def stored(example: Path, report: tables.Report) -> list[str]:
    """What records and the environment hold, longest first: reasons, names, commands."""
    lines = (example / "results.jsonl").read_text(encoding="utf-8")
    texts = set(re.findall(r'"((?:[^"\\]|\\.)*)"', lines + (example / "environment.json").read_text(encoding="utf-8")))
    texts |= {row.entries[1].text for table in report.tables if table.name == "environment" for row in table.rows}
    return sorted(texts, key=len, reverse=True)


def test_no_english_sentence_is_left(example: Path) -> None:
    with language.speaking("zh"):
        report = tables.build(results.load(example))
        text = markdown.render(report)
        typeset = latex.render(report)
    assert text.count("并非出自 vitbench 自身措辞的原因") == 1
    text = re.sub(r"```sh.*?```|<[^>]*>|\[!WARNING\]", "", text, flags=re.DOTALL)
    for known in stored(example, report):
        if len(known) > 3:
            text = text.replace(markdown.escape(known), "")
    english = re.findall(r"[A-Za-z][A-Za-z'’]+(?: [A-Za-z][A-Za-z'’]+)+", text)
    # What a runtime itself said inside a reason of ours, and the words of an earlier vitbench.
    names = {"No module named", "is allowed", "MLPerf LoadGen", "Cpu", "vitbench report"}
    assert {one for one in english if one not in names and not re.fullmatch("ILSVRC.*|paddle fp|ort cpu", one)} == set()
    assert "延迟" in typeset
    assert "ctex" in typeset


def test_the_command_speaks_it(example: Path, tmp_path: Path) -> None:
    arguments = [str(example), "--lang", "zh", "--format", "md,csv,latex,html", "--out", str(tmp_path)]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output
    assert (tmp_path / "report.md").read_text(encoding="utf-8").startswith("# vitbench 报告：example\n")
    head = (tmp_path / "report-latency.csv").read_text(encoding="utf-8").splitlines()[0]
    assert head.startswith("模型,权重,")
    assert '<html lang="zh-Hans"' in (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "批大小" in done.output


def test_what_failed_has_its_words_too(make: Any, folder: Any) -> None:
    broken = make.latency(None, status="failed", reason="out of memory", effective=None)
    with language.speaking("zh"):
        text = markdown.render(tables.build(results.load(folder(broken))))
    assert "失败：out of memory" in text
    assert "没有可信的延迟" in text
