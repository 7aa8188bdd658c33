"""The page as text: what stands in it, that records stay data, and that the same input gives the same page."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import subprocess
import sys
from collections import defaultdict
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports import html
from reports.html import answer_cards as cards
from reports.html import page
from reports.html.facets import Facets
from reports.load import results
from reports.load.results import Results
from reports.render import markdown
from reports.tables import report as tables
from reports.tables.table import Subject
from reports.text import one_line
from tests.reports import synthetic
from tests.reports.shown import BASE, TINY

HOSTILE = "</script><img src=x onerror=alert(1)>\u2028'\"&<!--{{7*7}}"


def render(found: Results) -> str:
    return html.render(tables.build(found), found)


class Elements(HTMLParser):
    """Every start tag with its attributes, the text of each script, and the texts of each section's rows of tables."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.rows: dict[str, list[list[str]]] = defaultdict(list)
        self._section, self._in_row = "", False
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append("")
        if tag == "section":
            self._section = dict(attrs)["id"] or ""
        if tag == "tr" and dict(attrs).get("class") == "row":
            self.rows[self._section].append([])
            self._in_row = True
        if tag in ("td", "th") and self._in_row:
            self.rows[self._section][-1].append("")

    def handle_endtag(self, tag: str) -> None:
        if tag == "tr":
            self._in_row = False

    def handle_data(self, data: str) -> None:
        if self.cdata_elem == "script":
            self.scripts[-1] += data
        elif self._in_row and self.lasttag not in ("tr", "sup", "a"):
            self.rows[self._section][-1][-1] += data.replace("\N{NO-BREAK SPACE}", " ")

    def count(self, tag: str, **attributes: str) -> int:
        return sum(found == tag and attributes.items() <= have.items() for found, have in self.tags)


@pytest.fixture(scope="module")
def text(example: Path) -> str:
    return render(results.load(example))


def test_every_table_and_record_is_there(text: str, example: Path) -> None:
    found = results.load(example)
    report, elements = tables.build(found), Elements(text)
    identifiers = [have["id"] for _, have in elements.tags if have.get("id")]
    assert len(identifiers) == len(set(identifiers))
    assert {f"table-{table.name}" for table in report.tables if table.name != "answer"} <= set(identifiers)
    assert {f"cell-{number}" for number in range(len(found.records))} <= set(identifiers)
    for table in report.tables:
        name = "answer" if table.name == "answer" else f"table-{table.name}"
        parts = page.blocks(table)
        assert elements.rows[name] == [[e.text for e in row.entries] for part in parts for row in part.rows], name


def test_the_same_results_give_the_same_page_and_report(example: Path) -> None:
    """In processes whose sets are in another order."""
    script = (
        "import hashlib, pathlib, sys; from reports import html; from reports.load import results; "
        "from reports.render import markdown; from reports.tables import report as tables; "
        "found = results.load(pathlib.Path(sys.argv[1])); report = tables.build(found); "
        "texts = html.render(report, found), markdown.render(report); "
        "print(*(hashlib.sha256(text.encode()).hexdigest() for text in texts))"
    )
    found = results.load(example)
    here = render(found), markdown.render(tables.build(found))
    digests = {
        subprocess.run(
            [sys.executable, "-c", script, str(example)],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(Path(__file__).parents[3])},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for seed in ("1", "2")
    }
    assert digests == {" ".join(hashlib.sha256(one.encode()).hexdigest() for one in here)}
    assert all(BASE in one for one in here)


def test_the_page_runs_its_own_scripts_only(text: str) -> None:
    elements = Elements(text)
    policy = next(have["content"] for tag, have in elements.tags if have.get("http-equiv") == "Content-Security-Policy")
    allowed = re.findall(r"'sha256-([^']+)'", policy or "")
    own = [base64.b64encode(hashlib.sha256(s.encode()).digest()).decode() for s in elements.scripts]
    assert set(allowed) < set(own)
    assert len(allowed) == 2
    assert "default-src 'none'" in str(policy)
    assert "unsafe" not in re.findall(r"script-src ([^;]*)", str(policy))[0]
    for tag, have in elements.tags:
        assert not [name for name in have if name.startswith("on")], f"{tag} {have}"
        assert not {"src", "srcset", "action"} & have.keys(), f"{tag} {have}"
        assert (have.get("href") or "#").startswith("#"), f"{tag} {have}"


def test_hostile_text_stays_text(make: Any, folder: Any) -> None:
    records = [make.latency(None, status="failed", reason=HOSTILE, model=HOSTILE, command=HOSTILE, runtime=HOSTILE)]
    records += [make.parity(), make.latency(samples_ms=[99.0, 100.0, 101.0], device=HOSTILE)]
    records += [make.parity(device=HOSTILE), make.accuracy(device=HOSTILE, dataset=HOSTILE)]
    environment = {**synthetic.ENVIRONMENT, "machine": {"cpu": HOSTILE}, HOSTILE: HOSTILE}
    elements = Elements(render(results.load(folder(*records, environment=environment))))
    assert elements.count("img") == 0
    assert elements.count("script") == len(elements.scripts) == 4
    fields = json.loads(elements.scripts[1])
    assert ["reason", one_line(HOSTILE)] in [field for cell in fields for field in cell]
    assert json.loads(elements.scripts[0])["charts"]["distribution"]["rows"][0]["label"].endswith(one_line(HOSTILE))


