"""The command: a real search over the toy, and what it makes of verdicts that are made up."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result

from convert import artifact as artifacts
from convert.artifact import Artifact
from convert.build import Request
from runtimes import registry
from runtimes.base import Options
from runtimes.records import blank, store
from runtimes.records.kinds import Accuracy, Status
from validate.search.__main__ import main
from validate.search.ladder import LADDER, Rung
from validate.search.strategy import Recipe
from validate.search.trials import Trials

# Not the one that int8 costs most by its noise, so that the order alone does not find it.
NEEDED = "blocks.0.attn.qkv"


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Noise with labels that mean nothing: a model is as right as chance has it."""
    folder = tmp_path / "images"
    folder.mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (12, 36, 36, 3), dtype=np.uint8)
    for index, picture in enumerate(noise):
        assert cv2.imwrite(str(folder / f"{index}.png"), picture)
    (folder / "val_list.txt").write_text("".join(f"{index}.png {index % 7}\n" for index in range(len(noise))))
    return folder


@pytest.fixture
def search(toy_toml: Path, tmp_path: Path, images: Path) -> Callable[..., Result]:
    """The command on the toy with seeded weights, on ONNX Runtime alone, into the folder `run`; the usual smoothing."""

    def invoke(*more: str) -> Result:
        words = [*("--model", str(toy_toml), "--weights", "seeded:1", "--images", str(images), "--runtime", "ort-cpu")]
        words += ["--smooth", "0.5"]
        words += ["--artifacts", str(tmp_path / "artifacts"), "--out", str(tmp_path / "run"), *more]
        return CliRunner().invoke(main, words, prog_name="python -m validate.search")

    return invoke


@pytest.fixture
def accuracy(toy_artifact: Artifact) -> Callable[..., Accuracy]:
    """A record of an accuracy of the toy with these fields."""

    def made(**fields: Any) -> Accuracy:
        runtime = registry.get("ort-cpu")
        return replace(blank.start(Accuracy, toy_artifact, runtime, Options("int8")), status="ok", **fields)

    return made


@pytest.fixture
def tried(monkeypatch: pytest.MonkeyPatch, accuracy: Callable[..., Accuracy]) -> list[tuple[str, ...]]:
    """int8 holds where NEEDED stays FP32, and Paddle reaches 1; what was measured is written down here."""
    seen: list[tuple[str, ...]] = []

    def measure(self: Trials, artifact: Artifact, runtimes: Any, precision: str) -> list[Accuracy]:
        kept = tuple(entry.operator for entry in artifact.manifest.kept_fp32 or ())
        if precision == "int8":
            seen.append(kept)
        top1 = 1.0 if precision == "fp32" or NEEDED in kept else 0.5 + len(kept) / 100
        return [accuracy(runtime=one.name, top1=top1, passed=top1 == 1, images=12) for one in runtimes]

    monkeypatch.setattr(Trials, "_measure", measure)
    monkeypatch.setattr(Trials, "newest", lambda self, rung: None)  # no records were stored
    return seen


def test_a_real_search_and_the_same_again(search: Callable[..., Result], tmp_path: Path) -> None:
    result = search("--keep", "0.5", "--json")
    assert result.exit_code == 0, result.stderr
    ladder = json.loads(result.stdout)
    assert ladder == json.loads((tmp_path / "run" / LADDER).read_text())
    (rung,) = ladder["rungs"]
    assert rung["holds"]
    assert ladder["chosen"] == rung["kept_fp32"] == []
    assert rung["top1"].keys() == {"ort-cpu"}
    made = artifacts.load(tmp_path / "artifacts" / "toy" / "int8")
    assert made.sha256 == rung["artifact"]
    assert not (tmp_path / "run" / "trial").exists()
    again = search("--keep", "0.5", "--json", "--resume")
    assert again.exit_code == 0, again.stderr
    assert json.loads(again.stdout) == ladder


