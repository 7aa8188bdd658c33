"""The page: the report's tables, the charts, and every record, in one text.

Everything from records is data: Jinja escapes it in the markup, and JSON is written so that it cannot end its element.
A content security policy lets the page run its own two scripts, known by their hashes, and load nothing.
"""

from __future__ import annotations

import base64
import hashlib
import importlib.metadata
import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import jinja2
import vl_convert
from markupsafe import Markup, escape

from reports.html.cards import cards
from reports.html.charts import build
from reports.html.details import Detail, details
from reports.html.rows import FACETS, Column, Facets, Tags, blocks, facets, key
from reports.html.texts import in_script
from reports.language import html_lang, say
from reports.load.results import Results
from reports.tables.frames import SEEDED_MARK, Cell, Table
from reports.tables.report import Report

# Characters above which a cell is a sentence, or a name of several parts: such columns are never as narrow as others.
LONG, NAME = 40, 14
HERE = Path(__file__).parent
_GOOD, _BAD, _DOUBTFUL = ("ok", "passed", "fastest"), ("failed",), ("unstable", "unproven", "refused", "unavailable")


def render(report: Report, results: Results) -> str:
    """The whole page. The same report and results give the same text."""
    known = facets(results)
    shown = details(results)
    drawn = build(results)
    script, library = (HERE / "page.js").read_text(encoding="utf-8"), vega()
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {
        "say": say,
        "tags": _tags,
        "blocks": lambda table: blocks(table, known),
        "classes": _classes,
        "sort": _sort,
        "text": _text,
    }
    page = environment.get_template("page.html.jinja")
    table, bars = environment.get_template("table.html.jinja"), environment.get_template("bars.html.jinja")
    return page.render(
        report=report,
        lang=html_lang(),
        hashes=" ".join(f"'sha256-{_sha256(text)}'" for text in (script, library)),
        style=Markup((HERE / "style.css").read_text(encoding="utf-8")),  # noqa: S704 - a file of this package
        script=Markup(script),  # noqa: S704 - a file of this package
        vega=Markup(library),  # noqa: S704 - the installed library, checked in `vega`
        show=lambda of: Markup(table.render(table=of)),  # noqa: S704 - escaped by its own template
        bars=Markup(bars.render(cards=cards(report, results, known))),  # noqa: S704 - likewise
        choosers=[
            ("model", say("Model"), say("All models")),
            ("runtime", say("Runtime"), say("All runtimes")),
            ("precision", say("Precision"), say("All precisions")),
            ("status", say("Status"), say("Any status")),
            ("machine", say("Machine"), say("All machines")),
        ],
        choices=_choices(known, shown),
        charts=drawn,
        cells=shown,
        credit=credit(),
        cell_tags=lambda cell: _cell_tags(cell, known),
        data=embedded(
            {"facets": known.values, "texts": in_script(), "charts": {c.name: c.data for c in drawn if c.data}}
        ),
        fields=embedded([cell.fields for cell in shown]),
    )


def credit() -> tuple[str, str]:
    """What draws the charts and whose it is; and the text of its licence (BSD, 3 clauses) as installed beside it."""
    embed, vega, lite = (
        vl_convert.get_vega_embed_version(),
        vl_convert.get_vega_version(),
        vl_convert.get_vegalite_versions()[-1],
    )
    owners = "© 2013 Trifacta Inc., © 2015 University of Washington Interactive Data Lab and contributors"
    text = importlib.metadata.distribution("vl-convert-python").read_text("licenses/LICENSE")
    return f"Vega {vega}, Vega-Lite {lite}, Vega-Embed {embed} ({owners})", text or ""


@lru_cache
def vega() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script, from the installed package."""
    script = str(vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;"))
    if "</script" in script.lower() or "<!--" in script:
        raise RuntimeError("the script of vl-convert-python cannot stand inside a page")
    return script


def embedded(value: Any) -> Markup:
    """JSON that can stand in a script element: nothing in it can end that, and it is ASCII throughout."""
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    for char in "<>&":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return Markup(text)  # noqa: S704 - made safe above


def _sha256(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _choices(known: Facets, shown: list[Detail]) -> dict[str, list[tuple[int, str]]]:
    """What each filter offers: what occurs, with its place among all values."""
    statuses = {cell.status for cell in shown}
    return {
        facet: [
            (i, say(value) if facet == "status" else value)
            for i, value in enumerate(values)
            if facet != "status" or value in statuses
        ]
        for facet, values in known.values.items()
    }


def _cell_tags(cell: Detail, known: Facets) -> Tags:
    names = {facet: str(cell.record.get(facet) or "") for facet in FACETS}
    return known.tag(**names | {"status": cell.status})


def _tags(found: Tags) -> Markup:
    """What an element is about, as attributes that the filters read."""
    return Markup("").join(Markup(' data-{}="{}"').format(facet, places) for facet, places in found.items())


def _text(cell: Cell, table: Table) -> Markup:
    """A cell's text and links to its footnotes."""
    links = (Markup('<a href="#{0}-note-{1}">{1}</a>').format(table.name, number) for number in cell.notes)
    notes = Markup("<sup>{}</sup>").format(Markup(", ").join(links)) if cell.notes else Markup("")
    return _breakable(cell.text) + notes


def _breakable(text: str) -> Markup:
    """Escaped text whose names may be broken behind an underscore, and whose marks stay with what they mark."""
    kept = text.replace(f" {SEEDED_MARK}", f"\N{NO-BREAK SPACE}{SEEDED_MARK}")
    return escape(kept).replace("_", Markup("_<wbr>"))


def _classes(cell: Cell, column: Column) -> Markup:
    names = ["number"] * column.numeric + ["best"] * cell.best
    names += ["long"] if len(cell.text) > LONG else ["name"] if "_" in cell.text and len(cell.text) > NAME else []
    if isinstance(cell.value, (str, bool)):
        word = cell.value if isinstance(cell.value, str) else cell.text.split(" ")[0]
        for name, words in (("good", _GOOD), ("bad", _BAD), ("doubtful", _DOUBTFUL)):
            names += [name] * (word in words or word in map(say, words))
    return Markup(' class="{}"').format(" ".join(names)) if names else Markup("")


def _sort(cell: Cell) -> Markup:
    """What the cell is sorted by, where that is not its text."""
    value = key(cell)
    return Markup("") if value == "" else Markup(' data-key="{}"').format(value)
