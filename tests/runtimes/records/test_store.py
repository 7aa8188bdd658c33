"""The results folder: records in order, whole or absent, and which of them `--resume` leaves as they are."""

from __future__ import annotations

import json
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convert.common.disk.json_lines import parse
from convert.common.errors import InputError
from runtimes.records import reading, store
from runtimes.records.kinds import FORMAT, Latency


def record(**fields: Any) -> Latency:
    common = {"model": "m", "precision": "fp32", "runtime": "ort-cpu", "device": "CPU", "artifact": "a"}
    numbers = {"status": "ok", "reason": None, "effective": None, "command": "", "median_ms": 5.0}
    return Latency(**{**common, **numbers, **fields})


def test_records_come_back_in_order(tmp_path: Path) -> None:
    made = [record(model=f"m{i}", reason="zwei\u2028Zeilen") for i in range(3)]
    for one in made:
        store.append(tmp_path / "run", one)
    assert store.read(tmp_path / "run") == store.known(tmp_path / "run") == made


def test_a_folder_without_records_is_none_and_may_be_one_yet(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no results folder"):
        store.read(tmp_path)
    assert store.known(tmp_path) == []


@given(cut=st.integers(1, 200))
def test_a_line_cut_by_a_crash_is_dropped_and_swallows_nothing(tmp_path_factory: Any, cut: int) -> None:
    folder = tmp_path_factory.mktemp("run")
    store.append(folder, record(model="first"))
    store.append(folder, record(model="second"))
    file = folder / store.RESULTS
    content = file.read_bytes()
    last = content.rindex(b"\n", 0, -1) + 1
    file.write_bytes(content[: max(last, len(content) - cut)])
    left = ["first", "second"] if cut == 1 else ["first"]  # only the line end is missing
    assert [one.model for one in store.read(folder)] == left
    store.append(folder, record(model="third"))
    assert [one.model for one in store.read(folder)] == [*left, "third"]


def test_damage_elsewhere_is_named_by_its_line(tmp_path: Path) -> None:
    for model in "ab":
        store.append(tmp_path, record(model=model))
    file = tmp_path / store.RESULTS
    first, rest = file.read_text().split("\n", 1)
    table = parse(first)
    assert table
    wrong = json.dumps({**table, "batch": "one"})
    for damage, reason in (
        ("   ", None),
        ("", None),
        ("{}", "fields are missing: kind, model"),
        ("[1]", "damaged"),
        ("{", "damaged"),
        (first.replace("5.0", "4.0"), "damaged, or altered since it was written"),
        (wrong, "batch: expected"),
        (json.dumps({**table, "format": FORMAT + 1}), f"a record of format {FORMAT + 1}"),
        (json.dumps({**table, "kind": "speed"}), "kind 'speed'"),
    ):
        file.write_text(damage + "\n" + rest)
        if reason is None:
            assert [one.model for one in store.read(tmp_path)] == ["b"], "a blank line is no damage"
            continue
        with pytest.raises(InputError, match="line 1: " + reason) as caught:
            store.read(tmp_path)
        usable = not reason.startswith("a record of format")  # one of a newer format wants a newer vitbench
        assert str(caught.value).endswith("; remove that line to use the rest") == usable


def test_one_command_writes_into_a_folder_at_a_time(tmp_path: Path) -> None:
    with store.alone(tmp_path):
        store.append(tmp_path, record())
    with store.alone(tmp_path):
        assert len(store.read(tmp_path)) == 1


def test_no_nan_reaches_the_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        store.append(tmp_path, record(cv=float("nan")))
    assert not (tmp_path / store.RESULTS).exists()


def test_the_newest_run(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="make bench"):
        store.newest_run(tmp_path)
    for name, time in (("b", 1), ("d", 5), ("a", 9), ("e", 3), ("c", 2)):
        store.append(tmp_path / name, record())
        os.utime(tmp_path / name / store.RESULTS, (time, time))
    assert store.newest_run(tmp_path).name == "a"
    os.utime(tmp_path / "c" / store.RESULTS, (10, 10))
    assert store.newest_run(tmp_path).name == "c"
    assert re.fullmatch(r"\d{8}-\d{6}", store.new_run(tmp_path).name)
    assert store.new_run(tmp_path).parent == tmp_path


def test_each_record_is_one_line_of_json(tmp_path: Path) -> None:
    store.append(tmp_path, record(reason="a\nb"))
    lines = (tmp_path / store.RESULTS).read_text().split("\n")
    assert lines[1:] == [""]
    assert json.loads(lines[0])["reason"] == "a\nb"


def test_what_has_a_number_is_done_and_where_nothing_is_missing_what_was_disturbed_is_not() -> None:
    quiet, loud = record(key="a"), record(key="b", disturbed="others", status="unstable")
    failed = replace(quiet, status="failed", median_ms=None)
    assert store.done([failed, quiet, loud], {"a", "b", "c"}) == {"a": quiet, "b": loud}
    assert store.done([quiet, loud], {"a", "b"}) == store.done([quiet, loud], ["a", "b", "a"]) == {"a": quiet}
    assert store.done([quiet, failed], {"a"}) == {}, "the newest counts"
    assert store.done([quiet, record(key="z"), record()], {"a", "b"}) == {"a": quiet}, "what is not asked for is not"
    assert store.measured([quiet, failed, record()]) == {"a": quiet}


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"samples_ms": [7.0, 8.0, 9.5], "median_ms": 8.5}, "median_ms = 8.5, and that of its samples is 8.0"),
        ({"samples_ms": [7.0, 8.0, 9.5], "median_ms": 8.0, "count": 30}, "count = 30, and it has 3 samples"),
        ({"kind": "accuracy", "outcomes": "1150x-", "images": 5, "top1": 0.6}, "top1 = 0.6, and that of its"),
        ({"kind": "accuracy", "outcomes": "1150x-", "images": 6, "top1": 0.4}, "images = 6, and its outcomes are of 5"),
        ({"kind": "accuracy", "outcomes": "---", "top1": 0.4}, "top1 = 0.4"),
    ],
)
def test_a_summary_that_does_not_follow_from_what_it_sums_up(
    tmp_path: Path, fields: dict[str, Any], reason: str
) -> None:
    """Of records without a checksum: earlier ones, and those in exported files."""
    table = reading.to_table(record())
    (tmp_path / store.RESULTS).write_text(json.dumps({**table, **fields}) + "\n")
    with pytest.raises(InputError, match=f"line 1: {reason}"):
        store.read(tmp_path)


