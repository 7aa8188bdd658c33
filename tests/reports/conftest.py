"""Results folders, made record by record; and a browser that opens their page."""

from __future__ import annotations

import json
import shutil
import statistics
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from reports import html
from reports.load import results
from reports.tables import report as tables

EXAMPLE = Path(__file__).parent / "data" / "example"


class Make:
    """Records as the other commands write them; any field can be given another value."""

    def _common(self, kind: str, /, **fields: Any) -> dict[str, Any]:
        record = {
            "kind": kind,
            "model": "ViT_base_patch32_384",
            "precision": "fp32",
            "runtime": "ort-cpu",
            "device": "CPU",
            "artifact": "a" * 64,
            "status": "ok",
            "reason": None,
            "effective": {"precision": fields.get("precision", "fp32"), "device": "CPU", "details": {}},
            "command": f"python -m {kind}",
        }
        return record | fields

    def latency(self, median: float | None = 100.0, half: float = 1.0, **fields: Any) -> dict[str, Any]:
        """A latency whose interval reaches `half` ms to both sides; without a median it was not measured."""
        interval = None if median is None else [median - half, median + half]
        numbers = {"samples_ms": [], "count": 30, "median_ms": median, "ci95_ms": interval}
        if samples := fields.get("samples_ms"):  # a record's count and median follow from its samples
            numbers |= {"count": len(samples), "median_ms": statistics.median(samples)}
        return self._common("latency", **{"batch": 1, "threads": 2, **numbers, **fields})

    def parity(self, passed: bool | None = True, **fields: Any) -> dict[str, Any]:
        numbers = {"max_abs": 4.1e-6, "mean_abs": 6e-7, "cosine": 0.9999999, "top1_agreement": 1.0, "nonfinite": 0}
        return self._common("parity", **{"passed": passed, **numbers, **fields})

    def accuracy(self, top1: float = 0.7761, **fields: Any) -> dict[str, Any]:
        numbers = {"dataset": "photos/val_list.txt", "images": 134, "top1": top1, "top5": 0.9254, "passed": True}
        return self._common("accuracy", **{**numbers, "top1_ci95": [top1 - 0.07, top1 + 0.07], **fields})

    def weights(self, kind: str, **fields: Any) -> dict[str, Any]:
        """The extra field that tells about the model."""
        macs, parameters = {"published": 12_657_690_624, "total": 13_036_376_064}, {"published": 88_186_600}
        return {"weights": {"kind": kind, **fields}, "macs": macs, "parameters": parameters}


@pytest.fixture(scope="session")
def make() -> Make:
    return Make()


@pytest.fixture
def folder(tmp_path: Path) -> Callable[..., Path]:
    """Write records, and the environment where one is given, into a new results folder."""

    def write(*records: dict[str, Any], environment: dict[str, Any] | None = None, name: str = "run") -> Path:
        run = tmp_path / name
        run.mkdir(exist_ok=True)
        (run / "results.jsonl").write_text("".join(json.dumps(r) + "\n" for r in records), encoding="utf-8")
        if environment is not None:
            (run / "environment.json").write_text(json.dumps(environment), encoding="utf-8")
        return run

    return write


@pytest.fixture(scope="session")
def example() -> Path:
    return EXAMPLE


@pytest.fixture(scope="session")
def stored(example: Path) -> results.Results:
    return results.load(example)


@pytest.fixture(scope="module")  # while it lives, an event loop does, which tests of other modules may not want
def browser() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if not chromium:
        pytest.skip("no browser: neither chromium nor google-chrome is on the PATH")
    with sync_api.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
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
        page.on("request", lambda request: complaints.extend([request.url] if request.url != file.as_uri() else []))
        page.goto(file.as_uri())
        page.wait_for_selector("html[data-ready]", timeout=20_000)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []
