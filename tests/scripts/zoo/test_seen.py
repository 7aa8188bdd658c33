"""The table of the zoo, and that a run goes on where it was."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from scripts.zoo import __main__ as zoo
from scripts.zoo import seen
from scripts.zoo.commands import Ended, run
from scripts.zoo.families import JSON, MODELS, ZooModel
from scripts.zoo.seen import ZooParity, ZooSeen

TOY = ZooModel("Toys", "Toy_tiny")


def test_the_table() -> None:
    checked = ZooSeen(
        ours=12.0,
        theirs=4.0,
        parity=(
            ZooParity("paddle", False, None, "paddle did not run it: a | b"),
            ZooParity("paddle kernels=plain", True, 0.5),
            ZooParity("mnn", False, 46.2, "logits differ"),
        ),
    )
    rows = {
        (TOY, JSON): checked,
        (ZooModel("Others", "Other"), JSON): ZooSeen(conversion="error: no fold", ours=3.0),
        (ZooModel("Third", "Third"), JSON): ZooSeen(export="NameError: x"),
    }
    lines = seen.table(rows).splitlines()
    assert len(lines) == 5
    assert lines[2] == (
        "| Toys | `Toy_tiny` | json | ok | 12.0 / 4.0 = 3.0 | did not run, 0.5 kernels=plain | - | - | **46** "
        "| paddle did not run it: a \\| b; logits differ |"
    )
    assert "| error: no fold | 3.0 / - |" in lines[3]
    assert "| not exported: NameError: x | - |" in lines[4]


def test_what_was_seen_is_not_done_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[str] = []

    def converted(place: zoo.Place, checkout: Path) -> ZooSeen:
        asked.append(place.model.name)
        return ZooSeen(conversion="error: no" if place.model.name == "LeViT_128S" else "")

    def checked(place: zoo.Place, found: ZooSeen) -> ZooSeen:
        asked.append(f"parity of {place.model.name}")
        return ZooSeen(checks="killed")

    monkeypatch.setenv("PADDLECLAS", str(tmp_path))
    monkeypatch.setattr(zoo, "converted", converted)
    monkeypatch.setattr(zoo, "checked", checked)
    words = ["--only", "LeViT_128S,Twins PCPVT", "--out", str(tmp_path)]
    assert zoo.main(words) == 0
    assert asked == ["LeViT_128S", "LeViT_128S", "pcpvt_small", "parity of pcpvt_small"]  # LeViT in both forms
    assert zoo.main(words) == 0
    assert len(asked) == 4
    assert zoo.main([*words, "--again"]) == 0
    assert len(asked) == 8
    assert "| killed |" in capsys.readouterr().out


def test_every_model_has_a_name_of_its_own() -> None:
    assert len({model.name for model in MODELS}) == len(MODELS)


def test_a_command_that_does_not_end_is_killed_with_what_it_started() -> None:
    child = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(600)'])"
    ended = run([sys.executable, "-c", child], 1.0)
    assert (ended.status, ended.reason) == (-9, "signal 9")


def test_the_reason_is_the_line_of_vitbench_else_the_last() -> None:
    assert Ended(2, "", "a\nerror: no such model\nNOTE: more\n", 1.0).reason == "error: no such model"
    assert Ended(1, "", "Traceback\n  NameError: x\n", 1.0).reason == "NameError: x"