@pytest.mark.parametrize(
    "fields",
    [
        {"samples_ms": [7.0, 8.0, 9.5], "median_ms": 8.0, "count": 3},
        {"samples_ms": [], "median_ms": 8.0, "count": 30},  # of an export without samples
        {"kind": "accuracy", "outcomes": "1150x-", "images": 5, "top1": 0.4},
    ],
)
def test_a_summary_that_does(tmp_path: Path, fields: dict[str, Any]) -> None:
    (tmp_path / store.RESULTS).write_text(json.dumps({**reading.to_table(record()), **fields}) + "\n")
    assert len(store.read(tmp_path)) == 1


def test_a_run_that_came_to_no_end_is_gone_on_with_only_where_its_user_says_so(tmp_path: Path) -> None:
    folder = tmp_path / "results" / "run"

    def broken(*records: Latency) -> None:
        with store.until_finished(folder, "bench"):
            for one in records:
                store.append(folder, one)
            raise OSError("broke")

    with pytest.raises(OSError, match="broke"):
        broken()
    store.refuse_unfinished(folder, "bench", resume=False, fresh=False)  # it left nothing
    with pytest.raises(OSError, match="broke"):
        broken(record())
    with pytest.raises(InputError, match=r"holds an unfinished run: --resume goes on with it.*RESUME=1 or FRESH=1\)$"):
        store.refuse_unfinished(folder, "bench", resume=False, fresh=False)
    store.refuse_unfinished(folder, "bench", resume=True, fresh=False)
    store.refuse_unfinished(folder, "bench", resume=False, fresh=True)
    store.refuse_unfinished(folder, "accuracy", resume=False, fresh=False)
    with pytest.raises(InputError, match="--resume beside --fresh"):
        store.refuse_unfinished(folder, "bench", resume=True, fresh=True)
    with store.until_finished(folder, "bench"):
        pass
    store.refuse_unfinished(folder, "bench", resume=False, fresh=False)
    with store.until_finished(folder, "bench"):
        folder.joinpath(".bench-unfinished").unlink()  # by whoever tidies up