def test_the_operator_that_matters_is_the_only_one_kept(
    search: Callable[..., Result], tried: list[tuple[str, ...]], tmp_path: Path
) -> None:
    result = search()
    assert result.exit_code == 0, result.stderr
    made = artifacts.load(tmp_path / "artifacts" / "toy" / "int8")
    assert [entry.operator for entry in made.manifest.kept_fp32 or ()] == [NEEDED]
    assert f"--keep-fp32 {NEEDED}" in made.manifest.command
    ladder = json.loads((tmp_path / "run" / LADDER).read_text())
    assert ladder["chosen"] == [NEEDED]
    assert [tuple(rung["kept_fp32"]) for rung in ladder["rungs"]] == tried
    assert len(set(tried)) == len(tried)
    # The patch embedding is too much of the toy to stay FP32 in a model that is called int8.
    noise = [name for name in ladder["signal_to_noise_db"]["0.5"] if name != "patch_embed.proj"]
    assert noise.index(NEEDED) > 0  # else this test shows less than it says
    assert tried[1] == (noise[0],)


def test_another_smoothing_is_tried_and_made_where_it_holds(
    search: Callable[..., Result],
    monkeypatch: pytest.MonkeyPatch,
    accuracy: Callable[..., Accuracy],
    tmp_path: Path,
) -> None:
    def measure(self: Trials, artifact: Artifact, runtimes: Any, precision: str) -> list[Accuracy]:
        top1 = 1.0 if precision == "fp32" or artifact.manifest.smoothed == () else 0.5
        return [accuracy(runtime=one.name, top1=top1, passed=top1 == 1, images=12) for one in runtimes]

    monkeypatch.setattr(Trials, "_measure", measure)
    monkeypatch.setattr(Trials, "newest", lambda self, rung: None)  # no records were stored
    result = search("--smooth", "0.5,0")
    assert result.exit_code == 0, result.stderr
    ladder = json.loads((tmp_path / "run" / LADDER).read_text())
    assert [(rung["smooth"], rung["holds"]) for rung in ladder["rungs"]] == [(0.5, False), (0.0, True)]
    assert (ladder["chosen"], ladder["chosen_smooth"]) == ([], 0)
    assert list(ladder["signal_to_noise_db"]) == ["0.5", "0"]
    assert ladder["signal_to_noise_db"]["0.5"] != ladder["signal_to_noise_db"]["0"]
    made = artifacts.load(tmp_path / "artifacts" / "toy" / "int8")
    assert made.sha256 == ladder["rungs"][1]["artifact"]
    assert "--smooth 0" in made.manifest.command


