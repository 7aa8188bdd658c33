"""Records of several machines in one folder."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from convert.artifact import Artifact
from convert.common.errors import InputError
from runtimes.base import Options
from runtimes.bench.cluster.merged import MergedFolder, tried
from runtimes.records import reading, store
from runtimes.records.blank import start
from runtimes.records.kinds import Latency, Parity
from tests.runtimes.bench.made_up import FAKES

ONE, OTHER = "1" * 16, "2" * 16


def table(artifact: Artifact, kind: Any = Latency, **fields: Any) -> dict[str, Any]:
    return reading.to_table(start(kind, artifact, FAKES["fake-a"], Options(batches=(1,)), **fields))


def test_a_record_that_comes_twice_is_there_once(tmp_path: Path, toy_artifact: Artifact) -> None:
    line = table(toy_artifact, key="k", batch=1)
    merged = MergedFolder(tmp_path)
    assert merged.add(ONE, line, {}) is not None
    assert merged.add(ONE, line, {}) is None, "its answer was lost, and it was sent again"
    assert MergedFolder(tmp_path).add(ONE, line, {}) is None, "the driver was killed before the node knew"
    assert merged.add(OTHER, line, {}) is not None, "another machine's"
    assert [record.machine for record in store.read(tmp_path)] == [ONE, OTHER]
    assert tried(MergedFolder(tmp_path).of(ONE)) == {"k"}


def test_a_record_that_comes_with_another_folder_in_its_command_is_there_once(
    tmp_path: Path, toy_artifact: Artifact
) -> None:
    line = table(toy_artifact, Parity, passed=True, batches=(1,), command="python -m validate.parity --artifacts /a")
    merged = MergedFolder(tmp_path)
    assert merged.add(ONE, line, {"/a": "/ours"}) is not None
    assert merged.add(ONE, line, {}) is None


def test_a_command_names_our_folder_of_artifacts(tmp_path: Path, toy_artifact: Artifact) -> None:
    line = table(toy_artifact, command="python -m runtimes.bench --artifacts '/a b' --batch 1")
    found = MergedFolder(tmp_path).add(ONE, line, {"/a b": "/ours"})
    assert found is not None
    assert found.command == "python -m runtimes.bench --artifacts /ours --batch 1"
    usual = MergedFolder(tmp_path).add(OTHER, line, {"/a b": str(Path("artifacts").absolute())})
    assert usual is not None
    assert usual.command == "python -m runtimes.bench --batch 1"


def test_a_folder_that_stayed_on_the_node_is_not_named(tmp_path: Path, toy_artifact: Artifact) -> None:
    found = MergedFolder(tmp_path).add(ONE, table(toy_artifact, Parity, failure_folder="failures/x"), {})
    assert isinstance(found, Parity)
    assert found.failure_folder is None


def test_what_is_no_record_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="a node sent what is no record: fields are missing"):
        MergedFolder(tmp_path).add(ONE, {"kind": "latency"}, {})
    assert not store.known(tmp_path)


def test_each_machine_has_its_environment_and_its_price(tmp_path: Path) -> None:
    merged = MergedFolder(tmp_path)
    merged.describe(ONE, {"python": "3.11"}, 1.2)
    merged.describe(ONE, {"python": "3.12"}, None)
    merged.describe(OTHER, {"python": "3.10"}, None)
    found = {file.stem: json.loads(file.read_text()) for file in (tmp_path / "environments").iterdir()}
    assert found == {ONE: {"python": "3.11", "price_per_hour": 1.2}, OTHER: {"python": "3.10"}}


def test_a_price_that_is_given_later_counts(tmp_path: Path) -> None:
    file = tmp_path / "environments" / f"{ONE}.json"
    MergedFolder(tmp_path).describe(ONE, {"python": "3.11"}, None)
    for price in (1.2, 0.9):
        MergedFolder(tmp_path).describe(ONE, {"python": "3.12"}, price)
        assert json.loads(file.read_text()) == {"python": "3.11", "price_per_hour": price}
    file.write_text("[")
    with pytest.raises(InputError, match="damaged"):
        MergedFolder(tmp_path).describe(ONE, {}, 1.2)


def test_a_run_keeps_its_name_and_counts_its_beginnings(tmp_path: Path) -> None:
    first = MergedFolder(tmp_path).run(anew=False)
    assert MergedFolder(tmp_path).run(anew=False) == first
    again = MergedFolder(tmp_path).run(anew=True)
    assert again != first
    assert again.partition(".")[0] == first.partition(".")[0]


def test_parity_of_another_machine_speaks_not_for_this_one(tmp_path: Path, toy_artifact: Artifact) -> None:
    from runtimes.bench.schedule import parity

    record = start(Parity, toy_artifact, FAKES["fake-a"], Options())
    assert parity.of([record, replace(record, machine=ONE)]) == [record]
