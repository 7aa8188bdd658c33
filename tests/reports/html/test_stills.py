"""What the page shows before its script has run, or where none does: no box of it is empty."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import pytest

from reports import html
from reports.html import stills
from reports.html.charts import build
from reports.load import results
from reports.load.results import Results
from reports.tables import report as tables
from tests.reports import synthetic
from tests.reports.html.browsing import small

BOXES = ("section", "figure", "th", "h1", "h2", "h3", "figcaption", "nav", "header")
VOID = {"meta", "input", "br", "img", "wbr", "link"}
HOSTILE = "</svg><script>alert(1)</script><img src=x onerror=alert(1)>"


class Boxes(HTMLParser):
    """The text in each element of BOXES, by its name and id; of a plot what SVG draws in it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[tuple[str, str]] = []
        self.texts: dict[int, tuple[str, str, str]] = {}
        self.shapes: dict[str, int] = {}
        self._inside: list[int] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        have = dict(attrs)
        if tag in BOXES:
            self._inside.append(len(self.texts))
            self.texts[len(self.texts)] = (tag, have.get("id") or "", "")
        if tag == "path" and have.get("d"):
            figures = [self.texts[place][1] for place in self._inside if self.texts[place][0] == "figure"]
            if figures:
                self.shapes[figures[-1]] = self.shapes.get(figures[-1], 0) + 1

    def handle_endtag(self, tag: str) -> None:
        if tag in BOXES:
            self._inside.pop()

    def handle_data(self, data: str) -> None:
        for place in self._inside:
            tag, name, text = self.texts[place]
            self.texts[place] = (tag, name, text + data.strip())

    @property
    def empty(self) -> list[tuple[str, str]]:
        return [(tag, name) for tag, name, text in self.texts.values() if not text]

    def names(self, kind: str) -> list[str]:
        return [name for tag, name, _ in self.texts.values() if tag == kind]


def page(found: Results) -> str:
    return html.render(tables.build(found), found)


def test_every_box_of_a_full_report_holds_something(stored: Results) -> None:
    boxes = Boxes(page(stored))
    assert boxes.empty == []
    assert len(boxes.names("figure")) == 5
    assert all(boxes.shapes[name] > 5 for name in boxes.names("figure"))


@pytest.mark.parametrize("kinds", [["parity"], ["accuracy"], ["parity", "accuracy"]])
def test_without_a_chart_there_is_no_section_for_charts(kinds: list[str], make: Any, folder: Any) -> None:
    text = page(results.load(folder(*(getattr(make, kind)() for kind in kinds))))
    boxes = Boxes(text)
    assert boxes.empty == []
    assert "charts" not in boxes.names("section")
    assert 'href="#charts"' not in text
    assert boxes.names("figure") == []


def test_a_chart_that_has_nothing_to_draw_is_a_sentence(make: Any, folder: Any) -> None:
    text = page(results.load(folder(make.parity(batches=[1]), make.latency())))
    boxes = Boxes(text)
    assert boxes.empty == []
    assert set(boxes.names("figure")) == set(boxes.shapes)
    assert "chart-roofline" not in boxes.names("figure")
    assert "There is no roofline" in text


def test_it_shows_what_the_script_chooses_first(folder: Any) -> None:
    found = small(folder)
    for chart in build(found):
        if not chart.data:
            continue
        still = stills.draw(chart.name, chart.data)
        assert list(still.chosen) == chart.data["choose"]
        rows = chart.data["rows"]
        if "model" in still.chosen:
            counts = {one: sum(row["model"] == one for row in rows) for one in {row["model"] for row in rows}}
            assert counts[still.chosen["model"]] == max(counts.values())
        if "batch" in still.chosen:
            left = [row for row in rows if row["model"] == still.chosen.get("model", row["model"])]
            assert int(still.chosen["batch"]) == min(row["batch"] for row in left)
        left = [row for row in rows if all(str(row[name]) == value for name, value in still.chosen.items())]
        shown = {name for _, colour, name in still.legend if colour}
        assert shown == {row["runtime"] for row in left}, chart.name
        assert all(f'"{colour}"' in still.svg for _, colour, _ in still.legend if colour), chart.name


def test_the_front_is_numbered_from_the_fastest() -> None:
    cells = [(3.0, 80.0, "ok"), (1.0, 70.0, "ok"), (2.0, 65.0, "ok"), (2.5, 90.0, "unstable")]
    rows = [{"ms": ms, "top1": top1, "status": status, "machine": ""} for ms, top1, status in cells]
    assert [(row["ms"], row["front"]) for row in stills._numbered(rows)] == [(1.0, 1), (2.0, 0), (2.5, 0), (3.0, 2)]


def test_names_of_records_stay_text_in_a_drawing(make: Any, folder: Any) -> None:
    fields = {"device": HOSTILE, "model": HOSTILE}
    records = [make.parity(batches=[1], **fields), make.latency(samples_ms=[99.0, 100.0, 101.0], **fields)]
    text = page(results.load(folder(*records)))
    drawn = "".join(re.findall(r"<svg xmlns.*?</svg>", text, re.DOTALL))
    assert "&lt;script" in drawn
    assert "<script" not in drawn
    assert "<img src=x" not in text


def test_a_short_report_is_there_at_once_and_a_long_one_when_it_is_looked_at(folder: Any, stored: Results) -> None:
    assert '<section id="table-parity">' in page(stored)
    long = results.load(folder(*synthetic.records(models=synthetic.MODELS[:3]), environment=synthetic.ENVIRONMENT))
    assert '<section id="cells" class="lazy">' in page(long)
