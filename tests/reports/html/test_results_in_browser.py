"""The page of results of every kind in a real browser: hostile, all failed, one cell, 735, two machines, precisions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from reports.load import results
from runtimes.records.kinds import Latency, TimedRecord
from tests.reports import cases, synthetic
from tests.reports.html.browsing import column, drawn
from tests.reports.shown import BASE, TINY

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")


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
    assert page.locator("figure").count() == 0, "there is nothing to draw"
    assert page.locator(".count").inner_text() == "2 of 2 cells"


def test_a_single_cell(visit: Any, make: Any, folder: Any) -> None:
    page = visit(results.load(folder(make.latency(samples_ms=[99.0, 100.0, 101.5]), make.parity())))
    assert drawn(page, "distribution")[0]["samples"] == [99.0, 100.0, 101.5]
    assert page.locator("#chart-distribution svg").is_visible()
    assert page.locator(".filters select").count() == 0, "there is nothing to choose"
    assert page.locator(".card .winner").inner_text() == "ort-cpu fp32"


def test_735_cells(visit: Any, folder: Any) -> None:
    found = results.load(folder(*synthetic.records(), environment=synthetic.ENVIRONMENT))
    assert len(found.of(Latency)) == 7 * 7 * 5 * 3
    page = visit(found)
    assert page.locator("#table-latency-detail tbody tr").count() == 735
    page.locator("#table-latency-detail thead button").nth(1).click()
    assert column(page, "table-latency-detail", 1)[0].startswith("mnn")
    page.locator("[data-facet=status]").select_option(label="unstable")
    unstable = len([r for r in found.of(TimedRecord) if r.status == "unstable" and not found.doubt(r)])
    sync_api.expect(page.locator("#cells .cell:not([hidden])")).to_have_count(unstable)


def test_the_examples_charts_say_what_is_stored(visit: Any, stored: results.Results) -> None:
    page = visit(stored)
    page.locator("#chart-distribution [data-field=model]").select_option(BASE)
    sync_api.expect(page.locator("#chart-distribution .legend")).to_contain_text("paddle")
    page.wait_for_timeout(300)
    shown = {row["label"]: row["samples"] for row in drawn(page, "distribution")}
    raw = {
        r.runtime + " " + r.precision: list(r.samples_ms)
        for r in stored.of(Latency, model=BASE, batch=1)
        if r.measured and not stored.doubt(r)
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


def test_a_sentence_is_not_squeezed_into_a_column_of_a_phone(visit: Any, tmp_path: Path) -> None:
    page = visit(results.load(cases.folders("failed", tmp_path)), viewport={"width": 360, "height": 740})
    boxes = page.locator("td.long").evaluate_all("cells => cells.map(c => [c.offsetWidth, c.offsetHeight])")
    assert boxes
    assert all(width >= 200 and height <= 120 for width, height in boxes)
    name = page.locator("#table-parity tbody th").first
    lines = name.evaluate(
        "e => e.getClientRects().length && Math.round(e.clientHeight / parseFloat(getComputedStyle(e).lineHeight))"
    )
    assert lines <= 3  # ViT_base_ and patch32_384, and the padding


def test_the_contents_are_whole_on_a_desktop(visit: Any, stored: results.Results) -> None:
    page = visit(stored)
    assert page.evaluate("(e => e.scrollWidth <= e.clientWidth)(document.querySelector('.contents ul'))")


def test_precisions_by_their_accuracy(visit: Any, tmp_path: Path) -> None:
    page = visit(results.load(cases.folders("precisions", tmp_path)))
    card = page.locator(".card").inner_text()
    assert "openvino bf16" in card.split("fastest")[0]
    assert "accuracy: passed" in card
    assert "openvino int8 (accuracy failed)" in card
    assert page.locator("#answer tbody tr").count() == 1
    # The filter of status goes by the cell's own, not by the verdict on its accuracy.
    page.select_option("select[data-facet=status]", label="refused")
    sync_api.expect(page.locator(".count")).to_have_text("1 of 17 cells")
    assert column(page, "table-precision", 1) == ["ort-cpu bf16"]
