"""The charts as Vega-Lite specifications without data. Colours are CSS variables: the page decides light or dark."""

from __future__ import annotations

from typing import Any

from convert.precision.table import FP32, PRECISIONS
from reports.language import mark, say
from runtimes import registry

Spec = dict[str, Any]

OTHER_SHAPE = "triangle-down"
# The shapes of points as letters, for legends.
GLYPHS = {"circle": "●", "square": "■", "triangle-up": "▲", "diamond": "◆", "cross": "✚", OTHER_SHAPE: "▼"}
# Of style.css, after Okabe and Ito's palette for colour-blind people: colours that no runtime of ours has.
_SPARE_COLOURS = (7, 8)
_TEXT: Spec = {"type": "text", "fontSize": 12, "fill": "var(--ink)"}
_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', 'Noto Sans CJK SC', sans-serif"

CONFIG: Spec = {
    "background": "transparent",
    "font": _FONT,
    "view": {"stroke": None},
    "axis": {
        "gridColor": "var(--line)",
        "domainColor": "var(--line)",
        "tickColor": "var(--line)",
        "labelColor": "var(--muted)",
        "titleColor": "var(--muted)",
        "titleFontWeight": "normal",
        "labelFontSize": 12,
        "titleFontSize": 12,
        "titlePadding": 8,
        "labelOverlap": True,
        "tickCount": 6,
    },
    "legend": {"disable": True},
}


def colours(runtimes: list[str]) -> dict[str, str]:
    """A CSS colour for each runtime, the same in all reports; those that have none share what is left, in turn."""
    known = {name: registry.get(name).colour for name in registry.names()}
    others = sorted(name for name in runtimes if known.get(name) is None)
    spare = {name: _SPARE_COLOURS[place % len(_SPARE_COLOURS)] for place, name in enumerate(others)}
    return {name: f"var(--c{(known | spare)[name]})" for name in runtimes}


def shapes(precisions: list[str]) -> dict[str, str]:
    return {name: PRECISIONS[name].shape if name in PRECISIONS else OTHER_SHAPE for name in precisions}


class Charts:
    """Makes the specifications of one report: the same colour and shape for a runtime and a precision in all."""

    def __init__(self, runtimes: list[str], precisions: list[str]) -> None:
        dashes = {name: list(PRECISIONS.get(name, PRECISIONS[FP32]).dashes) for name in precisions}
        self.colour = _nominal("runtime", colours(runtimes))
        self.shape = _nominal("precision", shapes(precisions))
        self.dash = _nominal("precision", dashes)

    def accuracy(self) -> Spec:
        """Top-1 against latency. The page's script numbers the rows of the front, and lists them below."""
        x = _log("ms", say("Latency of the batch, median (ms)"))
        y = _quantity("top1", say("Top-1 (%)"), scale={"zero": False})
        front: Spec = {
            "transform": [{"filter": "datum.front"}],
            "name": "front",
            "mark": {"type": "line", "interpolate": "step-after", "stroke": "var(--muted)", "strokeDash": [4, 3]},
            "encoding": {"x": x, "y": y, "detail": {"field": "machine"}, "order": {"field": "ms"}},
        }
        places: Spec = {
            "transform": [{"filter": "datum.front"}],
            "mark": {**_TEXT, "fontWeight": "bold", "dx": -9, "dy": -9},
            "encoding": {"x": x, "y": y, "text": {"field": "front"}},
        }
        across = {**_interval("x", "ms", x), "y": y, "color": self.colour}
        upright = {**_interval("y", "top1", y), "x": x, "color": self.colour}
        points = self._points(x, y, {mark("Top-1 (%)"): "top1_text", mark("Latency (ms)"): "ms_text"})
        return _chart(front, _rule(across), _rule(upright), points, places, height=380)

    def distribution(self) -> Spec:
        """Each sample of a cell as a dot; the median as a bar, its interval as a band. The script sets the height."""
        row: Spec = {"field": "label", "type": "nominal", "title": None, "sort": None}
        # The name stands above its row and not beside it: on a phone nothing would be left for the samples.
        row["axis"] = {"labelAlign": "left", "labelPadding": 0, "labelOffset": -21, "labelFontSize": 12, "ticks": False}
        row["axis"] |= {"domain": False, "labelLimit": 0, "labelColor": "var(--ink)", "labelOverlap": False}
        row["scale"] = {"paddingInner": 0.1, "paddingOuter": 0.1}
        scale = {"zero": False, "padding": 8}
        x = _quantity("ms", say("Latency of the batch (ms)"), scale=scale, axis={"format": "~r"})
        known = {mark("Median (ms)"): "ms_text", mark("Samples"): "count"}
        dots: Spec = {
            "name": "dots",
            "transform": [
                {"flatten": ["samples"]},
                {"window": [{"op": "row_number", "as": "place"}], "groupby": ["label"]},
                # Spread by the golden ratio: even, and the same each time, as chance would not be.
                {"calculate": "(datum.place * 0.618034) % 1", "as": "spread"},
            ],
            "mark": {"type": "circle", "size": 22, "opacity": 0.5, "aria": False},
            "encoding": {
                "x": {**x, "field": "samples"},
                "y": row,
                "yOffset": {"field": "spread", "type": "quantitative", "scale": {"domain": [-1.1, 1.25]}},
                "color": self.colour,
                "tooltip": self._tip({mark("Sample (ms)"): "samples"} | known),
            },
        }
        band: Spec = {
            "mark": {"type": "bar", "opacity": 0.3, "height": 30, "yOffset": 7, "aria": False},
            "encoding": {**_interval("x", "ms", x), "y": row, "color": self.colour},
        }
        median: Spec = {
            "name": "medians",
            "mark": {"type": "tick", "thickness": 2, "size": 30, "yOffset": 7, "color": "var(--ink)"},
            "encoding": {"x": x, "y": row, "tooltip": self._tip(known)},
        }
        return _chart(band, dots, median)

    def scaling(self) -> Spec:
        """Latency of the whole batch over the batch size, both logarithmic: as steep as the diagonal means no gain."""
        y = _log("ms", say("Latency of the batch (ms)"))
        return self._lines(y, "ms", {mark("Latency (ms)"): "ms_text"})

    def rate(self) -> Spec:
        """Images per second over the batch size, measured back to back."""
        y = _quantity("rate", say("Images per second"), scale={"zero": True})
        tips = {mark("Streams"): "streams", mark("Images per second"): "rate_text"}
        return self._lines(y, "rate", tips, "streams")

    def roofline(self, roofs: list[dict[str, Any]]) -> Spec:
        """Achieved GFLOP/s against FLOP per byte, under the ceilings of memory and of each precision."""
        x = _log("intensity", say("FLOP per byte of weights and images"))
        y = _log("gflops", say("Achieved (GFLOP/s)"))
        ceiling: Spec = {
            "data": {"values": roofs},
            "name": "roofs",
            "mark": {"type": "line", "stroke": "var(--muted)", "strokeWidth": 1.5},
            "encoding": {"x": x, "y": y, "detail": {"field": "roof"}, "strokeDash": {**self.dash, "field": "roof"}},
        }
        names: Spec = {
            "data": {"values": roofs[2::3]},
            "mark": {**_TEXT, "align": "right", "baseline": "bottom", "dy": -4},
            "encoding": {"x": x, "y": y, "text": {"field": "name"}},
        }
        tips = {
            mark("Achieved (GFLOP/s)"): "gflops_text",
            mark("FLOP per byte"): "intensity_text",
            mark("Latency (ms)"): "ms_text",
        }
        return _chart(ceiling, names, self._points(x, y, tips), height=340)

    def _lines(self, y: Spec, name: str, tips: dict[str, str], *detail: str) -> Spec:
        """Something over the batch size, which is logarithmic."""
        scale = {"type": "log", "base": 2, "nice": False, "padding": 14}
        x = _quantity("batch", say("Batch (images)"), scale=scale, axis={"grid": False, "format": "d"})
        line: Spec = {
            "mark": {"type": "line", "strokeWidth": 1.75, "aria": False},
            "encoding": {"x": x, "y": y, "color": self.colour, "strokeDash": self.dash},
        }
        line["encoding"]["detail"] = [{"field": field} for field in ("label", *detail)]
        interval = _rule({**_interval("y", name, y), "x": x, "color": self.colour})
        return _chart(line, interval, self._points(x, y, tips), height=320)

    def _points(self, x: Spec, y: Spec, tips: dict[str, str]) -> Spec:
        hollow = {"condition": {"test": "datum.status !== 'ok'", "value": 0}, "value": 0.85}
        return {
            "name": "points",
            "mark": {"type": "point", "size": 75, "filled": False, "strokeWidth": 1.5, "cursor": "pointer"},
            "encoding": {
                **{"x": x, "y": y, "color": self.colour, "shape": self.shape},
                "fill": self.colour,
                "fillOpacity": hollow,
                "tooltip": self._tip({mark("Batch"): "batch"} | tips),
            },
        }

    def _tip(self, fields: dict[str, str]) -> list[Spec]:
        always = {mark("Model"): "model", mark("Runtime"): "label", mark("Status"): "status"}
        return [{"field": name, "title": say(title), "type": "nominal"} for title, name in (always | fields).items()]


def _chart(*layers: Spec, height: int = 0) -> Spec:
    """Layers that share their scales, as wide as the page gives room."""
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "width": "container",
        **({"height": height} if height else {}),
        "autosize": {"type": "fit-x", "contains": "padding"},
        "config": CONFIG,
        "layer": list(layers),
    }


def _rule(encoding: Spec) -> Spec:
    return {"mark": {"type": "rule", "strokeWidth": 1.25, "opacity": 0.7, "aria": False}, "encoding": encoding}


def _interval(axis: str, name: str, scale: Spec) -> Spec:
    return {axis: {**scale, "field": f"{name}_low"}, f"{axis}2": {"field": f"{name}_high"}}


def _quantity(field: str, title: str, **more: Spec) -> Spec:
    return {"field": field, "type": "quantitative", "title": title, **more}


def _log(field: str, title: str) -> Spec:
    scale = {"type": "log", "nice": False, "padding": 14}
    return _quantity(field, title, scale=scale, axis={"format": "~r", "gridOpacity": 0.6})


def _nominal(field: str, marks: dict[str, Any]) -> Spec:
    return {"field": field, "type": "nominal", "scale": {"domain": list(marks), "range": list(marks.values())}}
