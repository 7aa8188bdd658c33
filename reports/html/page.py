"""The page: the report's tables, the charts, and every record, in one text.

Everything from records is data: Jinja escapes it in the markup, and JSON is written so that it cannot end its element.
A content security policy lets the page run its own two scripts, known by their hashes, and load nothing.
"""

from __future__ import annotations

import base64
import hashlib
import importlib.metadata
import json
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2
import vl_convert
from markupsafe import Markup, escape

from reports.html.answer_cards import cards
from reports.html.charts import build
from reports.html.details import Detail, details
from reports.html.facets import Facets, Tags
from reports.html.stills import draw
from reports.language import html_lang, mark, say
from reports.load.results import Results
from reports.tables.columns import SEEDED_MARK
from reports.tables.report import Report
from reports.tables.standing import runtime_name
from reports.tables.table import Entry, Heading, Shows, Table, TablePart, Tone

if TYPE_CHECKING:
    from reports.pictures import PictureGroup

# Characters above which a cell is a sentence, or a name of several parts: such columns are never as narrow as others.
LONG, NAME = 40, 14
HERE = Path(__file__).parent
# What the page's script says.
IN_SCRIPT = (
    *(mark("%1 of %2 cells"), mark("Copy"), mark("Copied"), mark("Copy the command")),
    *(mark("Model"), mark("Batch"), mark("Images")),
)
TALL = 50  # rows above which a section is drawn only when it is looked at: a placeholder of fewer would be larger
WIDEST = 16  # columns that a screen shows side by side; a wider table with headings is one table per heading


def render(report: Report, results: Results, pictures: Sequence[PictureGroup] | None = None) -> str:
    """The whole page. The same report and results give the same text. pictures: photos that are asked for."""
    known = Facets.of(results)
    shown = details(results, known)
    drawn = build(results)
    script, library = (HERE / "page.js").read_text(encoding="utf-8"), vega()
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {"say": say, "known": known, "tags": _tags, "name": runtime_name}
    environment.globals |= {"blocks": blocks, "agreed": _agreed, "numeric": numeric}
    environment.globals |= {"classes": _classes, "sort": _sort, "text": _text}
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
        bars=Markup(bars.render(cards=cards(results, known))),  # noqa: S704 - likewise
        choosers=[
            ("model", say("Model"), say("All models")),
            ("runtime", say("Runtime"), say("All runtimes")),
            ("precision", say("Precision"), say("All precisions")),
            ("status", say("Status"), say("Any status")),
            ("machine", say("Machine"), say("All machines")),
        ],
        choices=_choices(known, shown),
        charts=drawn,
        stills={chart.name: draw(chart.name, chart.data) for chart in drawn if chart.data},
        tall=TALL,
        pictures=pictures,
        cells=shown,
        credit=credit(),
        data=embedded(
            {
                "facets": known.values,
                "texts": {text: say(text) for text in IN_SCRIPT},
                "charts": {chart.name: chart.data for chart in drawn if chart.data},
            }
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
    statuses = {cell.subject.status for cell in shown}
    return {
        facet: [
            (i, say(value) if facet == "status" else value)
            for i, value in enumerate(values)
            if facet != "status" or value in statuses
        ]
        for facet, values in known.values.items()
    }


def _tags(found: Tags) -> Markup:
    """What an element is about, as attributes that the filters read."""
    return Markup("").join(Markup(' data-{}="{}"').format(facet, places) for facet, places in found.items())


def blocks(table: Table) -> list[TablePart]:
    """A table of the report as tables of the page; none where it has no rows."""
    return [block for block in table.blocks(WIDEST, without=_agreed(table)) if block.rows]


def _agreed(table: Table) -> dict[Heading, Entry]:
    """What is said once; one row alone says all of it."""
    return table.agreed() if len(table.rows) > 1 else {}


def numeric(block: TablePart, place: int) -> bool:
    """Whether a column stands to the right: one of numbers or ranges, and marks in their place."""
    ranges = block.columns[place].shows is Shows.RANGE
    return block.numeric(place) or (ranges and any(entry.sort_key is not None for entry in block.entries(place)))


def _text(entry: Entry, table: Table) -> Markup:
    """An entry's text and links to its footnotes."""
    links = (Markup('<a href="#{0}-note-{1}">{1}</a>').format(table.name, number) for number in entry.notes)
    notes = Markup("<sup>{}</sup>").format(Markup(", ").join(links)) if entry.notes else Markup("")
    return _breakable(entry.text) + notes


def _breakable(text: str) -> Markup:
    """Escaped text whose names may be broken behind an underscore, and whose marks stay with what they mark."""
    kept = text.replace(f" {SEEDED_MARK}", f"\N{NO-BREAK SPACE}{SEEDED_MARK}")
    return escape(kept).replace("_", Markup("_<wbr>"))


def _classes(entry: Entry, numeric: bool) -> Markup:
    names = ["number"] * numeric + ["best"] * entry.best
    names += ["long"] if len(entry.text) > LONG else ["name"] if "_" in entry.text and len(entry.text) > NAME else []
    names += [entry.tone.value] if entry.tone is not Tone.PLAIN else []
    return Markup(' class="{}"').format(" ".join(names)) if names else Markup("")


def _sort(entry: Entry) -> Markup:
    """What the entry is sorted by, where that is not its text."""
    return Markup("") if entry.sort_key is None else Markup(' data-key="{}"').format(entry.sort_key)
