"""`python -m reports`: what it writes, prints and refuses."""

from __future__ import annotations

import csv
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from reports.__main__ import main
from reports.load import results
from reports.render import terminal
from reports.tables import report as tables

CSVS = (
    *(
        "answer",
        "rates",
        "latency",
        "throughput",
        "server",
        "precision",
        "cost",
        "compute",
        "accuracy",
        "size",
        "parity",
    ),
    *("missing", "latency-detail", "steadiness", "environment"),
)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture
def copy(example: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(example, tmp_path / "example"))


def test_markdown_is_the_default(copy: Path) -> None:
    result = run(copy)
    assert result.exit_code == 0
    assert result.stdout.splitlines()[-1] == str(copy / "report.md")
    assert (copy / "report.md").read_text(encoding="utf-8").startswith("# vitbench report: example\n")


@pytest.mark.parametrize("kind", ["parity", "accuracy"])
def test_results_without_a_latency_have_a_report_too(kind: str, make: Any, folder: Any) -> None:
    path = folder(getattr(make, kind)())
    result = run(path)
    assert result.exit_code == 0, result.stderr
    assert kind in (path / "report.md").read_text(encoding="utf-8").lower()


def test_the_newest_results_are_the_default(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for age, name in enumerate(("new", "old")):
        shutil.copytree(copy, copy.parent / "results" / name)
        file = copy.parent / "results" / name / "results.jsonl"
        os.utime(file, (1e9 - age, 1e9 - age))
    monkeypatch.chdir(copy.parent)
    assert run().stdout.splitlines()[-1] == "results/new/report.md"


def test_every_format_at_once(copy: Path) -> None:
    result = run(copy, "--format", "md, json,csv")
    names = ["report.md", "report.json", *(f"report-{name}.csv" for name in CSVS)]
    assert result.stdout.splitlines()[-len(names) :] == [str(copy / name) for name in names]
    assert all((copy / name).stat().st_size for name in names)


def test_json_has_values_and_texts_of_every_table(copy: Path) -> None:
    run(copy, "--format", "json")

    def refuse(text: str) -> None:
        raise AssertionError(f"{text} is no JSON")

    document = json.loads((copy / "report.json").read_text(encoding="utf-8"), parse_constant=refuse)
    assert tuple(document["tables"]) == CSVS
    assert document["weights"]["ViT_small_patch16_224"] == "seeded"
    detail = document["tables"]["latency-detail"]
    assert detail["rows"][1]["Status"] == "unproven"
    assert detail["rows"][1]["Median (ms)"] is None
    assert detail["text"][1]["Status"] == "unproven [1]"
    assert detail["rows"][0]["Samples"] == 30
    assert document["tables"]["cost"]["rows"][0]["Process (MB)"] == 801.0
    assert document["tables"]["size"]["rows"][0]["GMACs, all"] == 9.888


def test_csv_has_plain_names_and_the_kind_of_weights(copy: Path) -> None:
    run(copy, "--format", "csv")
    with (copy / "report-latency.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["Model"], row["Weights"]) for row in rows] == [
        ("ViT_small_patch16_224", "seeded"),
        ("ViT_base_patch32_384", "pretrained"),
        ("vit_tiny_patch16_224", "file"),
    ]
    assert rows[1]["Batch 1, median in ms: paddle fp32"] == "196.2215"
    assert rows[1]["Batch 1, median in ms: paddle fp32, status"] == "ok"
    assert rows[1]["Batch 8, median in ms: paddle fp32"] == "", "a column of numbers has numbers only"
    assert rows[1]["Batch 8, median in ms: paddle fp32, status"] == "failed"


def test_a_title_of_ones_own(copy: Path) -> None:
    run(copy, "--format", "md,html,json", "--title", "Two machines | May\n2026")
    assert (copy / "report.md").read_text(encoding="utf-8").startswith("# vitbench report: Two machines \\| May 2026\n")
    assert "<h1>Two machines | May 2026</h1>" in (copy / "report.html").read_text(encoding="utf-8")
    assert json.loads((copy / "report.json").read_text(encoding="utf-8"))["name"] == "Two machines | May 2026"


def test_a_second_report_is_the_same_and_measures_nothing(copy: Path) -> None:
    before = (copy / "results.jsonl").read_bytes()
    run(copy, "--format", "json")
    first = (copy / "report.json").read_bytes()
    run(copy, "--format", "json")
    assert (copy / "report.json").read_bytes() == first
    assert (copy / "results.jsonl").read_bytes() == before


def test_the_terminal_table_has_colour_on_a_terminal_only(copy: Path) -> None:
    assert "\x1b" not in run(copy).stdout
    report = tables.build(results.load(copy))
    for tty in (True, False):
        screen = terminal.console(tty)
        with screen.capture() as capture:
            terminal.show(report, screen)
        assert ("\x1b" in capture.get()) == tty
        assert "84.4" in capture.get()
        assert tables.SEEDED_NOTE in capture.get()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--format", "HTML"], "'HTML' is no format; there are md, html, csv, json, latex"),
        (["--format", "md,pdf"], "'pdf' is no format; there are md, html, csv, json, latex"),
        (["--format", ""], "'' is no format"),
    ],
)
def test_a_format_that_is_not_there(copy: Path, arguments: list[str], says: str) -> None:
    result = run(copy, *arguments)
    assert result.exit_code == 2
    assert result.stderr.startswith("error: ")
    assert says in result.stderr
    assert not (copy / "report.md").exists()