def test_after_an_interruption_nothing_is_tried_twice(
    search: Callable[..., Result], tried: list[tuple[str, ...]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = Trials.rung

    def killed(self: Trials, recipe: Recipe) -> Any:
        if len(tried) == 2:
            raise KeyboardInterrupt
        return usual(self, recipe)

    monkeypatch.setattr(Trials, "rung", killed)
    assert search().exit_code != 0
    monkeypatch.setattr(Trials, "rung", usual)
    assert len(tried) == 2
    assert "--resume" in search().stderr  # and says so, with exit status 2
    result = search("--resume")
    assert result.exit_code == 0, result.stderr
    assert len(set(tried)) == len(tried) > 2


def test_where_nothing_holds_it_says_what_was_tried(
    search: Callable[..., Result], tried: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(globals(), "NEEDED", "none of them")
    result = search()
    assert result.exit_code == 1
    assert "int8 does not hold 0.99 of Paddle's 1.0000 on 12 images" in result.stderr
    assert (
        "tried with 0, 1, 3, 5 of 10 operators in FP32, smoothed at 0.5; the best reached ort-cpu 0.5500"
        in result.stderr
    )
    assert json.loads((tmp_path / "run" / LADDER).read_text())["chosen"] is None


def test_a_budget_that_was_too_small_can_be_raised(search: Callable[..., Result], tried: list[tuple[str, ...]]) -> None:
    result = search("--evaluations", "2")
    assert result.exit_code == 1
    assert "--resume --evaluations 4 tries more" in result.stderr
    assert len(tried) == 2
    assert search("--resume").exit_code == 0


def test_one_runtime_that_does_not_hold_is_enough(
    toy_toml: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, accuracy: Callable[..., Accuracy]
) -> None:
    records = [accuracy(runtime="ort-cpu", top1=0.9, passed=True), accuracy(runtime="openvino", top1=0.5, passed=False)]
    monkeypatch.setattr(Trials, "_measure", lambda *_: records)
    request = Request(str(toy_toml), "seeded:1", "int8", root=tmp_path / "artifacts")
    trials = Trials(request, [], None, None, tmp_path, None)  # type: ignore[arg-type] # nothing is measured
    rung = trials.rung(Recipe(0.5, ("blocks.0.attn.qkv",)))
    assert not rung.holds
    assert (rung.lowered, rung.top1) == (9, {"ort-cpu": 0.9, "openvino": 0.5})
    records[1] = replace(records[1], passed=True)
    assert trials.rung(Recipe(0.5, ())).holds


def test_what_is_made_in_the_end_has_to_be_what_was_tried(
    search: Callable[..., Result], tried: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = Trials.rung
    monkeypatch.setattr(Trials, "rung", lambda self, recipe: replace(usual(self, recipe), artifact="0" * 64))
    result = search()
    assert result.exit_code == 1
    assert "made again it is not what was tried" in result.stderr


def test_reports_see_the_chosen_rung(tmp_path: Path, accuracy: Callable[..., Accuracy]) -> None:
    for runtime in ("ort-cpu", "openvino"):
        for artifact in ("chosen", "other"):
            store.append(tmp_path, accuracy(runtime=runtime, artifact=artifact))
    store.append(tmp_path, accuracy(runtime="ort-cpu", artifact="chosen"))
    request = Request("toy", precision="int8")
    trials = Trials(request, [], None, None, tmp_path, None)  # type: ignore[arg-type] # reads the folder alone
    trials.newest(Rung(0.5, (), 10, "chosen", {}, True))
    records = store.read(tmp_path)
    assert len(records) == 6  # one more, for openvino
    newest = {record.runtime: record.artifact for record in records}
    assert newest == {"ort-cpu": "chosen", "openvino": "chosen"}


@pytest.mark.parametrize(
    ("status", "exit_code"), [("failed", 1), ("refused", 2)], ids=["a crash", "a runtime without int8"]
)
def test_no_answer_is_no_verdict(
    search: Callable[..., Result],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    accuracy: Callable[..., Accuracy],
    status: Status,
    exit_code: int,
) -> None:
    from validate.accuracy import run

    record = replace(accuracy(), status=status, reason="for a reason")
    monkeypatch.setattr(run, "measure", lambda *_: [record])
    result = search()
    assert result.exit_code == exit_code
    assert f"{status}: for a reason" in result.stderr
    assert not (tmp_path / "run" / LADDER).exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--precision", "bf16"], "only int8 is searched"),
        (["--keep", "2"], "--keep '2'"),
        (["--model", "all"], "one model at a time"),
        (["--smooth", "0.5,2"], "--smooth '0.5,2': strengths from 0"),
        (["--smooth", ""], "--smooth '': strengths from 0"),
    ],
)
def test_what_cannot_be_searched(search: Callable[..., Result], words: list[str], message: str) -> None:
    result = search(*words)
    assert result.exit_code == 2
    assert message in result.stderr


def test_the_calibration_images_are_refused(search: Callable[..., Result], images: Path) -> None:
    result = search("--calibration", str(images))
    assert result.exit_code == 2
    assert "was calibrated on 12 of these 12 images" in result.stderr
