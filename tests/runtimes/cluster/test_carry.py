from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from convert import artifact as artifacts
from convert.artifact import Artifact
from convert.common import typed
from convert.common.errors import InputError
from convert.manifest import FileEntry
from runtimes.cluster import carry
from runtimes.cluster.carry import Parcel

NAME = "0" * 64


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(carry, "cache", lambda: tmp_path / "cache")


@pytest.fixture
def sent(toy_artifact: Artifact, tmp_path: Path) -> Artifact:
    """The toy with a reference, in a place of its own."""
    root = tmp_path / "here"
    shutil.copytree(toy_artifact.path, root / "toy" / "fp32")
    (root / "toy" / "fp32" / "reference").mkdir(exist_ok=True)
    (root / "toy" / "fp32" / "reference" / "a.npz").write_bytes(b"logits")
    return artifacts.load(root / "toy" / "fp32")


def elsewhere(parcel: Parcel, tmp_path: Path) -> dict[str, Any]:
    """A parcel as a node sees it that has not the sender's folder."""
    table: dict[str, Any] = typed.table(parcel)
    return table | {"root": str(tmp_path / "nowhere")}


def deliver(parcel: Parcel, name: str) -> str | None:
    for offset, piece in carry.pieces(Path(parcel.root) / name):
        carry.write(parcel.name, name, offset, piece)
    return carry.arrived(parcel.name, name, parcel.files[name].sha256)


def test_what_is_seen_at_the_same_place_is_used_there(sent: Artifact) -> None:
    assert carry.look(typed.table(carry.parcel(sent))) == {"path": str(sent.path), "lacking": []}


def test_an_artifact_travels_once_in_pieces(sent: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(carry, "PIECE", 100)
    parcel = carry.parcel(sent)
    table = elsewhere(parcel, tmp_path)
    lacking = carry.look(table)["lacking"]
    assert set(lacking) == set(parcel.files)
    assert "toy/fp32/reference/a.npz" in lacking
    assert [deliver(parcel, name) for name in lacking] == [None] * len(lacking)
    found = carry.look(table)
    assert found["lacking"] == []
    there = artifacts.load(Path(found["path"]))
    assert there.path != sent.path
    assert there.sha256 == sent.sha256
    assert there.damage() is None
    assert not list((tmp_path / "cache").rglob(".*")), "nothing temporary is left"


def test_a_folder_that_is_named_by_way_of_its_parent_travels(sent: Artifact, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(sent.path)
    there = artifacts.load(Path("../../../here/toy/fp32"))
    assert carry.parcel(there) == carry.parcel(sent)


def test_a_file_outside_the_folder_of_artifacts_is_told(
    sent: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = tmp_path / "other/toy/fp32"
    shutil.copytree(sent.path, base)
    monkeypatch.setattr(Artifact, "base", artifacts.load(base))
    with pytest.raises(InputError, match=r"manifest\.json: it is not in .*here, the folder of artifacts"):
        carry.parcel(sent)


@pytest.mark.parametrize(
    ("parcel", "name"), [(NAME, "../x"), (NAME, "/tmp/x"), (NAME, "a/../../x"), (NAME, ""), ("..", "x"), ("a/b", "x")]
)
def test_nothing_is_written_beside_the_cache(parcel: str, name: str, tmp_path: Path) -> None:
    for attempt in (
        lambda: carry.write(parcel, name, 0, b"x"),
        lambda: carry.arrived(parcel, name, "0" * 64),
        lambda: carry.look({"name": parcel, "folder": "a/b", "root": "/nowhere", "files": {name: {}}}),
    ):
        with pytest.raises(InputError, match="no file of a parcel"):
            attempt()
    assert not list(tmp_path.rglob("*x"))


def test_only_what_is_new_travels_again(sent: Artifact, tmp_path: Path) -> None:
    parcel = carry.parcel(sent)
    for name in parcel.files:
        deliver(parcel, name)
    (sent.path / "reference" / "b.npz").write_bytes(b"other logits")
    assert carry.look(elsewhere(carry.parcel(sent), tmp_path))["lacking"] == ["toy/fp32/reference/b.npz"]


def test_a_changed_folder_at_the_same_place_is_not_used(sent: Artifact) -> None:
    parcel = carry.parcel(sent)
    content = bytearray(sent.onnx.read_bytes())
    content[len(content) // 2] ^= 1
    sent.onnx.write_bytes(content)
    assert len(carry.look(typed.table(parcel))["lacking"]) == len(parcel.files)


def test_what_was_damaged_on_its_way_does_not_arrive(tmp_path: Path) -> None:
    assert "its sha256 differs" in str(carry.arrived(NAME, "toy/fp32/x", "0" * 64))
    carry.write(NAME, "toy/fp32/x", 0, b"other")
    assert "its sha256 differs" in str(carry.arrived(NAME, "toy/fp32/x", "0" * 64))
    assert not (tmp_path / "cache" / NAME / "toy/fp32/x").exists()


def test_a_lost_answer_is_asked_again(sent: Artifact) -> None:
    parcel = carry.parcel(sent)
    name = next(iter(parcel.files))
    assert deliver(parcel, name) is None
    assert carry.arrived(parcel.name, name, parcel.files[name].sha256) is None


def test_a_file_that_is_cut_off_is_sent_again(tmp_path: Path) -> None:
    target = tmp_path / "cache" / NAME / "a/b/x"
    target.parent.mkdir(parents=True)
    target.write_bytes(b"half")
    parcel = Parcel(NAME, "a/b", str(tmp_path), {"a/b/x": FileEntry(8, "0" * 64)})
    assert carry.look(elsewhere(parcel, tmp_path))["lacking"] == ["a/b/x"]


def test_an_empty_file_has_a_piece(tmp_path: Path) -> None:
    (tmp_path / "x").touch()
    assert list(carry.pieces(tmp_path / "x")) == [(0, b"")]
