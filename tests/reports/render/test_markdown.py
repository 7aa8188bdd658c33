"""The Markdown: hostile texts in it, and what it says once."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.load import results
from reports.render import markdown
from reports.tables import report as tables
from reports.tables.table import Table


def report_of(folder: Path) -> str:
    return markdown.render(tables.build(results.load(folder)))


def test_the_warning_about_seeded_weights_comes_first(make: Any, folder: Any) -> None:
    facts = make.weights("seeded", source="seeded:3", note=None)
    text = report_of(folder(make.latency(model_info=facts)))
    assert text.index("Seeded weights, not trained ones.") < text.index("## ")
    assert "> - **ViT_base_patch32_384**: seeded:3\n" in text
    assert "WARNING" not in report_of(folder(make.latency(model_info=make.weights("pretrained"))))


def test_a_command_stands_once(make: Any, folder: Any) -> None:
    """The answer, the latencies, their details and so on are made again by one command."""
    records = [make.parity(command="vitbench parity"), make.latency(command="vitbench bench --batch 1")]
    text = report_of(folder(*records))
    assert text.count("vitbench bench --batch 1\n") == 1
    assert text.count("vitbench parity\n") == 1
    assert text.count("Made again by the commands under The fastest at batch 1.") >= 2


def test_a_table_says_where_the_rest_of_its_commands_stand() -> None:
    one, two = (
        Table(name, f"T {name}", (), (), (), (), commands) for name, commands in (("a", ("x",)), ("b", ("x", "y")))
    )
    assert markdown._commands_once((one, two)) == {"a": (("x",), ()), "b": (("y",), ("T a",))}


def cells(line: str) -> list[str]:
    """What GitHub makes of a table row: bars that are not escaped part cells."""
    return re.split(r"(?<!\\)\|", line.strip())[1:-1]


def table_lines(text: str) -> list[list[str]]:
    """The tables of a Markdown text, each as its lines."""
    tables, lines = [], []
    for line in [*text.split("\n"), ""]:
        if line.startswith("|"):
            lines.append(line)
        elif lines:
            tables.append(lines)
            lines = []
    return tables


HOSTILE = (
    "a | b\n\n# heading\r\n| c |\n<script>alert('x')</script> <!-- "
    "`code` **bold** [link](http://x) ~~gone~~ $x$ _u_ \x1b[31m"
)


def test_a_hostile_text_stays_one_cell(make: Any, folder: Any) -> None:
    broken = make.latency(None, status="failed", reason=HOSTILE, effective=None, model=f"x{HOSTILE}")
    command = "python -m x\n```\n# heading\n<b>"
    text = report_of(folder(broken | {"command": command}, environment={"os": HOSTILE, HOSTILE: {HOSTILE: [HOSTILE]}}))
    found = table_lines(text)
    assert len(found) == 6  # those that have rows
    for lines in found:
        assert {len(cells(line)) for line in lines} == {len(cells(lines[0]))}
    outside = re.sub(r"^(`{4,})sh\n.*?^\1$", "", text, flags=re.DOTALL | re.MULTILINE)
    assert "<script" not in outside
    assert "<!--" not in outside
    assert "\x1b" not in text
    assert not re.search(r"^#+ heading", text, flags=re.MULTILINE)
    for mark in ("**bold**", "`code`", "[link](", "~~gone~~", "$x$", " _u_ "):
        assert mark not in outside
    assert "a \\| b # heading \\| c \\| &lt;script&gt;alert('x')" in outside


def test_a_parser_finds_nothing_of_a_hostile_text_but_text(make: Any, folder: Any) -> None:
    parser = pytest.importorskip("markdown_it", reason="rich brings it along")
    broken = make.latency(None, status="failed", reason=HOSTILE, effective=None, model=f"x{HOSTILE}", command=HOSTILE)
    html = (
        parser.MarkdownIt("commonmark")
        .enable(["table", "strikethrough"])
        .render(report_of(folder(broken, make.parity())))
    )
    assert html.count("<h1>") == 1
    for tag in ("<script", "<!--", "<a ", "<strong>bold", "<s>gone", "<em>u"):
        assert tag not in html
    assert (
        "a | b # heading | c | &lt;script&gt;alert('x')&lt;/script&gt; &lt;!-- `code` **bold** [link](http://x)" in html
    )


@given(st.text())
def test_escaped_text_is_one_line_without_markup(text: str) -> None:
    escaped = markdown.escape(text)
    assert len(escaped.splitlines()) <= 1
    assert not re.search(r"(?<!\\)(\\\\)*[|`*\[\]~$]", escaped)
    assert "<" not in escaped
    assert ">" not in escaped
    plain = re.sub(r"\\([\\`*\[\]|~$_])", r"\1", escaped)
    plain = plain.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    assert plain == " ".join("".join(c if c.isprintable() else " " for c in text).split())


@pytest.mark.parametrize("name", ["ViT_base_patch32_384", "ilsvrc_val_134/val_list.txt", "3.2e-4", "a-b"])
def test_names_stay_legible(name: str) -> None:
    assert markdown.escape(name) == name


def test_a_fence_is_longer_than_what_it_holds() -> None:
    assert markdown.fence(("a ```` b",)) == "`````sh\na ```` b\n`````"


def test_what_all_rows_share_is_said_once(make: Any, folder: Any) -> None:
    shared = {"reference": "paddle fp32", "inputs": {"source": "8 photos", "count": 8}}
    one, other = make.parity(**shared), make.parity(runtime="paddle", **shared)
    assert "The same in every row: Tolerance: -; Reference: paddle fp32; Inputs: 8 photos.\n" in report_of(
        folder(one, other)
    )
    text = report_of(folder(one, other | {"reference": "onnx"}))
    assert "| paddle fp32 |" in text
    assert "The same in every row: Tolerance: -; Inputs: 8 photos.\n" in text
