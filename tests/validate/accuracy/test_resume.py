"""The accuracy of runtimes whose every answer is known: what a resumed command does again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from convert.common.disk.json_lines import parse
from runtimes.base import Options
from runtimes.records import store
from runtimes.records.kinds import Accuracy
from tests.validate.conftest import one_wrong

Best = Callable[[int], np.ndarray]


class TestResume:
    def test_only_what_is_missing_runs(self, run: Any, make_set: Any, make_runtime: Any, identity: Best) -> None:
        make_set([1, 2], [1, 2])
        opened: list[Options] = []
        paddle, ort = make_runtime("paddle", identity, opened), make_runtime("ort-cpu", identity)
        arguments = ["--images", "set", "--out", "run", "--json"]
        first = json.loads(run(*arguments, runtimes=[paddle]).stdout)["records"]
        result = run(*arguments, "--resume", runtimes=[paddle, ort])
        second = json.loads(result.stdout)["records"]
        assert result.exit_code == 0
        assert len(opened) == 1
        assert second[0] == first[0]
        assert (second[1]["reference_top1"], second[1]["mcnemar_p"], second[1]["passed"]) == (1, 1, True)
        assert [parse(line) for line in Path("run/results.jsonl").read_text().splitlines()] == second

    def test_another_subset_or_another_list_runs_again(
        self, run: Any, make_set: Any, make_runtime: Any, identity: Best
    ) -> None:
        folder = make_set([1, 2], [1, 2])
        opened: list[Options] = []
        runtimes = [make_runtime("paddle", identity, opened)]
        arguments = ["--images", "set", "--out", "run", "--resume"]
        run(*arguments, runtimes=runtimes)
        run(*arguments, "--limit", "1", runtimes=runtimes)
        assert len(opened) == 2
        run(*arguments, "--limit", "1", runtimes=runtimes)
        assert len(opened) == 2
        (folder / "val_list.txt").write_text("image 0.png 1\nimage 1.png 3\n")
        run(*arguments, runtimes=runtimes)
        assert len(opened) == 3

    def test_without_it_everything_runs_again(self, run: Any, make_set: Any, make_runtime: Any, identity: Best) -> None:
        make_set([1], [1])
        for count in (1, 2):
            run("--images", "set", "--out", "run", runtimes=[make_runtime("paddle", identity)])
            assert len(store.read(Path("run"))) == count

    def test_failed_cells_run_again(self, run: Any, make_set: Any, make_runtime: Any, identity: Best) -> None:
        make_set([1], [1])
        arguments = ["--images", "set", "--out", "run", "--resume"]
        broken = make_runtime("paddle", lambda shown: identity(shown) * np.nan)
        assert run(*arguments, runtimes=[broken]).exit_code == 1
        assert run(*arguments, runtimes=[make_runtime("paddle", identity)]).exit_code == 0
        assert [record.status for record in store.read(Path("run"))] == ["failed", "ok"]

    def test_a_loss_is_still_a_loss(
        self, run: Any, make_set: Any, make_runtime: Any, identity: Best, best: Best
    ) -> None:
        make_set(range(6), range(6))
        runtimes = [make_runtime("paddle", identity), make_runtime("ort-cpu", one_wrong(best, *range(6)))]
        arguments = ["--images", "set", "--out", "run", "--resume"]
        assert [run(*arguments, runtimes=runtimes).exit_code for _ in range(2)] == [1, 1]
        assert len(store.read(Path("run"))) == 2

    def test_a_verdict_is_that_of_the_bar_that_is_asked_for_now(
        self, run: Any, make_set: Any, make_runtime: Any, identity: Best, best: Best
    ) -> None:
        """32 of 40 are right: enough for 0.7, and not for 0.99."""
        make_set([n % 10 for n in range(40)], [n % 10 for n in range(40)])
        opened: list[Options] = []
        runtimes = [make_runtime("paddle", identity, opened), make_runtime("ort-cpu", one_wrong(best, 0, 1), opened)]
        arguments = ["--images", "set", "--out", "run", "--resume", "--keep"]
        assert [run(*arguments, keep, runtimes=runtimes).exit_code for keep in ("0.7", "0.99", "0.7")] == [0, 1, 0]
        assert len(opened) == 2, "nothing is measured again"

    def test_a_reference_that_came_later(self, run: Any, make_set: Any, make_runtime: Any, identity: Best) -> None:
        make_set([1, 2], [1, 2])
        opened: list[Options] = []
        ort, paddle = make_runtime("ort-cpu", identity, opened), make_runtime("paddle", identity)
        arguments = ["--images", "set", "--out", "run", "--resume"]
        run(*arguments, runtimes=[ort])
        run(*arguments, runtimes=[ort, paddle])
        assert len(opened) == 1
        records = [one for one in store.read(Path("run")) if isinstance(one, Accuracy)]
        assert [(record.runtime, record.passed) for record in records] == [
            ("ort-cpu", None),
            ("paddle", True),
            ("ort-cpu", True),
        ]

    def test_the_newest_folder_is_taken(self, run: Any, make_set: Any, make_runtime: Any, identity: Best) -> None:
        make_set([1], [1])
        runtimes = [make_runtime("paddle", identity)]
        assert run("--images", "set", "--resume", runtimes=runtimes).exit_code == 2  # there is none yet
        run("--images", "set", runtimes=runtimes)
        run("--images", "set", "--resume", runtimes=runtimes)
        (file,) = Path("results").glob("*/results.jsonl")
        assert len(store.read(file.parent)) == 1

    def test_an_unfinished_run_is_not_started_again_without_a_word(
        self, run: Any, make_set: Any, make_runtime: Any, identity: Best
    ) -> None:
        make_set([1], [1])
        arguments, runtimes = ["--images", "set", "--out", "run"], [make_runtime("paddle", identity)]
        Path("run").mkdir()
        Path("run/.accuracy-unfinished").touch()
        refused = run(*arguments, runtimes=runtimes)
        assert (refused.exit_code, "run holds an unfinished run: --resume goes on" in refused.stderr) == (2, True)
        assert run(*arguments, "--fresh", runtimes=runtimes).exit_code == 0
        assert run(*arguments, runtimes=runtimes).exit_code == 0
