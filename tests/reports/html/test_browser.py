"""The page in a real browser: it opens alone, sorts, filters, draws what the data says, and can be read everywhere."""

from __future__ import annotations

import math
import statistics
from typing import Any

import pytest

from reports.load import results
from runtimes.records.kinds import Latency
from tests.reports import synthetic
from tests.reports.html.browsing import column, drawn, small

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

# Each text that is not empty against the colour behind it: WCAG 2.2, success criterion 1.4.3, relative luminance.
CONTRASTS = """() => {
  const parse = (text) => (text.match(/[\\d.]+/g) ?? [0, 0, 0, 0]).map(Number);
  const luminance = ([r, g, b]) => [r, g, b].map((c) => c / 255)
    .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const [r, g, b, a = 1] = parse(getComputedStyle(e).backgroundColor);
      if (a === 1) return [r, g, b];
    }
    return [255, 255, 255];
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement, style = getComputedStyle(element);
    const text = walker.currentNode.data.trim();
    if (!text || element.closest("script, noscript, option, .skip") || !element.checkVisibility()) continue;
    const colour = parse(element instanceof SVGElement ? style.fill : style.color);
    const [one, other] = [luminance(colour), luminance(behind(element))].sort((a, b) => b - a);
    found.push([(one + 0.05) / (other + 0.05), text.slice(0, 40), String(element.className),
      element.closest("[aria-hidden]") !== null]);
  }
  return found;
}"""


def low(found: list[list[Any]]) -> list[list[Any]]:
    """Texts below 4.5, and marks beside a text that says the same (which are hidden from readers) below 3."""
    return [entry for entry in found if entry[0] < (3 if entry[3] else 4.5)]


def test_a_column_is_sorted_up_down_and_back(visit: Any, stored: results.Results) -> None:
    page = visit(stored)
    before = column(page, "answer", 4)
    heading = page.locator("#answer th", has_text="Median")
    states = []
    for _ in range(3):
        heading.get_by_role("button").click()
        states.append((heading.get_attribute("aria-sort"), column(page, "answer", 4)))
    up = sorted(before, key=float)
    assert states == [("ascending", up), ("descending", up[::-1]), (None, before)]
    assert up != before


def test_sorting_by_the_keyboard_leaves_what_has_no_number_last(visit: Any, stored: results.Results) -> None:
    page = visit(stored)
    place = page.locator("#table-latency-detail thead th").all_text_contents().index("Median (ms)")
    button = page.locator("#table-latency-detail thead button").nth(place)
    for key, turn in (("Enter", 1), ("Space", -1)):
        button.focus()
        page.keyboard.press(key)
        texts = column(page, "table-latency-detail", place)
        numbers = [float(text) for text in texts if text != "-"]
        assert numbers == sorted(numbers, reverse=turn < 0)
        assert texts[len(numbers) :] == ["-"] * (len(texts) - len(numbers))
        assert 1 < len(numbers) < len(texts)
    outline = button.evaluate("b => getComputedStyle(b).outlineStyle + getComputedStyle(b).outlineWidth")
    assert outline == "solid2px"


def test_filters_hold_for_tables_cells_and_charts(visit: Any, folder: Any) -> None:
    found = small(folder)
    page = visit(found)
    model, other = found.models[1], found.models[0]
    page.locator("[data-facet=model]").select_option(label=model)
    page.locator("[data-facet=runtime]").select_option(label="openvino")
    expected = [r for r in found.records if r.model == model and r.runtime == "openvino"]
    count = page.locator(".count")
    sync_api.expect(count).to_have_text(f"{len(expected)} of {len(found.records)} cells")
    assert page.locator("#cells .cell:not([hidden])").count() == len(expected) > 0
    assert set(column(page, "table-latency-detail", 0)) == {model}
    assert {text.split(" ")[0] for text in column(page, "table-latency-detail", 1)} == {"openvino"}
    assert page.locator("#table-latency tbody tr:not([hidden])").count() == page.locator("#table-latency table").count()
    headings = page.locator("#table-latency thead th:not([hidden])").all_text_contents()
    assert not [text for text in headings if "paddle" in text or "ort-cpu" in text]
    assert any("openvino" in text for text in headings)
    sync_api.expect(page.locator("#chart-scaling [data-field=model]")).to_have_value(model)
    page.locator("#chart-scaling").scroll_into_view_if_needed()
    sync_api.expect(page.locator("#chart-scaling")).to_have_attribute("data-drawn", str(len(drawn(page, "scaling"))))
    assert {(row["model"], row["runtime"]) for row in drawn(page, "scaling")} == {(model, "openvino")}
    page.get_by_role("button", name="Reset").click()
    sync_api.expect(count).to_have_text(f"{len(found.records)} of {len(found.records)} cells")
    assert other in column(page, "table-latency-detail", 0)


