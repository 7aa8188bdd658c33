from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convert.common.errors import InputError
from runtimes.records import store


def record(**fields: Any) -> dict[str, Any]:
    blank: dict[str, Any] = dict.fromkeys(store.COMMON_FIELDS)
    return blank | {"kind": "latency", "status": "ok", "reason": None} | fields


def test_records_come_back_in_order(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    for i in range(3):
        store.append(folder, record(model=f"m{i}", reason="zwei\u2028Zeilen"))
    assert [r["model"] for r in store.read(folder)] == ["m0", "m1", "m2"]


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
    assert [r["model"] for r in store.read(folder)] == left
    store.append(folder, record(model="third"))
    assert [r["model"] for r in store.read(folder)] == [*left, "third"]


def test_damage_elsewhere_is_named_by_its_line(tmp_path: Path) -> None:
    for model in "ab":
        store.append(tmp_path, record(model=model))
    file = tmp_path / store.RESULTS
    for damage in ("{}", "[1]", "{"):
        file.write_text(damage + "\n" + file.read_text().split("\n", 1)[1])
        with pytest.raises(InputError, match="line 1: damaged"):
            store.read(tmp_path)


def test_what_is_no_record_is_not_stored(tmp_path: Path) -> None:
    incomplete = record()
    del incomplete["command"]
    for wrong in (incomplete, record(kind="speed"), record(status="fine")):
        with pytest.raises(ValueError, match="not a record"):
            store.append(tmp_path, wrong)
    with pytest.raises(ValueError, match="JSON"):
        store.append(tmp_path, record(value=float("nan")))
    assert not (tmp_path / store.RESULTS).exists()


def test_the_newest_run(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="make bench"):
        store.newest_run(tmp_path)
    for i, name in enumerate(("b", "a")):
        store.append(tmp_path / name, record())
        os.utime(tmp_path / name / store.RESULTS, (i, i))
    assert store.newest_run(tmp_path).name == "a"


def test_the_latest_record_of_a_key() -> None:
    records = [record(model=m, count=i) for i, m in enumerate("aba")]
    assert {key: r["count"] for key, r in store.latest(records, "model").items()} == {("a",): 2, ("b",): 1}


def test_each_record_is_one_line_of_json(tmp_path: Path) -> None:
    store.append(tmp_path, record(reason="a\nb"))
    lines = (tmp_path / store.RESULTS).read_text().split("\n")
    assert lines[1:] == [""]
    assert json.loads(lines[0])["reason"] == "a\nb"
