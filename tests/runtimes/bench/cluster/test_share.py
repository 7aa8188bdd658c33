"""A node's side without Ray: what it offers, and the measuring of its share by processes of this machine."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from convert.artifact import Artifact
from convert.common import typed
from convert.manifest import to_table
from runtimes.base import Options
from runtimes.bench.cluster import share
from runtimes.bench.cluster.share import Offer, SentArtifact, Share, ShareAsked
from runtimes.bench.plan.settings import Matrix, policy
from runtimes.bench.schedule import run
from runtimes.records import reading, store
from runtimes.records.blank import start
from runtimes.records.kinds import Latency, Parity
from tests.runtimes.bench.made_up import FAKES

EFFORT = policy(
    {
        "min_count": 6,
        "min_seconds": 0.05,
        "max_seconds": 0.2,
        "target": 0.5,
        "patience": 0.0,
        "processes": 1,
        "repeats": 0,
    }
)


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(share, "runs", lambda: tmp_path / "runs")


def asked(toml: Path, artifact: Artifact, manifest: bool = False, **changes: Any) -> ShareAsked:
    matrix = Matrix(
        **{"model": (str(toml),), "runtime": ("ort-cpu",), "batch": (1, 2), "weights": "seeded:1", **changes}
    )
    table = to_table(artifact.manifest) if manifest else None
    one = SentArtifact(0, "fp32", str(toml), str(artifact.path), table)
    return ShareAsked(share.sent([matrix]), (one,), EFFORT, 0, "run-host.0")


def offered(question: ShareAsked) -> Offer:
    return typed.read(Offer, share.offer(typed.table(question)))


def test_an_offer_needs_the_manifest_alone(toy_toml: Path, toy_artifact: Artifact, tmp_path: Path) -> None:
    moved = Artifact(tmp_path / "not/there", toy_artifact.manifest)
    found = offered(asked(toy_toml, moved, manifest=True))
    assert [(one.row["runtime"], one.row["batch"], one.refused) for one in found.cells] == [
        ("ort-cpu", 1, None),
        ("ort-cpu", 2, None),
    ]
    assert [one.key for one in found.cells] == [one.key for one in offered(asked(toy_toml, toy_artifact)).cells]
    assert found.left_out == ()


def test_what_a_node_has_not_is_left_out_and_the_rest_is_offered(toy_toml: Path, toy_artifact: Artifact) -> None:
    found = offered(asked(toy_toml, toy_artifact, runtime=("ort-cuda", "ort-cpu"), batch=(1,)))
    assert [one.row["runtime"] for one in found.cells] == ["ort-cpu"]
    (why,) = found.left_out
    assert why.startswith("runtime ort-cuda is not available: ")


def test_matrices_that_differ_in_their_folder_of_artifacts_have_each_their_own(
    toy_toml: Path, toy_artifact: Artifact
) -> None:
    one = asked(toy_toml, toy_artifact, manifest=True, batch=(1,))
    name = next(iter(toy_artifact.manifest.files))
    files = {**toy_artifact.manifest.files, name: replace(toy_artifact.manifest.files[name], sha256="0" * 64)}
    other = Artifact(Path("elsewhere/toy/fp32"), replace(toy_artifact.manifest, files=files))
    assert other.sha256 != toy_artifact.sha256
    sent = replace(one.artifacts[0], matrix=1, folder=str(other.path), manifest=to_table(other.manifest))
    found = offered(replace(one, matrices=one.matrices * 2, artifacts=(*one.artifacts, sent)))
    assert [cell.artifact for cell in found.cells] == [toy_artifact.sha256, other.sha256]


def test_more_threads_than_cores_are_told(toy_toml: Path, toy_artifact: Artifact) -> None:
    found = offered(asked(toy_toml, toy_artifact, threads=(4096,)))
    assert found.cells == ()
    assert found.left_out[0].startswith("--threads 4096: this machine has ")


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Of each run: the keys of its cells, and those that are measured whatever is stored."""
    found: list[Any] = []

    def pretend(plan: Any, *_: Any, again: Any) -> Any:
        found.append(([one.batch for one in plan.cells], again))
        return iter(())

    monkeypatch.setattr(run, "run", pretend)
    return found


def carried_out(question: ShareAsked, keys: tuple[str, ...], again: tuple[str, ...] = ()) -> list[Any]:
    payload = typed.table(Share(question, keys, "validate.parity.run", again))
    return [reading.from_table(one["record"]) for one in share.carry_out(payload, iter(())) if "record" in one]


def test_what_does_not_count_is_measured_again_and_the_rest_is_kept(
    toy_toml: Path, toy_artifact: Artifact, measured: list[Any]
) -> None:
    question = asked(toy_toml, toy_artifact)
    one, two = (cell.key for cell in offered(question).cells)
    for key in (one, two):
        record = start(Latency, toy_artifact, FAKES["fake-a"], Options(), key=key, median_ms=1.0, status="unstable")
        store.append(share.folder_of(question.run), record)
    assert [record.key for record in carried_out(question, (one, two), (two,))] == [one, two]
    assert measured == [([2], (two,))]


def test_parity_of_other_artifacts_is_not_told_again(
    toy_toml: Path, toy_artifact: Artifact, measured: list[Any]
) -> None:
    question = asked(toy_toml, toy_artifact)
    record = start(Parity, toy_artifact, FAKES["fake-a"], Options(), passed=True, batches=(1,))
    for artifact in ("0" * 64, toy_artifact.sha256):
        store.append(share.folder_of(question.run), replace(record, artifact=artifact))
    told = carried_out(question, tuple(cell.key for cell in offered(question).cells))
    assert [one.artifact for one in told] == [toy_artifact.sha256]
    assert carried_out(question, ()) == []


def test_a_share_is_measured_and_goes_on(toy_toml: Path, toy_artifact: Artifact, tmp_path: Path) -> None:
    question = asked(toy_toml, toy_artifact)
    first, second = (one.key for one in offered(question).cells)
    (tmp_path / "runs/run-host.9").mkdir(parents=True)

    def carried_out(*keys: str) -> tuple[list[Any], list[str]]:
        told = list(share.carry_out(typed.table(Share(question, keys, "validate.parity.run")), iter(())))
        assert "packages" in told[0]["environment"]
        records = [reading.from_table(one["record"]) for one in told if "record" in one]
        return records, [one["said"] for one in told if "said" in one]

    records, said = carried_out(first)
    assert [type(record) for record in records] == [Parity, Latency]
    assert records[1].key == first
    assert any("round 1 of 1" in line for line in said)
    assert not (tmp_path / "runs/run-host.9").exists(), "an earlier beginning of the run"

    again, said = carried_out(first, second)
    assert again[: len(records)] == records, "what is there is told again, and not measured again"
    assert [record.key for record in again if isinstance(record, Latency)] == [first, second]
    assert store.read(tmp_path / "runs/run-host.0") == again
    assert [one.held for one in offered(question).cells] == [True, True]
    only, _ = carried_out(second)
    assert [record.key for record in only if isinstance(record, Latency)] == [second], "the other is another node's"
