"""The accuracy of runtimes whose every answer is known: the records and the command."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from convert.common.disk.json_lines import parse
from convert.zoo import SEVEN
from runtimes.records import store
from tests.validate.conftest import one_wrong

Best = Callable[[int], np.ndarray]


class TestRecords:
    def test_fields(self, run: Any, make_set: Any, make_runtime: Any, identity: Best, best: Best) -> None:
        make_set(range(10), range(10))
        runtimes = [make_runtime("ort-cpu", one_wrong(best, 3, 4)), make_runtime("paddle", identity)]
        result = run("--images", "set", "--out", "run", "--batch", "4", "--threads", "1", "--json", runtimes=runtimes)
        assert result.exit_code == 0, result.stderr  # two of ten: chance explains it
        records = json.loads(result.stdout)["records"]
        assert records == [parse(line) for line in Path("run/results.jsonl").read_text().splitlines()]
        reference, record = records
        assert [r["runtime"] for r in records] == ["paddle", "ort-cpu"]  # the reference first
        assert (reference["top1"], reference["top5"], reference["reference_top1"]) == (1, 1, 1)
        assert (reference["mcnemar_p"], reference["passed"], reference["status"]) == (None, True, "ok")
        assert (record["top1"], record["top5"], record["reference_top1"]) == (0.8, 0.9, 1)
        assert record["top1_ci95"] == pytest.approx([0.4901641, 0.9433163], abs=2e-6)
        assert record["mcnemar_p"] == pytest.approx(2 / 2**2)
        assert (record["passed"], record["undecided"]) == (False, True)
        assert (record["status"], record["reason"]) == ("ok", None)
        assert (record["images"], record["unreadable"], record["subset"]) == (10, 0, False)
        assert record["dataset"] == "set/val_list.txt, 10 images"
        assert (record["batch"], record["threads"], record["device"]) == (4, 1, "CPU")
        effective = {"precision": "fp32", "device": "CPU", "details": {"read": "from the session"}, "arithmetic": None}
        assert record["effective"] == effective
        assert record["preprocessing"]["mean"] == [0.5, 0.5, 0.5]
        assert record["outcomes"] == "1115011111"  # 3 is fifth behind 4, 0, 1, 2; 4 is sixth behind 5 and those and 3

    def test_the_command_gives_the_record_again(
        self, run: Any, make_set: Any, make_runtime: Any, identity: Best, best: Best
    ) -> None:
        make_set(range(10), range(10), name="my set")
        runtimes = [make_runtime("paddle", identity), make_runtime("ort-cpu", one_wrong(best, 3))]
        arguments = ["--images", "my set", "--limit", "6", "--batch", "4", "--max-unreadable", "2", "--json"]
        result = run(*arguments, "--model", "own.toml", runtimes=runtimes)
        record = json.loads(result.stdout)["records"][1]
        assert "--model own.toml --weights own.npz --images 'my set' --limit 6 " in record["command"]
        assert "--runtime paddle,ort-cpu " in record["command"]
        program, *again = shlex.split(record["command"])[2:]
        assert program == "validate.accuracy"
        second = json.loads(run(*again, "--json", runtimes=runtimes).stdout)["records"][1]
        assert second | {"time_utc": ""} == record | {"time_utc": ""}

    def test_all_models_name_their_own(self, run: Any, make_set: Any, make_runtime: Any, identity: Best) -> None:
        make_set([1], [1])
        result = run("--images", "set", "--model", "all", "--json", runtimes=[make_runtime("paddle", identity)])
        records = json.loads(result.stdout)["records"]
        assert [record["model"] for record in records] == list(SEVEN)
        assert all(f"--model {record['model']} " in record["command"] for record in records)

    def test_the_command_names_the_weights(self, run: Any, make_set: Any, make_runtime: Any, identity: Best) -> None:
        make_set([1], [1])
        weights = {"kind": "seeded", "source": "seeded:7"}
        result = run("--images", "set", "--json", runtimes=[make_runtime("paddle", identity)], weights=weights)
        assert "--weights seeded:7 " in json.loads(result.stdout)["records"][0]["command"]

    def test_another_precision_than_asked_for_fails(
        self, run: Any, make_set: Any, make_runtime: Any, identity: Best
    ) -> None:
        make_set([1], [1])
        runtimes = [make_runtime("paddle", identity), make_runtime("openvino", identity, computes_in="bf16")]
        result = run("--images", "set", "--json", runtimes=runtimes)
        assert result.exit_code == 1
        record = json.loads(result.stdout)["records"][1]
        assert (record["status"], record["passed"], record["top1"]) == ("failed", False, 1)
        assert record["reason"] == "openvino computed in bf16 instead of fp32"

    def test_without_reference(self, run: Any, make_set: Any, make_runtime: Any, best: Best) -> None:
        make_set([1, 2], [1, 2])
        result = run("--images", "set", "--json", runtimes=[make_runtime("ort-cpu", one_wrong(best, 1, 2))])
        assert result.exit_code == 0
        record = json.loads(result.stdout)["records"][0]
        assert (record["top1"], record["reference_top1"], record["mcnemar_p"], record["passed"]) == (
            0,
            None,
            None,
            None,
        )

    def test_a_reference_that_broke_is_none(
        self, run: Any, make_set: Any, make_runtime: Any, identity: Best, best: Best
    ) -> None:
        make_set([1, 2], [1, 2])

        def nan_for_one(shown: int) -> np.ndarray:
            return best(shown) * (np.nan if shown == 1 else 1)

        runtimes = [make_runtime("paddle", nan_for_one), make_runtime("ort-cpu", identity)]
        result = run("--images", "set", "--json", runtimes=runtimes)
        assert result.exit_code == 1
        reference, record = json.loads(result.stdout)["records"]
        assert (reference["status"], reference["passed"], reference["top1"]) == ("failed", False, 0.5)
        assert reference["reason"] == "the logits of 1 of 2 images are not finite"
        assert (record["status"], record["reference_top1"], record["passed"]) == ("ok", None, None)

    def test_lower_precisions_are_held_against_fp32(
        self, run: Any, make_set: Any, make_runtime: Any, identity: Best, best: Best
    ) -> None:
        make_set(range(10), range(10))
        runtimes = [
            make_runtime("paddle", identity),
            make_runtime("ort-cpu", one_wrong(best, 1), precisions="fp32 fp16"),
        ]
        result = run("--images", "set", "--precision", "fp16,fp32", "--json", runtimes=runtimes)
        records = json.loads(result.stdout)["records"]
        assert [(r["runtime"], r["precision"], r["status"]) for r in records] == [
            ("paddle", "fp32", "ok"),
            ("ort-cpu", "fp32", "ok"),
            ("ort-cpu", "fp16", "ok"),
        ]
        assert (records[2]["reference_top1"], records[2]["passed"]) == (1, False)
        assert "--precision fp32,fp16" in records[2]["command"]
        assert "validate.search" not in result.stderr

    def test_who_fails_in_int8_is_told_of_the_search(
        self, run: Any, make_set: Any, make_runtime: Any, identity: Best, best: Best
    ) -> None:
        make_set(range(10), range(10))
        arguments = ["--images", "set", "--precision", "fp32,int8"]
        told = "; python -m validate.search finds what to keep in FP32"
        for wrong, status in ((range(6), 1), (range(1), 0)):
            lowered = make_runtime("ort-cpu", one_wrong(best, *wrong), precisions="fp32 int8")
            result = run(*arguments, runtimes=[make_runtime("paddle", identity), lowered])
            assert result.exit_code == status
            assert (told in result.stderr) is bool(status), "what may be chance is no reason to search"

    def test_what_no_runtime_can_be_is_left_out_and_named_once(
        self, run: Any, make_set: Any, make_runtime: Any, identity: Best
    ) -> None:
        make_set([1], [1])
        runtimes = [make_runtime("paddle", identity), make_runtime("ort-cpu", identity, precisions="fp32 int8")]
        arguments = ["--images", "set", "--precision", "fp32,int8", "--runtime", "paddle,ort-cpu", "--json"]
        result = run(*arguments, runtimes=runtimes)
        assert result.exit_code == 0, result.stderr
        ran = [(one["runtime"], one["precision"], one["status"]) for one in json.loads(result.stdout)["records"]]
        assert ran == [("paddle", "fp32", "ok"), ("ort-cpu", "fp32", "ok"), ("ort-cpu", "int8", "ok")]
        assert result.stderr.count("left out: paddle has no int8 here, only fp32") == 1
        result = run("--images", "set", "--precision", "int8", "--runtime", "paddle", runtimes=runtimes[:1])
        assert result.exit_code == 2
        assert "--precision int8: paddle has no int8 here, only fp32: `python -m runtimes` shows which" in result.stderr

    def test_a_broken_runtime_does_not_stop_the_others(
        self, run: Any, make_set: Any, make_runtime: Any, identity: Best
    ) -> None:
        make_set([1], [1])

        def broken(shown: int) -> np.ndarray:
            raise RuntimeError("no\nsuch kernel")

        result = run(
            "--images", "set", "--json", runtimes=[make_runtime("a", broken), make_runtime("paddle", identity)]
        )
        assert result.exit_code == 1
        good, bad = json.loads(result.stdout)["records"]
        assert good["status"] == "ok"
        assert (bad["status"], bad["reason"], bad["top1"]) == ("failed", "RuntimeError: no such kernel", None)
        assert "Traceback" not in result.stderr

    def test_logits_of_too_few_classes_fail(self, run: Any, make_set: Any, make_runtime: Any) -> None:
        make_set([1], [9])
        result = run("--images", "set", "--json", runtimes=[make_runtime("a", lambda shown: np.zeros(3))])
        assert result.exit_code == 1
        assert "the logits are of shape (1, 3), not (1, 10)" in json.loads(result.stdout)["records"][0]["reason"]

    def test_no_image_at_all(self, run: Any, make_set: Any, make_runtime: Any, identity: Best) -> None:
        make_set([None, None], [1, 1])
        result = run("--images", "set", "--max-unreadable", "2", "--json", runtimes=[make_runtime("paddle", identity)])
        assert result.exit_code == 1
        record = json.loads(result.stdout)["records"][0]
        assert (record["status"], record["images"], record["unreadable"], record["top1"]) == ("failed", 0, 2, None)


class TestCommand:
    def test_json_is_clean_and_people_are_served_on_stderr(
        self, run: Any, make_set: Any, make_runtime: Any, identity: Best
    ) -> None:
        make_set([1, None], [1, 1], name="set [a]")
        runtimes = [make_runtime("paddle", identity)]
        arguments = ["--images", "set [a]", "--max-unreadable", "1"]
        result = run(*arguments, "--json", runtimes=runtimes)
        assert result.exit_code == 0
        assert list(json.loads(result.stdout)) == ["records"]
        assert "left out: image image 1.png cannot be decoded" in result.stderr
        assert "ViT_base_patch32_384 fp32 on paddle: 2 of 2 images" in result.stderr
        assert "1 (subset; 1 unreadable)" in result.stderr
        assert run(*arguments, runtimes=runtimes).stdout == ""

    def test_too_many_unreadable(self, run: Any, make_set: Any, make_runtime: Any, identity: Best) -> None:
        make_set([1, None], [1, 1])
        result = run("--images", "set", "--json", "--out", "run", runtimes=[make_runtime("paddle", identity)])
        assert result.exit_code == 2
        assert result.stdout == ""
        assert "image 1.png" in result.stderr.splitlines()[-1]
        assert "--max-unreadable N" in result.stderr.splitlines()[-1]
        assert not Path("run").exists()

    def test_records_before_a_stop_stay(self, run: Any, make_set: Any, make_runtime: Any, identity: Best) -> None:
        folder = make_set([1, 2], [1, 2])

        def spoil(shown: int) -> np.ndarray:
            if shown == 2:
                (folder / "image 1.png").write_bytes(b"gone bad")
            return identity(shown)

        runtimes = [make_runtime("paddle", spoil), make_runtime("ort-cpu", identity)]
        result = run("--images", "set", "--out", "run", "--together", "1", runtimes=runtimes)
        assert result.exit_code == 2
        assert [record.runtime for record in store.read(Path("run"))] == ["paddle"]

    def test_a_runtime_by_name(self, run: Any, make_set: Any, make_runtime: Any, identity: Best) -> None:
        make_set([1], [1])
        runtimes = [
            make_runtime("paddle", identity),
            make_runtime("ort-cpu", identity),
            make_runtime("mnn", identity, package="no_such_package"),
        ]
        result = run("--images", "set", "--runtime", "ort-cpu", "--json", runtimes=runtimes)
        assert [record["runtime"] for record in json.loads(result.stdout)["records"]] == ["ort-cpu"]
        result = run("--images", "set", "--json", runtimes=runtimes)
        assert [record["runtime"] for record in json.loads(result.stdout)["records"]] == ["paddle", "ort-cpu"]
        result = run("--images", "set", "--runtime", "paddle,mnn", "--out", "run", runtimes=runtimes)
        assert result.exit_code == 2
        assert "runtime mnn is not available: no_such_package cannot be imported" in result.stderr
        assert not Path("run").exists()
        assert run("--images", "set", "--runtime", "nosuch", runtimes=runtimes).exit_code == 2

    @pytest.mark.parametrize(
        "arguments",
        [
            ["--images", ""],
            ["--images", "absent"],
            ["--images", "set", "--precision", "fp31"],
            ["--images", "set", "--batch", "0"],
            ["--images", "set", "--limit", "-1"],
            ["--images", "set", "--max-unreadable", "-1"],
            [],
        ],
    )
    def test_bad_usage(self, run: Any, make_set: Any, make_runtime: Any, identity: Best, arguments: list[str]) -> None:
        make_set([1], [1])
        result = run(*arguments, runtimes=[make_runtime("paddle", identity)])
        assert result.exit_code == 2
        assert result.stdout == ""
        assert "Traceback" not in result.stderr

    def test_labels_beyond_the_model(self, run: Any, make_set: Any, make_runtime: Any, identity: Best) -> None:
        make_set([1], [10])
        result = run("--images", "set", runtimes=[make_runtime("paddle", identity)])
        assert result.exit_code == 2
        assert "line 1: label 10 is out of range" in result.stderr

    def test_no_runtime_at_all(self, run: Any, make_set: Any) -> None:
        make_set([1], [1])
        assert run("--images", "set", runtimes=[]).exit_code == 2

    def test_seeded_weights_are_said_loudly(self, run: Any, make_set: Any, make_runtime: Any, identity: Best) -> None:
        make_set([1], [1])
        runtimes = [make_runtime("paddle", identity)]
        weights = {"kind": "seeded", "source": "seeded:7"}
        assert "accuracy means nothing" in run("--images", "set", runtimes=runtimes, weights=weights).stderr
        assert "accuracy means nothing" not in run("--images", "set", runtimes=runtimes).stderr

    def test_help_has_an_example(self, run: Any) -> None:
        result = run("--help", runtimes=[])
        assert result.exit_code == 0
        assert "python -m validate.accuracy --images" in result.stdout
