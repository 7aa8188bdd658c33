"""The charts of a report: title, caption, data and specification of each, or the sentence why there is none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from convert.precision.table import NAMES
from reports.html.chart_data import ChartRow, accuracies, distributions, drawn, latencies, rates, roofline
from reports.html.specs import GLYPHS, Charts, Spec, colours, shapes
from reports.language import mark, say
from reports.load.results import Results, runtime_order
from reports.numbers import measured
from runtimes.records.kinds import Latency, Throughput


@dataclass(frozen=True)
class Chart:
    """data: specification, rows and what is to be chosen of them (field and its name); None: `why` says why not."""

    name: str
    title: str
    caption: str
    data: dict[str, Any] | None
    why: str = ""


def build(results: Results) -> list[Chart]:
    """All charts, in the page's order. Throughput has one only where it was measured."""
    cells = drawn(results, Latency)
    runtimes = list(dict.fromkeys(r.runtime for r in sorted(results.records, key=runtime_order)))
    found = {record.precision for record in results.records}
    precisions = [*(name for name in NAMES if name in found), *sorted(found - set(NAMES))]
    make = Charts(runtimes, precisions)
    glyphs = {name: GLYPHS[shape] for name, shape in shapes(precisions).items()}
    marks = {"colours": colours(runtimes), "glyphs": glyphs}
    line = roofline(results, cells)
    roofs = [{**corner, "name": f"{corner['roof']}: {measured(corner['peak'])} GFLOP/s"} for corner in line.roofs]
    charts = [
        _chart("accuracy", accuracies(results, cells), make.accuracy(), ["images", "batch"], _NO_ACCURACY),
        _chart("scaling", latencies(cells), make.scaling(), ["model"]),
        _chart("distribution", distributions(cells), make.distribution(), ["model", "batch"]),
        _chart("roofline", line.points, make.roofline(roofs), ["batch"], _NO_ROOFLINE.get(line.missing, "")),
    ]
    measured_rates = rates(drawn(results, Throughput))
    if measured_rates:
        charts.insert(3, _chart("rate", measured_rates, make.rate(), ["model"]))
    for chart in charts:
        if chart.data:
            chart.data["marks"] = marks
    return charts


_TITLES = {
    "accuracy": mark("Accuracy against latency"),
    "scaling": mark("Latency over the batch size"),
    "distribution": mark("Distribution of the latencies"),
    "rate": mark("Throughput over the batch size"),
    "roofline": mark("Roofline: how much of the machine is used"),
}
_CAPTIONS = {
    "accuracy": mark(
        "Up and to the left is better. The dashed line is the Pareto front: no other cell is both at least as "
        "fast and more accurate. It goes by the measured values; where intervals overlap, neighbours cannot be told "
        "apart. Bars: 95 % intervals. Hollow: unstable, no part of the front."
    ),
    "scaling": mark(
        "Median of the whole batch, never divided by its images. Both axes are logarithmic: where a line is as "
        "steep as one that doubles with the batch, a larger batch gains nothing. Bars: 95 % intervals. Hollow: "
        "unstable."
    ),
    "distribution": mark(
        "Each dot is one inference. Tick: the median; band: its 95 % interval. Of more than 200 samples "
        "the 200 at evenly spaced ranks are drawn, smallest and largest among them."
    ),
    "rate": mark("Measured back to back, never derived from a latency. Bars: 95 % intervals, where there are any."),
    "roofline": mark(
        "After Williams, Waterman and Patterson (2009), doi:10.1145/1498765.1498785. Ceilings: measured on "
        "this machine by a large matrix product in each precision, and its memory bandwidth. Achieved: two FLOP per "
        "MAC of all matrix products, divided by the median. Intensity: FLOP per byte of weights (once per batch, in "
        "the precision that ran) and FP32 images. Activations may stay in the caches and are not counted: the "
        "intensity is an upper bound."
    ),
}
_NOTHING = mark("Nothing to draw: no latency was measured whose parity passed.")
_NO_ACCURACY = mark("No accuracy was measured of trained weights that also have a proven latency on the same runtime.")
_NO_ROOFLINE = {
    "ceiling": mark(
        "There is no roofline: the machine's ceilings (GFLOP/s of a matrix product, memory bandwidth) are not "
        "in environment.json."
    ),
    "points": mark(
        "There is no roofline: no cell ran on the CPU with a proven latency and a known number of MACs and parameters."
    ),
    "one machine": mark("There is no roofline of several machines together: look at the report of each."),
}


def _chart(name: str, rows: list[ChartRow], spec: Spec, choose: list[str], why: str = _NOTHING) -> Chart:
    data = {"rows": rows, "spec": spec | {"description": say(_TITLES[name])}, "choose": choose} if rows else None
    return Chart(name, say(_TITLES[name]), say(_CAPTIONS[name]), data, "" if rows else say(why))