def test_text_and_status_filter_by_the_keyboard(visit: Any, stored: results.Results) -> None:
    page = visit(stored)
    page.locator("[data-facet=text]").focus()
    page.keyboard.type("OPENVINO bf16")
    matching = [r for r in stored.records if (r.runtime, r.precision) == ("openvino", "bf16")]
    sync_api.expect(page.locator("#cells .cell:not([hidden])")).to_have_count(len(matching))
    page.locator("[data-facet=text]").fill("no such thing")
    sync_api.expect(page.locator("#cells > .none")).to_be_visible()
    page.locator("[data-facet=text]").fill("")
    page.locator("[data-facet=status]").select_option(label="unproven")
    shown = page.locator("#cells .cell:not([hidden]) .status")
    sync_api.expect(shown.first).to_have_text("unproven")
    assert set(shown.all_text_contents()) == {"unproven"}


def test_the_tab_key_reaches_everything_in_order(visit: Any, stored: results.Results) -> None:
    page = visit(stored)
    seen = []
    for _ in range(60):
        page.keyboard.press("Tab")
        seen.append(
            page.evaluate("document.activeElement.closest('[id], form, nav')?.id || document.activeElement.tagName")
        )
    first = [seen.index(name) for name in ("INPUT", "chart-scaling") if name in seen]
    assert page.evaluate("document.querySelector('.skip').matches('a[href=\"#main\"]')")
    assert seen[0] == "A" or seen[0] == ""
    assert first == sorted(first)
    assert len(first) == 2


def test_a_cell_opens_with_its_fields_and_copies_its_command(visit: Any, stored: results.Results) -> None:
    page = visit(stored, permissions=["clipboard-read", "clipboard-write"])
    number, record = next((i, r) for i, r in enumerate(stored.records) if isinstance(r, Latency) and r.status == "ok")
    cell = page.locator(f"#cell-{number}")
    cell.locator("summary").focus()
    page.keyboard.press("Enter")
    sync_api.expect(cell.locator("dl")).to_be_visible()
    fields = dict(zip(cell.locator("dt").all_text_contents(), cell.locator("dd").all_text_contents(), strict=True))
    assert float(fields["median_ms"]) == pytest.approx(record.median_ms, rel=1e-5)
    assert fields["artifact"] == record.artifact
    cell.get_by_role("button").click()
    sync_api.expect(cell.get_by_role("button")).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == record.command


def test_points_stand_where_the_data_says(visit: Any, folder: Any) -> None:
    page = visit(small(folder))
    rows = drawn(page, "scaling")
    assert len(rows) > 5
    places = page.evaluate(
        """() => { const view = vitbench.charts.scaling.view;
        const marks = []; const walk = (item) => { if (item.marktype === 'symbol' && item.name === 'points_marks')
          marks.push(...item.items.map((i) => [i.x, i.y, i.datum.ms, i.datum.batch, i.datum.number]));
          (item.items ?? []).forEach((i) => { if (i.items) i.items.forEach(walk); }); };
        walk(view.scenegraph().root); return marks; }"""
    )
    assert {place[4] for place in places} == {row["number"] for row in rows}
    # A logarithmic axis: the place is linear in the logarithm, so any two points give the same scale as all others.
    for axis, value in ((0, 3), (1, 2)):
        logs = [math.log(place[value]) for place in places]
        slope, intercept = statistics.linear_regression(logs, [place[axis] for place in places])
        assert all(abs(slope * x + intercept - place[axis]) < 0.01 for x, place in zip(logs, places, strict=True))
        assert (slope > 0) == (axis == 0), "to the right and up is more"


