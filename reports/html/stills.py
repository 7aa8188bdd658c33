"""A chart as it stands before the page's script draws it, and where none runs: for paper, robots and old browsers.

It shows what the script would choose first, drawn by the same library. The script puts its own in its place.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import vl_convert
from markupsafe import Markup

_WIDTH = 880  # pixels; the page scales it to the room that there is
_ROW = 58  # height of a row where a specification leaves the height open, as in page.js


@dataclass(frozen=True)
class Still:
    """svg: the drawing. chosen: what it shows, by field. legend: glyph, CSS colour ("" for that of text) and name."""

    svg: Markup
    chosen: dict[str, str]
    legend: list[tuple[str, str, str]]


def draw(name: str, data: dict[str, Any]) -> Still:
    """The first choice of a chart. data: as in `Chart`, its specification, rows and the fields to choose by."""
    chosen, rows = _first(data["rows"], data["choose"])
    rows = _numbered(rows) if name == "accuracy" else rows
    spec = {"height": _ROW * len(rows), **data["spec"], "width": _WIDTH, "data": {"name": "rows", "values": rows}}
    colours, glyphs = data["marks"]["colours"], data["marks"]["glyphs"]
    legend = [("━", colour, one) for one, colour in colours.items() if any(row["runtime"] == one for row in rows)]
    if name != "distribution":
        legend += [(glyph, "", one) for one, glyph in glyphs.items() if any(row["precision"] == one for row in rows)]
    svg = vl_convert.vegalite_to_svg(spec)
    return Still(Markup(svg), chosen, legend)  # noqa: S704 - Vega escapes what is text in it


def _first(rows: list[dict[str, Any]], fields: list[str]) -> tuple[dict[str, str], list[dict[str, Any]]]:
    """What the script chooses where nobody has chosen: the model with the most rows, else the first value."""
    chosen: dict[str, str] = {}
    for field in fields:
        counts: dict[str, int] = {}
        for row in rows:
            counts[str(row[field])] = counts.get(str(row[field]), 0) + 1
        values = sorted(counts, key=float) if field == "batch" else list(counts)
        chosen[field] = max(values, key=lambda value: counts[value]) if field == "model" else values[0]
        rows = [row for row in rows if str(row[field]) == chosen[field]]
    return chosen, rows


def _numbered(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows with their number on the Pareto front of their machine, 0 for those that are not on it."""
    best: dict[Any, float] = {}
    numbered, count = [], 0
    for row in sorted(rows, key=lambda one: (one["ms"], -one["top1"])):
        on = row["status"] == "ok" and row["top1"] > best.get(row.get("machine"), -1)
        count += on
        if on:
            best[row.get("machine")] = row["top1"]
        numbered.append({**row, "front": count if on else 0})
    return numbered
