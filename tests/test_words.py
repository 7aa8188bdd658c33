"""Whatever a file, a server or a runtime may say, in every table and display: text on its own line, cut, no markup."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from rich.console import Console

from convert.common.console import printer
from convert.common.progress import bar
from reports.compare import __main__ as compare
from reports.load import results
from reports.render import latex, markdown, plain, terminal
from reports.tables import report as tables
from runtimes import __main__ as doctor
from runtimes.base import Effective
from runtimes.bench import command
from runtimes.bench.plan import overview
from runtimes.bench.plan.plan import Plan
from runtimes.bench.schedule.display import Display
from runtimes.profiled.layers import LayerTime
from runtimes.profiled.profile import LayerProfile
from runtimes.records import reading
from runtimes.records.kinds import Accuracy, Parity
from tests.reports import runs
from tests.runtimes.bench.on_paper import cell
from tests.runtimes.bench.on_paper import plan as plan_of
from validate.accuracy.console import Reporter
from validate.bisect import run as bisect
from validate.bisect.bisection import BisectionResult, JudgedTensor
from validate.bisect.fault import Fault
from validate.bisect.judgement import Judgement
from validate.parity import table
from validate.profile.blocks import ModelBlocks
from validate.profile.rows import rows
from validate.profile.show import show
from validate.search.ladder import Ladder, Rung

EVIL = "n\x1b[2J\nok: converted\r\x9b31m\u202e [red]x[/red] | <b> `y`"
LONG = "z" * 300_000


def record(kind: str, **fields: Any) -> Any:
    return reading.from_table(runs.common(kind, **fields))


def doctor_table(evil: str) -> None:
    state: dict[str, Any] = {"name": "mine", "available": False, "reason": evil, "version": evil, "devices": [evil]}
    state |= {"distribution": evil, "lacks": {evil: evil}}
    doctor._show([{**state, "precisions": [evil], "options": {"key": evil}}])


def parity_table(evil: str) -> None:
    table.show([cast(Parity, record("parity", model=evil, status="failed", reason=evil, passed=False))])


def accuracy_lines(evil: str) -> None:
    report = Reporter()
    report.say(evil, style="red")
    report.table([cast(Accuracy, record("accuracy", model=evil, images=1, doubt=evil))])


def bisect_tables(evil: str) -> None:
    judged = JudgedTensor(evil, evil, Judgement({}, {}, 1, None, 1.0))
    fault = Fault(evil, evil, evil, evil, [evil], None, None, None, None, 0, None, evil, evil, None)
    bisect._show(evil, BisectionResult([judged], [judged], evil, fault))


def profile_tables(evil: str) -> None:
    layers = (LayerTime(evil, evil, 1.0, evil, (evil,), (evil,), (evil,)),)
    found = LayerProfile(layers, 1.0, 1.0, 1, 1, Effective("fp32", "CPU", {}))
    blocks = ModelBlocks((evil,), {evil: evil}, {}, (), {evil: 1}, None)
    show(evil, {evil: rows(found, blocks, blocks.macs, 1, None)})


def ladder_table(evil: str) -> None:
    ladder = Ladder("", {}, [Rung(0.5, (evil,), 1, "a", {evil: 0.5}, True)])
    printer().print(ladder.table({0.5: {evil: 1.0}}))


def plan_lines(evil: str) -> None:
    plan = SimpleNamespace(**vars(plan_of()))
    plan.refused = [(SimpleNamespace(name=evil), evil)]
    command._show(cast(Plan, plan))
    Display(plan_of(), "", printer()).parity(evil)


def plan_table(evil: str) -> None:
    named = overview._row
    overview._row = lambda cell: (evil, *named(cell)[1:])
    try:
        printer().print(overview.table(plan_of(cell())))
    finally:
        overview._row = named


def progress(evil: str) -> None:
    with bar(evil, 1, "bytes"):
        pass


@pytest.mark.parametrize(
    "shown",
    [
        doctor_table,
        parity_table,
        accuracy_lines,
        bisect_tables,
        profile_tables,
        ladder_table,
        plan_lines,
        plan_table,
        progress,
    ],
    ids=lambda shown: shown.__name__,
)
@pytest.mark.parametrize("tty", [False, True])
def test_no_table_and_no_display_lets_it_out(
    shown: Callable[[str], None], tty: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Console, "is_terminal", property(lambda self: tty))
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setenv("COLUMNS", "400")
    shown(EVIL)
    found = capsys.readouterr()
    text = found.out + found.err
    assert not [char for char in ("\x1b[2J", "\x9b", "\u202e") if char in text]
    assert not [line for line in text.splitlines() if line.startswith("ok: converted")]
    assert "red" in text or shown is progress  # markup would be gone
    shown(LONG)
    found = capsys.readouterr()
    assert len(found.out + found.err) < 100_000


def hostile(folder: Path, evil: str) -> Path:
    folder.mkdir()
    texts: dict[str, Any] = {"model": evil, "settings": {evil: evil}}
    records = [
        runs.latency([[100.0, 101.0], [100.0, 99.0]], **texts),
        runs.common("parity", passed=True, max_abs=1e-6, batches=[1], **texts),
        runs.common("accuracy", images=10, top1=0.5, dataset=evil, doubt=evil, **texts),
        runs.common("latency", **{**texts, "status": "failed", "reason": evil, "effective": None, "batch": 4}),
    ]
    (folder / "results.jsonl").write_text("".join(json.dumps(one) + "\n" for one in records), encoding="utf-8")
    environment = {**runs.ENVIRONMENT, evil: {evil: evil}}
    (folder / "environment.json").write_text(json.dumps(environment), encoding="utf-8")
    return folder


@pytest.mark.parametrize("render", [markdown.render, latex.render, plain.json_text], ids=["md", "latex", "json"])
def test_no_report_lets_it_out(render: Callable[[Any], str], tmp_path: Path) -> None:
    text = render(tables.build(results.load(hostile(tmp_path / "evil", EVIL))))
    assert not [char for char in ("\x1b", "\x9b", "\u202e", "\r") if char in text]
    assert not [line for line in text.splitlines() if line.startswith("ok: converted")]


@pytest.mark.parametrize("render", [markdown.render, latex.render], ids=["md", "latex"])
def test_no_report_for_people_grows_with_a_name(render: Callable[[Any], str], tmp_path: Path) -> None:
    assert len(render(tables.build(results.load(hostile(tmp_path / "long", LONG))))) < 1_000_000


def test_passwords_stand_in_no_report(tmp_path: Path) -> None:
    found = tables.build(results.load(hostile(tmp_path / "run", "from https://me:hush@host/x")))
    assert all("hush" not in render(found) for render in (markdown.render, latex.render))


def test_the_terminal_of_reports(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = hostile(tmp_path / "evil", EVIL)
    terminal.show(tables.build(results.load(folder)), Console(file=sys.stdout, width=400))
    with pytest.raises(SystemExit):
        compare.main([str(folder), str(folder)])
    found = capsys.readouterr()
    text = found.out + found.err
    assert not [char for char in ("\x1b", "\x9b", "\u202e", "\r") if char in text]
    assert not [line for line in text.splitlines() if line.startswith("ok: converted")]
