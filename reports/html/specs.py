"""The charts as Vega-Lite specifications without data. Colours are CSS variables: the page decides light or dark."""

from __future__ import annotations

from typing import Any

from reports.language import mark

Spec = dict[str, Any]

# Paddle, which everything is held against, is grey. The order of the others is fixed, so that a runtime has one colour
# in all reports. The colours behind the names are in style.css, after Okabe and Ito's palette for colour-blind people.
COLOURED = ("paddle", "ort-cpu", "openvino", "mnn", "ort-cuda", "ort-tensorrt", "tensorrt")
SHAPES = {"fp32": "circle", "tf32": "square", "fp16": "triangle-up", "bf16": "diamond", "int8": "cross"}
OTHER_SHAPE = "triangle-down"
DASHES = {"fp32": [1, 0], "tf32": [10, 3], "fp16": [6, 3], "bf16": [3, 3], "int8": [1, 3]}
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
    """A CSS colour for each runtime; those that are not ours share what is left, in turn."""
    others = sorted(set(runtimes) - set(COLOURED))
    order = {name: i for i, name in enumerate(COLOURED)} | {
        name: len(COLOURED) + i % 2 for i, name in enumerate(others)
    }
    return {name: f"var(--c{order[name]})" for name in runtimes}


class Charts:
    """Makes the specifications of one report: the same colour and shape for a runtime and a precision in all.

    say: turns an English text into the report's language.
    """

    def __init__(self, runtimes: list[str], precisions: list[str], say: Any) -> None:
        palette = colours(runtimes)
        shapes = [SHAPES.get(name, OTHER_SHAPE) for name in precisions]
        dashes = [DASHES.get(name, [1, 0]) for name in precisions]
        self.colour = _nominal("runtime", list(palette), list(palette.values()))
        self.shape = _nominal("precision", precisions, shapes)
        self.dash = _nominal("precision", precisions, dashes)
        self.say = say

    def accuracy(self) -> Spec:
        """Top-1 against latency. The page's script numbers the rows of the front, and lists them below."""
        x = self._latency()
        y: Spec = {"field": "top1", "type": "quantitative", "title": self.say("Top-1 (%)"), "scale": {"zero": False}}
        front: Spec = {
            "transform": [{"filter": "datum.front"}],
            "name": "front",
            "mark": {"type": "line", "interpolate": "step-after", "stroke": "var(--muted)", "strokeDash": [4, 3]},
            "encoding": {"x": x, "y": y, "detail": {"field": "machine"}, "order": {"field": "ms"}},
        }
        places: Spec = {
            "transform": [{"filter": "datum.front"}],
            "mark": {"type": "text", "fontSize": 12, "fontWeight": "bold", "dx": -9, "dy": -9, "fill": "var(--ink)"},
            "encoding": {"x": x, "y": y, "text": {"field": "front"}},
        }
        across = {**self._interval("x", "ms", x), "y": y, "color": self.colour}
        upright = {**self._interval("y", "top1", y), "x": x, "color": self.colour}
        points = self._points(x, y, {mark("Top-1 (%)"): "top1_text", mark("Latency (ms)"): "ms_text"})
        return _chart(front, _rule(across), _rule(upright), points, places, height=380)

    def distribution(self) -> Spec:
        """Each sample of a cell as a dot; the median as a bar, its interval as a band. The script sets the height."""
        row: Spec = {"field": "label", "type": "nominal", "title": None, "sort": None}
        # The name stands above its row and not beside it: on a phone nothing would be left for the samples.
        row["axis"] = {"labelAlign": "left", "labelPadding": 0, "labelOffset": -21, "labelFontSize": 12, "ticks": False}
        row["axis"] |= {"domain": False, "labelLimit": 0, "labelColor": "var(--ink)", "labelOverlap": False}
        row["scale"] = {"paddingInner": 0.1, "paddingOuter": 0.1}
        x: Spec = {"field": "ms", "type": "quantitative", "title": self.say("Latency of the batch (ms)")}
        x |= {"scale": {"zero": False, "padding": 8}, "axis": {"format": "~r"}}
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
                "tooltip": self._tip(
                    {mark("Sample (ms)"): "samples", mark("Median (ms)"): "ms_text", mark("Samples"): "count"}
                ),
            },
        }
        band: Spec = {
            "mark": {"type": "bar", "opacity": 0.3, "height": 30, "yOffset": 7, "aria": False},
            "encoding": {**self._interval("x", "ms", x), "y": row, "color": self.colour},
        }
        median: Spec = {
            "name": "medians",
            "mark": {"type": "tick", "thickness": 2, "size": 30, "yOffset": 7, "color": "var(--ink)"},
            "encoding": {
                "x": x,
                "y": row,
                "tooltip": self._tip({mark("Median (ms)"): "ms_text", mark("Samples"): "count"}),
            },
        }
        return _chart(band, dots, median)

    def scaling(self) -> Spec:
        """Latency of the whole batch over the batch size, both logarithmic: as steep as the diagonal means no gain."""
        x = self._batch()
        y = {**self._latency(), "title": self.say("Latency of the batch (ms)")}
        return self._lines(x, y, "ms", {mark("Batch"): "batch", mark("Latency (ms)"): "ms_text"})

    def rate(self) -> Spec:
        """Images per second over the batch size, measured back to back."""
        y = {"field": "rate", "type": "quantitative", "title": self.say("Images per second"), "scale": {"zero": True}}
        tips = {mark("Batch"): "batch", mark("Streams"): "streams", mark("Images per second"): "rate_text"}
        return self._lines(self._batch(), y, "rate", tips, "streams")

    def roofline(self, roofs: list[dict[str, Any]]) -> Spec:
        """Achieved GFLOP/s against FLOP per byte, under the ceilings of memory and of each precision."""
        x = _log("intensity", self.say("FLOP per byte of weights and images"))
        y = _log("gflops", self.say("Achieved (GFLOP/s)"))
        ceiling: Spec = {
            "data": {"values": roofs},
            "name": "roofs",
            "mark": {"type": "line", "stroke": "var(--muted)", "strokeWidth": 1.5},
            "encoding": {"x": x, "y": y, "detail": {"field": "roof"}, "strokeDash": {**self.dash, "field": "roof"}},
        }
        names: Spec = {
            "data": {"values": roofs[2::3]},
            "mark": {"type": "text", "align": "right", "baseline": "bottom", "dy": -4, "fill": "var(--ink)"},
            "encoding": {"x": x, "y": y, "text": {"field": "name"}},
        }
        names["mark"]["fontSize"] = 12
        tips = {
            mark("Achieved (GFLOP/s)"): "gflops_text",
            mark("FLOP per byte"): "intensity_text",
            mark("Latency (ms)"): "ms_text",
        }
        return _chart(ceiling, names, self._points(x, y, tips), height=340)

    def _lines(self, x: Spec, y: Spec, name: str, tips: dict[str, str], *detail: str) -> Spec:
        line: Spec = {
            "mark": {"type": "line", "strokeWidth": 1.75, "aria": False},
            "encoding": {"x": x, "y": y, "color": self.colour, "strokeDash": self.dash},
        }
        line["encoding"]["detail"] = [{"field": field} for field in ("label", *detail)]
        interval = _rule({**self._interval("y", name, y), "x": x, "color": self.colour})
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

    def _interval(self, axis: str, name: str, scale: Spec) -> Spec:
        return {axis: {**scale, "field": f"{name}_low"}, f"{axis}2": {"field": f"{name}_high"}}

    def _latency(self) -> Spec:
        return _log("ms", self.say("Latency of the batch, median (ms)"))

    def _batch(self) -> Spec:
        x: Spec = {"field": "batch", "type": "quantitative", "title": self.say("Batch (images)")}
        x["scale"] = {"type": "log", "base": 2, "nice": False, "padding": 14}
        x["axis"] = {"grid": False, "format": "d"}
        return x

    def _tip(self, fields: dict[str, str]) -> list[Spec]:
        always = {mark("Model"): "model", mark("Runtime"): "label", mark("Status"): "status"}
        return [
            {"field": field, "title": self.say(title), "type": "nominal"} for title, field in (always | fields).items()
        ]


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


def _log(field: str, title: str) -> Spec:
    scale = {"type": "log", "nice": False, "padding": 14}
    return {
        "field": field,
        "type": "quantitative",
        "title": title,
        "scale": scale,
        "axis": {"format": "~r", "gridOpacity": 0.6},
    }


def _nominal(field: str, domain: list[str], values: list[Any]) -> Spec:
    return {"field": field, "type": "nominal", "scale": {"domain": domain, "range": values}}
