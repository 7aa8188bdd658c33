"""The command: what its options come to, what it says, and how it ends."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from convert import cli
from convert.artifact import Artifact
from runtimes.bench import command
from runtimes.bench.plan import settings
from runtimes.bench.plan.matrix import Cell
from runtimes.bench.plan.plan import Plan
from runtimes.bench.plan.settings import Policy
from runtimes.bench.schedule import run
from runtimes.bench.schedule.outcome import VisitOutcome
from runtimes.bench.schedule.parity import Prove
from runtimes.bench.worker.job import MODES
from runtimes.options import Selection
from runtimes.records import reading, store
from runtimes.records.blank import start
from runtimes.records.kinds import Latency
from tests.runtimes.bench import on_paper
from tests.runtimes.bench.made_up import unasked


@dataclass
class Fake:
    """Instead of a run: records with what `act` says of each cell."""

    act: Callable[[Cell], dict[str, Any]] = lambda cell: {}
    plans: list[Plan] = field(default_factory=list)
    resumed: list[bool] = field(default_factory=list)
    selection: list[tuple[Any, ...]] = field(default_factory=list)

    def run(self, plan: Plan, folder: Path, resume: bool, display: Any, prove: Prove) -> Iterator[Latency]:
        assert prove is unasked
        self.plans.append(plan)
        self.resumed.append(resume)
        for cell, reason in plan.refused:
            yield self.record(cell, folder, display, {"status": "refused", "reason": reason})
        for cell in plan.cells:
            display.visit([cell], 0)
            display.visited(cell, VisitOutcome(None, seconds=1.0), None)
            yield self.record(cell, folder, display, self.act(cell))

    def record(self, cell: Cell, folder: Path, watch: Any, fields: dict[str, Any]) -> Latency:
        numbers = {"median_ms": 5.0, "ci95_ms": (4.9, 5.1), "count": 9, "status": "ok", "reason": None}
        blank = start(Latency, cell.artifact, cell.runtime, cell.options, batch=cell.batch, threads=2)
        made = replace(blank, **{**numbers, **fields})
        store.append(folder, made)
        watch.record(made)
        return made

    def select(self, *arguments: Any) -> Selection:
        self.selection.append(arguments)
        names = (arguments[0] or "ort-cpu,mnn").split(",")
        return Selection([on_paper.runtime(name) for name in names], arguments[0] is not None, arguments[1])


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Fake:
    found = Fake()

    def artifacts(
        models: str, weights: str | None, precision: str, root: Path, *missing: object
    ) -> dict[str, Artifact]:
        return {model: on_paper.artifact(model, folder=root) for model in models.split(",")}

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cli, "artifacts", artifacts)
    monkeypatch.setattr(run, "run", found.run)
    monkeypatch.setattr(settings, "select", found.select)
    return found


def bench(*arguments: str) -> Result:
    return CliRunner().invoke(command.command(unasked, "nobody"), arguments, prog_name="python -m runtimes.bench")


def test_the_defaults(fake: Fake) -> None:
    result = bench()
    assert result.exit_code == 0, result.output
    (plan,) = fake.plans
    assert plan.effort == Policy()
    assert [(c.argument, c.runtime.name, c.mode, c.batch) for c in plan.cells] == [
        ("ViT_base_patch32_384", runtime, "latency", batch) for runtime in ("ort-cpu", "mnn") for batch in (1, 4, 8)
    ]
    assert fake.selection == [(None, None, None, None, None, ())]
    (folder,) = Path("results").iterdir()
    assert f"records: {folder / store.RESULTS}" in result.stderr
    assert (folder / store.ENVIRONMENT).exists()


def test_each_option_reaches_the_plan(fake: Fake) -> None:
    result = bench(
        *("--model", "ViT_base_patch32_384,ViT_large_patch32_384", "--runtime", "openvino", "--device", "GPU"),
        *("--threads", "1,2", "--batch", "2,8", "--mode", "latency,throughput,server", "--streams", "3"),
        *("--cache", "kept", "--option", "openvino.gelu=tanh", "--artifacts", "there", "--weights", "seeded:3"),
        *("--processes", "3", "--min-seconds", "2", "--min-count", "5", "--target", "2%", "--max-seconds", "9"),
        *("--patience", "1", "--repeats", "4", "--seed", "11", "--latency-bound", "80", "--percentile", "90"),
    )
    assert result.exit_code == 0, result.output
    (plan,) = fake.plans
    assert plan.effort == Policy(3, 2.0, 5, 0.02, 9.0, 1.0, 4)
    assert plan.seed == 11
    assert fake.selection == [("openvino", "GPU", None, 3, Path("kept"), ("openvino.gelu=tanh",))]
    assert {c.argument for c in plan.cells} == {"ViT_base_patch32_384", "ViT_large_patch32_384"}
    one = [c for c in plan.cells if c.argument == "ViT_base_patch32_384" and c.options.threads == 1]
    assert [(c.mode, c.batch, dict(c.mode_options)) for c in one] == [
        ("latency", 2, {}),
        ("latency", 8, {}),
        ("throughput", 1, {"batches": [2, 8]}),
        ("server", 1, {"latency_bound_ms": 80.0, "percentile": 90}),
    ]
    assert {c.options.threads for c in plan.cells} == {1, 2}
    assert {c.chosen.weights for c in plan.cells} == {"seeded:3"}
    assert {c.artifact.path.parents[1] for c in plan.cells} == {Path("there")}


def test_the_plan_is_shown_first_and_kept_with_its_seed(fake: Fake) -> None:
    result = bench("--out", "here", "--batch", "1,4")
    assert result.stderr.index("4 cells, 2 processes") < result.stderr.index("round 1 of 2, about")
    kept = json.loads(Path("here", "plan.json").read_text())
    assert kept["seed"] == fake.plans[0].seed
    assert [(c["runtime"], c["batch"]) for c in kept["cells"]] == [
        ("ort-cpu", 1),
        ("ort-cpu", 4),
        ("mnn", 1),
        ("mnn", 4),
    ]


def test_another_order_each_time(fake: Fake) -> None:
    assert bench("--out", "a").exit_code == bench("--out", "a").exit_code == 0
    assert fake.plans[0].seed != fake.plans[1].seed


def test_a_dry_run_measures_nothing(fake: Fake) -> None:
    result = bench("--dry-run", "--out", "here")
    assert (result.exit_code, fake.plans) == (0, [])
    assert not Path("here").exists()
    assert "6 cells, 2 processes each at least: about" in result.stdout
    result = bench("--dry-run", "--json", "--threads", "1,2", "--seed", "5")
    plan = json.loads(result.stdout)["plan"]
    assert len(plan["cells"]) == 12
    assert plan["cells"][0]["threads"] == 1
    assert plan["cells"][0]["estimate"]["memory_bytes"] > 1 << 20
    assert plan["effort"]["target"] == 0.01
    assert plan["seed"] == 5
    assert fake.plans == []


def test_json_is_one_document_with_every_record(fake: Fake) -> None:
    result = bench("--json", "--out", "here")
    made = json.loads(result.stdout)["records"]
    assert [reading.from_table(one) for one in made] == store.read(Path("here"))


@pytest.mark.parametrize(("status", "code"), [("ok", 0), ("unstable", 0), ("failed", 1), ("refused", 1)])
def test_the_exit_status_says_whether_every_cell_has_numbers(fake: Fake, status: str, code: int) -> None:
    median = None if code else 5.0
    fake.act = lambda cell: {} if cell.batch != 4 else {"status": status, "reason": "so it is", "median_ms": median}
    result = bench("--runtime", "ort-cpu", "--json")
    assert result.exit_code == code
    assert len(json.loads(result.stdout)["records"]) == 3
    told = (
        f"failed: 1 of 3 cells have no numbers: ViT_base_patch32_384 fp32 on ort-cpu, batch 4, 2 threads {status}: so"
    )
    assert (told in result.stderr) is (code == 1)


def test_what_does_not_fit_is_refused_before_anything_starts(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runtimes.system.capacity.container_memory", lambda: 100 << 20)
    result = bench("--runtime", "ort-cpu", "--batch", "1")
    assert result.exit_code == 1
    assert fake.plans[0].cells == ()
    assert "refused: it needs about 0.2 GiB of memory, and 0.1 GiB are free here" in result.stderr


def test_interrupted_it_says_how_to_go_on(fake: Fake) -> None:
    def interrupt(cell: Cell) -> dict[str, Any]:
        raise KeyboardInterrupt

    fake.act = interrupt
    result = bench("--batch", "1,2", "--target", "2%", "--option", "mnn.gelu=tanh", "--option", "mnn.x=y z", "--json")
    assert result.exit_code == 130
    (folder,) = Path("results").iterdir()
    again = (
        "python -m runtimes.bench --batch 1,2 --target 2% --option mnn.gelu=tanh --option 'mnn.x=y z' --json"
        f" --resume --out {folder}"
    )
    assert result.stderr.splitlines()[-1] == f"interrupted; to go on: {again}"
    assert result.stdout == ""
    refused = bench("--out", str(folder)).stderr
    assert refused.startswith(f"error: {folder} holds an unfinished run")
    assert refused.endswith(f"to go on: {again}\n")
    shorter = bench("--batch", "1", "--resume", "--out", str(folder), "--runtime", "ort-cpu")
    assert "cells are not asked for now: ViT_base_patch32_384 fp32 on " in shorter.stderr
    assert bench("--out", str(folder), "--dry-run").exit_code == 0
    assert "--resume beside --fresh" in bench("--out", str(folder), "--resume", "--fresh").stderr
    said = bench("--resume", "--out", str(folder)).stderr.splitlines()[-1]
    assert said == f"interrupted; to go on: python -m runtimes.bench --resume --out {folder}"
    fake.act = lambda cell: {}
    assert bench("--batch", "1,2", "--target", "0.02", "--resume", "--out", str(folder)).exit_code == 0
    assert fake.resumed == [False, True, True, True]
    assert fake.plans[0].effort == fake.plans[3].effort
    assert bench("--out", str(folder)).exit_code == 0, "what came to its end is no unfinished run"


def test_resumed_without_a_folder_it_is_the_newest(fake: Fake) -> None:
    result = bench("--resume")
    assert (result.exit_code, "no results yet" in result.output) == (2, True)
    assert bench("--out", "results/a").exit_code == 0
    result = bench("--resume")
    assert f"records: {Path('results', 'a', store.RESULTS)}" in result.stderr


def test_a_plan_file(fake: Fake) -> None:
    Path("night.toml").write_text(
        'target = 0.05\nseed = 3\nmin_seconds = 1\n[[matrix]]\nruntime = "ort-cpu"\nbatch = 2\n'
        '[[matrix]]\nruntime = ["ort-cpu", "mnn"]\nthreads = [1, 2]\nbatch = 1\n'
    )
    result = bench("--plan", "night.toml", "--min-seconds", "2", "--out", "here")
    assert result.exit_code == 0, result.output
    (plan,) = fake.plans
    assert (plan.effort, plan.seed) == (Policy(min_s=2, target=0.05), 3)
    assert [(c.runtime.name, c.options.threads, c.batch) for c in plan.cells] == [
        ("ort-cpu", None, 2),
        ("ort-cpu", 1, 1),
        ("ort-cpu", 2, 1),
        ("mnn", 1, 1),
        ("mnn", 2, 1),
    ]
    assert bench("--plan", "night.toml", "--seed", "4").exit_code == 0
    assert fake.plans[1].seed == 4


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--batch", "0"], "--batch '0': whole numbers above zero are needed"),
        (["--threads", "1,x"], "--threads '1,x': whole numbers above zero are needed"),
        (["--threads", "1,4096"], "--threads 4096: this machine has "),
        (["--threads", "9" * 5000], "--threads '999999"),
        (["--model", "ViT_basee"], "unknown model ViT_basee"),
        (["--precision", "fp31"], "--precision 'fp31': fp31 is none of"),
        (["--target", "2"], "--target: '2' is no share above 0 and below 1, as 1% or 0.01 are"),
        (["--processes", "0"], "Invalid value for '--processes': 0 is not in the range x>=1"),
        (["--proceses", "3"], "No such option '--proceses'. (Did you mean one of:"),
        (["--min-seconds", "100"], "--max-seconds 60 is less than --min-seconds 100"),
        (["--mode", "server", "--batch", "4"], "--batch 4: mode server sends one image at a"),
        (["--plan", "no.toml"], "no.toml: no plan can be read there"),
        (["--plan", "no.toml", "--batch", "1"], "--batch beside --plan: write it into no.toml, or leave --plan out"),
        (["--plan", "no.toml", "--runtime", "mnn"], "--runtime beside --plan: write it into no.toml"),
        (["stray"], "Got unexpected extra argument"),
    ],
)
def test_what_is_wrong_is_said_in_a_line_before_anything_starts(fake: Fake, arguments: list[str], reason: str) -> None:
    result = bench(*arguments)
    assert (result.exit_code, fake.plans, fake.selection) == (2, [], [])
    assert result.output.startswith(f"error: {reason}")
    assert result.output.count("\n") == 1


def test_the_help_has_every_option_once_and_every_mode() -> None:
    text = bench("--help").output
    for param in command.main.params:
        assert sum(line.startswith(f"  {param.opts[0]} ") for line in text.splitlines()) == 1, param.opts[0]
    assert sum(line.startswith("  --help ") for line in text.splitlines()) == 1
    for word in (*MODES, "What to measure:", "How hard to try:", "[default: 5]", "python -m runtimes.bench --plan"):
        assert word in text


def test_a_dry_run_converts_nothing_and_says_what_it_would(
    toy_toml: Path, toy_artifact: Artifact, toy_root: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.toml"
    other.write_text(toy_toml.read_text().replace('"toy"', '"other"'))
    before = sorted(toy_root.rglob("*"))
    options = ["--model", f"{toy_toml},{other}", "--artifacts", str(toy_root), "--runtime", "ort-cpu", "--dry-run"]
    result = bench(*options, "--out", str(tmp_path / "run"))
    assert result.exit_code == 0, result.output
    assert "3 cells" in result.stdout
    assert f"not converted yet: {other} fp32, which will take about" in result.stdout
    plan = json.loads(bench(*options, "--json").stdout)["plan"]
    assert {c["artifact"] for c in plan["cells"]} == {toy_artifact.sha256}
    assert plan["estimate"]["free_memory_bytes"] > 0
    (left,) = plan["unconverted"]
    real = sum(entry.bytes for entry in toy_artifact.manifest.files.values())
    assert left["bytes"] == pytest.approx(real, rel=0.5)  # of a toy the graph takes some room, too
    alone = bench(*options[2:], "--model", str(other))
    assert alone.exit_code == 0, alone.output
    assert "cells, " not in alone.stdout
    assert sorted(toy_root.rglob("*")) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other.toml"]