@given(st.recursive(st.text() | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_embedded_json_cannot_end_its_element(value: Any) -> None:
    text = str(page.embedded([value, HOSTILE]))
    assert not set("<>&") & set(text)
    assert text.isascii()
    assert json.loads(text) == [value, HOSTILE]


def test_a_number_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="Out of range"):
        page.embedded([float("nan")])


def test_everything_failed(make: Any, folder: Any) -> None:
    records = [make.latency(None, status="failed", reason="it was killed", runtime=r) for r in ("paddle", "mnn")]
    text = render(results.load(folder(*records)))
    assert "No latency at batch 1 to rely on." in text
    assert Elements(text).count("section", id="charts") == 0
    assert Elements(text).count("figure") == 0
    assert 'class="plot"' not in text


def test_unproven_speeds_are_nowhere(make: Any, folder: Any) -> None:
    hidden = {"samples_ms": [123.25, 124.25], "load_ms": 777.5, "processes": [{"median_ms": 123.75}]}
    rates = {"kind": "server", "qps_max": 31.625, "points": [{"qps": 32.875}], "percentile": 99}
    server = make.latency(123.75) | rates
    text = render(results.load(folder(make.latency(123.75, **hidden), server, make.parity(runtime="mnn"))))
    for number in ("31.6", "32.8", "123.75", "123.25", "124.25", "777.5", "124.75"):
        assert number not in text.replace(page.vega(), ""), number
    assert "there is no parity check of this model" in text


def test_rows_know_what_they_are_about(example: Path) -> None:
    found = results.load(example)
    known = Facets.of(found)
    detail = next(table for table in tables.build(found).tables if table.name == "latency-detail")
    (block,) = page.blocks(detail)
    assert len(block.rows) == sum(record.kind == "latency" for record in found.records)
    for row in block.rows:
        about, entries = known.of_row(block, row), row.entries
        runtime, precision = entries[1].text.split(",")[0].split(" ")[:2]
        assert known.values["model"][int(about["model"])] == entries[0].value
        assert known.values["runtime"][int(about["runtime"])] == runtime
        assert known.values["precision"][int(about["precision"])] == precision
        assert known.values["status"][int(about["status"])] in [entry.value for entry in entries]


def test_a_row_of_several_models_is_found_by_each(example: Path) -> None:
    found = results.load(example)
    known = Facets.of(found)
    places = " ".join(str(known.values["model"].index(model)) for model in (BASE, TINY))
    assert known.tags(Subject((BASE, TINY), runtime="nothing")) == {"model": places}
    latency = next(table for table in tables.build(found).tables if table.name == "latency")
    about = {column.name: known.tags(column.subject) for column in latency.columns}
    assert about["ort-cpu fp32"] == known.tags(Subject(runtime="ort-cpu", precision="fp32"))
    assert about["Model"] == {}


def test_cards_say_what_the_answer_says(example: Path) -> None:
    found = results.load(example)
    report = tables.build(found)
    answer = report.tables[0]
    made = cards.cards(found, Facets.of(found))
    assert made
    assert [card.model for card in made] == list(dict.fromkeys(row.subject.models[0] for row in answer.rows))
    for card in made:
        assert card.winner
        texts = [entry.text for row in answer.rows if row.subject.models == (card.model,) for entry in row.entries]
        assert all(part in texts for part in (card.verdict, card.text, card.gain, *card.winner.split(", "))), card
        assert [bar.label for bar in card.bars if bar.best] == card.winner.split(", ")
        assert max(float(bar.share) for bar in card.bars) == 100


def test_the_baseline_always_has_a_bar(make: Any, folder: Any) -> None:
    names = [f"runtime{i}" for i in range(9)]
    cells = [make.latency(10.0 + i, 0.1, runtime=name) for i, name in enumerate(names)]
    cells += [make.latency(50.0, 0.1, runtime="paddle")]
    found = results.load(folder(*cells, *(make.parity(runtime=name) for name in [*names, "paddle"])))
    card = cards.cards(found, Facets.of(found))[0]
    assert [bar.label for bar in card.bars] == [*(f"{name} fp32" for name in names[: cards.MOST_BARS]), "paddle fp32"]
    assert (card.more, card.bars[0].share, card.bars[-1].share) == (9 - cards.MOST_BARS, "20", "100")


def test_what_is_embedded_is_credited(text: str) -> None:
    who, licence = page.credit()
    assert "University of Washington" in who
    assert "Redistributions in binary form must reproduce" in licence
    assert who in text
    assert licence.splitlines()[0] in text


def test_a_column_of_speeds_stands_to_the_right_whatever_is_in_it(make: Any, folder: Any) -> None:
    """Beside numbers stand columns that hold nothing but a mark; those of names stand to the left."""
    broken = make.latency(None, status="failed", reason="killed", effective=None, runtime="mnn")
    found = results.load(folder(make.parity(), make.latency(), broken))
    latency = next(table for table in tables.build(found).tables if table.name == "latency")
    (block,) = page.blocks(latency)
    assert {column.name: page.numeric(block, place) for place, column in enumerate(block.columns)} == {
        "Model": False,
        "mnn fp32, bs=1": True,
        "ort-cpu fp32, bs=1": True,
        "published: V100, TensorRT fp32, bs=1": True,
    }


def test_a_name_may_be_broken_and_its_mark_stays(make: Any, folder: Any) -> None:
    found = results.load(folder(make.parity(), make.latency(model_info=make.weights("seeded", source="seeded:0"))))
    assert "ViT_<wbr>base_<wbr>patch32_<wbr>384\N{NO-BREAK SPACE}†" in html.render(tables.build(found), found)