def test_the_front_is_what_nothing_beats(visit: Any, folder: Any) -> None:
    page = visit(small(folder, runtimes=synthetic.RUNTIMES[:4], precisions=("fp32", "bf16", "int8")))
    rows = drawn(page, "accuracy")
    able = [row for row in rows if row["status"] == "ok"]
    front = {
        row["number"]
        for row in able
        if not any(
            (o["ms"] <= row["ms"] and o["top1"] > row["top1"]) or (o["ms"] < row["ms"] and o["top1"] >= row["top1"])
            for o in able
        )
    }
    assert {row["number"] for row in rows if row["front"]} == front
    assert 1 < len(front) < len(able)
    assert any(row["status"] == "unstable" for row in rows)
    assert page.locator("#chart-accuracy .front li").count() == len(front)


def test_a_click_on_a_point_opens_its_cell(visit: Any, folder: Any) -> None:
    page = visit(small(folder))
    page.locator("#chart-scaling .plot path[aria-roledescription]").last.click()
    page.wait_for_selector("#cells .cell[open]")
    label = page.locator("#cells .cell[open] .kind").inner_text()
    assert label.startswith("latency")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_every_text_has_contrast(visit: Any, stored: results.Results, scheme: str, width: int) -> None:
    page = visit(stored, color_scheme=scheme, viewport={"width": width, "height": 800})
    page.add_style_tag(content=".lazy { content-visibility: visible }")
    page.locator("#cells .cell").first.evaluate("cell => { cell.open = true; }")
    found = page.evaluate(CONTRASTS)
    assert len(found) > 300
    assert low(found) == []
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (dark == "rgb(255, 255, 255)") == (scheme == "light")


def test_a_phone_scrolls_down_only(visit: Any, folder: Any) -> None:
    long = "a_model_with_a_name_that_is_longer_than_a_phone_is_wide_and_has_no_place_to_break"
    records = synthetic.records(models=synthetic.MODELS[:2], runtimes=synthetic.RUNTIMES, precisions=("fp32", "int8"))
    for record in records:
        record["model"] = long if record["model"] == synthetic.MODELS[0] else record["model"]
    found = results.load(folder(*records, environment=synthetic.ENVIRONMENT))
    page = visit(found, viewport={"width": 360, "height": 740}, is_mobile=True)
    page.add_style_tag(content=".lazy { content-visibility: visible }")
    page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    for chart in ("accuracy", "scaling", "distribution", "roofline"):
        box = page.locator(f"#chart-{chart} svg").bounding_box()
        assert box["x"] >= 0, chart
        assert box["x"] + box["width"] <= 360, chart
        assert box["width"] > 280, chart
    heads = page.evaluate("[...document.querySelectorAll('thead')].map((one) => one.getBoundingClientRect().height)")
    assert max(heads) < 60, "one line: columns that are out of sight would leave a blank box"


def test_print_is_light_and_complete(visit: Any, folder: Any) -> None:
    found = small(folder, batches=(1,))
    page = visit(found, color_scheme="dark", viewport={"width": 760, "height": 1000})
    page.emulate_media(media="print", color_scheme="dark")
    page.wait_for_timeout(50)
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert not page.locator(".filters").is_visible()
    assert page.locator("#cells dl").count() == len(found.records)
    assert page.locator("#cells dl").first.is_visible()
    assert page.locator(".plot svg").count() == 5
    assert page.locator(".plot svg text").first.evaluate("t => getComputedStyle(t).fill") != "rgb(163, 172, 185)"
    assert low(page.evaluate(CONTRASTS)) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 760, "nothing is cut off at the paper's edge"
