"""The page in a real browser: it opens alone, sorts, filters, draws what the data says, and can be read everywhere."""

from __future__ import annotations

import math
import shutil
import statistics
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from reports import html, results, tables
from tests.reports import synthetic
from tests.reports.shown import BASE, TINY

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")

pytestmark = pytest.mark.skipif(not CHROMIUM, reason="no browser: neither chromium nor google-chrome is on the PATH")

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


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def visit(browser: Any, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Open the page of a results folder from disk. Afterwards: it logged nothing and asked for nothing else."""
    complaints: list[str] = []
    contexts = []

    def open_page(found: results.Results, **options: Any) -> Any:
        file = tmp_path / "report.html"
        file.write_text(html.render(tables.build(found), found), encoding="utf-8")
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: request.url != file.as_uri() and complaints.append(request.url))
        page.goto(file.as_uri())
        page.wait_for_selector("html[data-ready]", timeout=20_000)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture(scope="module")
def stored(example: Path) -> results.Results:
    return results.load(example)


def small(folder: Any, **options: Any) -> results.Results:
    chosen = {"models": synthetic.MODELS[:3], "runtimes": synthetic.RUNTIMES[:3], "precisions": ("fp32", "bf16")}
    return results.load(folder(*synthetic.records(**{**chosen, **options}), environment=synthetic.ENVIRONMENT))


def column(page: Any, table: str, place: int) -> list[str]:
    return page.locator(f"#{table} tbody tr:not([hidden])").evaluate_all(
        f"rows => rows.map(r => r.cells[{place}].textContent)"
    )


def drawn(page: Any, chart: str) -> list[dict[str, Any]]:
    """The rows that the chart's view holds."""
    return page.evaluate(f"JSON.parse(JSON.stringify(vitbench.charts.{chart}.view.data('rows')))")


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
    expected = [r for r in found.records if r["model"] == model and r["runtime"] == "openvino"]
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
    matching = [r for r in stored.records if (r["runtime"], r["precision"]) == ("openvino", "bf16")]
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
    number, record = next(
        (i, r) for i, r in enumerate(stored.records) if r["kind"] == "latency" and r["status"] == "ok"
    )
    cell = page.locator(f"#cell-{number}")
    cell.locator("summary").focus()
    page.keyboard.press("Enter")
    sync_api.expect(cell.locator("dl")).to_be_visible()
    fields = dict(zip(cell.locator("dt").all_text_contents(), cell.locator("dd").all_text_contents(), strict=True))
    assert float(fields["median_ms"]) == pytest.approx(record["median_ms"], rel=1e-5)
    assert fields["artifact"] == record["artifact"]
    cell.get_by_role("button").click()
    sync_api.expect(cell.get_by_role("button")).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == record["command"]


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


def test_hostile_records_do_nothing(visit: Any, make: Any, folder: Any) -> None:
    evil = "</script><img src=x onerror=\"document.title='owned'\"><b>bold</b>"
    same = {"model": evil, "runtime": evil, "precision": evil}
    records = [make.latency(**same, samples_ms=[99.0, 101.0], model_info=make.weights("file")), make.parity(**same)]
    records += [make.accuracy(**same, dataset=evil), make.latency(None, status="failed", reason=evil, runtime="mnn")]
    page = visit(results.load(folder(*records, environment={"cpu": evil})))
    page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    page.locator("#chart-scaling").scroll_into_view_if_needed()
    page.locator("#chart-scaling .plot path[aria-roledescription]").last.hover()
    sync_api.expect(page.locator("#vg-tooltip-element")).to_contain_text("onerror")
    assert page.locator("img, dd b, .plot b, #vg-tooltip-element b").count() == 0
    assert page.title() != "owned"
    assert evil in page.locator("#cells .what b").all_text_contents()


def test_everything_failed(visit: Any, make: Any, folder: Any) -> None:
    page = visit(
        results.load(
            folder(*(make.latency(None, status="failed", reason="killed", runtime=r) for r in ("paddle", "mnn")))
        )
    )
    assert page.locator(".plot").count() == 0
    assert page.locator("figure .note").count() == 4
    assert page.locator(".count").inner_text() == "2 of 2 cells"


def test_a_single_cell(visit: Any, make: Any, folder: Any) -> None:
    page = visit(results.load(folder(make.latency(samples_ms=[99.0, 100.0, 101.5]), make.parity())))
    assert drawn(page, "distribution")[0]["samples"] == [99.0, 100.0, 101.5]
    assert page.locator("#chart-distribution svg").is_visible()
    assert page.locator(".filters select").count() == 0, "there is nothing to choose"
    assert page.locator(".card .winner").inner_text() == "ort-cpu fp32"


def test_735_cells(visit: Any, folder: Any) -> None:
    found = results.load(folder(*synthetic.records(), environment=synthetic.ENVIRONMENT))
    assert len(found.of("latency")) == 7 * 7 * 5 * 3
    page = visit(found)
    assert page.locator("#table-latency-detail tbody tr").count() == 735
    page.locator("#table-latency-detail thead button").nth(1).click()
    assert column(page, "table-latency-detail", 1)[0].startswith("mnn")
    page.locator("[data-facet=status]").select_option(label="unstable")
    unstable = len([r for r in found.records if r["status"] == "unstable" and not found.doubt(r)])
    sync_api.expect(page.locator("#cells .cell:not([hidden])")).to_have_count(unstable)


def test_the_examples_charts_say_what_is_stored(visit: Any, stored: results.Results) -> None:
    page = visit(stored)
    page.locator("#chart-distribution [data-field=model]").select_option(BASE)
    sync_api.expect(page.locator("#chart-distribution .legend")).to_contain_text("paddle")
    page.wait_for_timeout(300)
    shown = {row["label"]: row["samples"] for row in drawn(page, "distribution")}
    raw = {
        r["runtime"] + " " + r["precision"]: r["samples_ms"]
        for r in stored.of("latency", model=BASE, batch=1)
        if r["status"] in ("ok", "unstable") and not stored.doubt(r)
    }
    assert shown == raw
    assert {row["model"] for row in drawn(page, "accuracy")} == {BASE, TINY}


def test_two_machines_have_a_filter_and_cards_of_their_own(visit: Any, make: Any, folder: Any, tmp_path: Path) -> None:
    runs = []
    for cpu, median in (("alpha", 100.0), ("beta", 90.0)):
        environment = {"machine": {"cpu": cpu, "cores_usable": 2}}
        runs.append(folder(make.latency(median), make.parity(), environment=environment).rename(tmp_path / cpu))
    page = visit(results.load(runs))
    assert sorted(page.locator(".card h3 small").all_text_contents()) == ["alpha, 2 cores", "beta, 2 cores"]
    assert sorted(page.locator(".card .headline b").all_text_contents()) == ["100.0", "90.0"]
    page.locator("[data-facet=machine]").select_option(label="beta, 2 cores")
    sync_api.expect(page.locator(".count")).to_have_text("2 of 4 cells")
    sync_api.expect(page.locator(".card:not([hidden])")).to_have_count(1)
    assert page.locator("#cells .cell:not([hidden]) .value").all_text_contents()[-1] in ("90.0 ms", "max abs 4.1e-6")
