"""What functions of `import vitbench` hand back: whether it holds, tables, and the words of the commands."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import vitbench as vb
from convert.artifact import Artifact
from convert.common.errors import CheckFailed, InputError
from convert.model_options import ModelOptions
from reports.compare.__main__ import main as compare
from runtimes import registry
from runtimes.base import Options
from runtimes.bench.plan.matrix import Cell
from tests.validate.choice.made_up import latency, runner
from validate.check.__main__ import main as check
from validate.choice import deliver, race
from validate.choice import run as choosing
from validate.choice.budget import LATENCY
from validate.choice.candidates import Candidates, Question
from validate.choice.race import Decision
from validate.search.ladder import Ladder, Rung
from validate.search.trials import SearchResult
from vitbench import quality

EXAMPLE = Path(__file__).parents[1] / "reports" / "data" / "example"


def slowed(folder: Path, factor: float, target: Path) -> Path:
    """The same results with longer times."""
    target.mkdir()
    lines = []
    for line in (folder / "results.jsonl").read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        record.pop("check", None)
        times = {key: value for key, value in record.items() if key.endswith("_ms") and value}
        for key, value in times.items():
            record[key] = [factor * one for one in value] if isinstance(value, list) else factor * value
        lines.append(json.dumps(record))
    (target / "results.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (target / "environment.json").write_bytes((folder / "environment.json").read_bytes())
    return target


def test_importing_it_imports_none_of_the_packages() -> None:
    code = (
        "import sys, vitbench; dir(vitbench); vitbench.__all__\n"
        "print(sorted({name.partition('.')[0] for name in sys.modules} & "
        "{'click', 'numpy', 'pandas', 'convert', 'runtimes', 'validate', 'reports', 'paddle'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_compared_results(tmp_path: Path) -> None:
    same = vb.compare(EXAMPLE, vb.results(EXAMPLE))
    assert same.comparison.cells
    assert len(same.table()) == len(same.comparison.cells)
    assert same.passed is None  # this example was measured by too few processes to tell
    assert repr(same).startswith("<CompareOutcome: no verdict\n")
    assert same._repr_html_().count("<table") == 1
    assert same.markdown.startswith("### ❔")
    with pytest.raises(CheckFailed):
        same.require()


def test_bad_input_is_refused_in_the_commands_words(tmp_path: Path) -> None:
    def said(command: Callable[..., object], *words: object) -> str:
        done = CliRunner().invoke(command, list(map(str, words)))  # type: ignore[arg-type]
        assert done.exit_code == 2
        return done.stderr.strip().splitlines()[-1].removeprefix("error: ")

    with pytest.raises(InputError) as raised:
        vb.compare(EXAMPLE, EXAMPLE, fail=["median"])
    assert raised.value.message == said(compare, EXAMPLE, EXAMPLE, "--fail", "median")
    with pytest.raises(InputError) as raised:
        vb.check(tmp_path / "nowhere")
    assert raised.value.message == said(check, tmp_path / "nowhere")


def test_wrong_arguments(toy_artifact: Artifact, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere: no such file or folder"):
        vb.accuracy(toy_artifact, tmp_path / "nowhere", runtimes=["ort-cpu"], out=tmp_path / "run")
    with pytest.raises(InputError, match="--keep '2'"):
        vb.accuracy(toy_artifact, tmp_path, runtimes=["ort-cpu"], keep=2)
    with pytest.raises(InputError, match="no artifact given"):
        vb.profile([])
    with pytest.raises(InputError, match="toy: two artifacts of one precision"):
        vb.profile([toy_artifact, toy_artifact], runtimes=["ort-cpu"])
    with pytest.raises(InputError, match=r"to: a list is needed, as \['onnx'\]"):
        vb.export(toy_artifact, "onnx")
    with pytest.raises(InputError, match="--to '': there are "):
        vb.export(toy_artifact, [])


def test_a_folder_to_ship_and_what_became_of_it(toy_artifact: Artifact, tmp_path: Path) -> None:
    shipped = vb.export(toy_artifact, ["onnx"], batches=[1], out=tmp_path)
    folder = shipped.folders["onnx"]
    assert list(shipped.table()["Folder"]) == [str(folder)]
    checked = vb.check(folder)
    assert checked.passed
    assert checked.require() is checked
    (row,) = checked.table().to_dict("records")
    assert row["Runtime"] == "ort-cpu"
    assert row["Max abs"] == checked.records[0].max_abs
    with (folder / "README.md").open("a") as stream:
        stream.write("more")
    changed = vb.check(folder)
    assert changed.passed is False
    assert changed.records == ()
    assert "README.md" in changed.problems[0]
    assert "README.md" in changed._repr_html_()


def test_where_the_milliseconds_go(toy_artifact: Artifact) -> None:
    found = vb.profile(toy_artifact, runtimes=["ort-cpu"], runs=2)
    assert found.tables == ("blocks", "operators", "cells")
    blocks = found.table()
    assert blocks["ms"].sum() == pytest.approx(found.table("cells")["layers_ms"][0])
    assert "blocks.1" in set(blocks["block"])
    assert "ms in layers and" in repr(found)
    with pytest.raises(InputError, match="no table layers; there are blocks, operators, cells"):
        found.table("layers")


def test_nothing_is_out_of_bounds(toy_artifact: Artifact) -> None:
    found = vb.bisect(toy_artifact, runtimes=["ort-cpu"], limit=1)
    assert found.passed
    assert list(found.table()["Block"]) == [row.name for row in found.found[0].found.blocks]


def test_a_search_without_an_answer(toy_artifact: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rung = Rung(0.5, ("blocks.0.mlp.fc1",), 7, "a", {"ort-cpu": 0.5}, holds=False)
    monkeypatch.setattr(quality, "find", lambda *_: SearchResult(Ladder("", {}, [rung]), None, "toy: it does not hold"))
    found = vb.search(toy_artifact, tmp_path, runtimes=["ort-cpu"], out=tmp_path / "run")
    assert (found.passed, found.problems, found.artifact) == (False, ("toy: it does not hold",), None)
    (row,) = found.table().to_dict("records")
    assert (row["Operators in int8"], row["Top-1 on ort-cpu"], row["Holds"], row["Chosen"]) == (7, 0.5, False, False)


@pytest.mark.parametrize("meets", [True, False])
def test_what_to_ship_is_chosen_by_the_function_of_the_command(
    toy_artifact: Artifact,
    toy_toml: Path,
    toy_root: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    meets: bool,
) -> None:
    one = runner("ort-cpu fp32", 10)
    one.final = latency(10.0, samples_ms=(10.0,) * 20)
    cell = Cell(str(toy_toml), toy_artifact, registry.get("ort-cpu"), "fp32", Options(threads=4), 1)
    asked: list[tuple[Question, bool]] = []

    def gathered(question: Question, judged: bool) -> Candidates:
        asked.append((question, judged))
        return Candidates((one,), (cell,), ())

    decision = Decision(one, "made up") if meets else Decision(None, "nothing meets the budget", nearest=one)
    monkeypatch.setattr(choosing, "gather", gathered)
    monkeypatch.setattr(race, "run", lambda *_: decision)
    monkeypatch.setattr(deliver, "ship", lambda folder, *_: folder / "shipped" / "toy")
    more: dict[str, Any] = {"runtimes": ["ort-cpu"], "precisions": ["fp32"], "threads": [4], "minutes": 5}
    found = vb.ship(toy_artifact, "p50<20s", out=tmp_path / "run", **more)
    ((question, judged),) = asked
    assert question == Question(str(toy_toml), ModelOptions(), "fp32", toy_root, LATENCY, "ort-cpu", None, (4,))
    vb.ship(toy_artifact, "cost<=9", objective="cost", price=1.2, out=tmp_path / "other", **more)
    assert (asked[1][0].objective, asked[1][0].price) == ("cost", 1.2)
    assert not judged
    assert "--budget 'p50<20s'" in found.choice.command
    assert found.choice.contenders[0].runtime == "ort-cpu"
    assert found.passed is meets
    assert found.shipped == (tmp_path / "run" / "shipped" / "toy" if meets else None)
    assert found.problems == (() if meets else ("nothing meets the budget",))
    assert ("made up" if meets else "ShipOutcome: FAILED\nnothing meets the budget") in repr(found)
    assert found.tables[:2] == ("choice", "ladder")
    assert len(found.table()) == len(found.table("ladder")) == 1


def test_a_choice_that_cannot_be_made_is_refused_in_the_commands_words(toy_artifact: Artifact, tmp_path: Path) -> None:
    def refused(said: str, budget: str = "", **asked: Any) -> None:
        with pytest.raises(InputError, match=said):
            vb.ship(toy_artifact, budget, out=tmp_path / "run", **asked)

    refused("--objective speed: choose from latency, throughput, cost", objective="speed")
    refused("--objective cost: --price is needed", objective="cost")
    refused("--price 1.2: only --objective cost takes one", price=1.2)
    refused("--minutes -1: nothing below zero makes sense", minutes=-1)
    refused("a unit is needed", "p99<50")
    refused(r"precisions: a list is needed, as \['fp32'\]", precisions="fp32")
    assert not (tmp_path / "run").exists()