def test_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for result in (run("nowhere"), run()):
        assert result.exit_code == 2
        assert result.stderr.startswith("error: ")
        assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("results.jsonl", "{}\nno record\n", "line 1: fields are missing"),
        ("results.jsonl", "", "no record in results.jsonl yet"),
        ("environment.json", '{"cpu":', "environment.json: damaged"),
        ("environment.json", "[]", "environment.json: damaged"),
        ("environment.json", '{"load": NaN}', "environment.json: damaged"),
    ],
)
def test_a_damaged_file(copy: Path, name: str, content: str, says: str) -> None:
    (copy / name).write_text(content, encoding="utf-8")
    result = run(copy)
    assert result.exit_code == 2
    assert says in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_single_cell_is_a_whole_report(make: Any, folder: Any) -> None:
    path = folder(make.parity(), make.latency())
    result = run(path, "--format", "md,csv,json")
    assert result.exit_code == 0
    text = (path / "report.md").read_text(encoding="utf-8")
    assert (
        "| ViT_base_patch32_384 | the only one | ort-cpu fp32 | fp32 on CPU | 100.0 | 99.0–101.0 | -<sup>1</sup> |"
        in text
    )
    assert "Not measured, or not to be relied on" not in text


def test_several_results_need_a_place(copy: Path, tmp_path: Path) -> None:
    refused = run(copy, copy.parent)
    assert refused.exit_code == 2
    assert "--out FOLDER is needed" in refused.stderr
    other = Path(shutil.copytree(copy, tmp_path / "other"))
    done = run(copy, other, "--format", "md,html,latex", "--out", tmp_path / "new" / "out")
    assert (done.exit_code, done.stderr) == (0, "")
    assert {path.name for path in (tmp_path / "new" / "out").iterdir()} == {"report.md", "report.html", "report.tex"}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b'{"kind": "latency"}\n', "results.jsonl, line 1: fields are missing"),
        (b"\x89PNG\r\n\x1a\n\xff", "no results folder"),
        (b'{"format": 99, "kind": "dream"}\n', "a record of format 99; this vitbench reads up to 2: update it"),
        (None, "no results folder"),
    ],
)
def test_a_file_that_cannot_be_read_leaves_the_rest_usable(
    copy: Path, tmp_path: Path, content: bytes | None, says: str
) -> None:
    """Damaged, foreign, newer or not there: named, the report is of the others, and the exit status says so."""
    bad = tmp_path / "bad"
    if content is not None:
        bad.mkdir()
        (bad / "results.jsonl").write_bytes(content)
    done = run(bad, copy, "--out", tmp_path / "out")
    assert done.exit_code == 2
    why, last = done.stderr.splitlines()
    assert why.startswith("left out: ")
    assert says in why
    assert str(bad) in why
    assert last == f"error: the report is written without 1 of 2 results, which cannot be read: {bad}"
    assert done.stdout.splitlines()[-1] == str(tmp_path / "out" / "report.md")
    assert "**openvino bf16**" in (tmp_path / "out" / "report.md").read_text(encoding="utf-8")


def test_a_foreign_file_leaves_the_rest_usable(copy: Path, tmp_path: Path) -> None:
    foreign = tmp_path / "photo.png"
    foreign.write_bytes(b"\x89PNG")
    done = run(copy, foreign, "--out", tmp_path / "out")
    assert done.exit_code == 2
    assert f"{foreign}: no results that `python -m reports.export` wrote" in done.stderr.splitlines()[0]
    assert (tmp_path / "out" / "report.md").is_file()
