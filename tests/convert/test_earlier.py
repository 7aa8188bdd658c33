"""Without `--weights` an artifact keeps its weights, and a second model of its name does not take its place."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
from pathlib import Path

import pytest
import safetensors.numpy
from click.testing import CliRunner

from convert import __main__ as command
from convert import artifact as artifacts
from convert import earlier
from convert.artifact import Artifact
from convert.build import Request, obtain
from convert.common.errors import InputError
from convert.families.base import load_spec
from convert.families.vit import VisionTransformerSpec
from convert.manifest import RequestedWeights, from_table
from convert.weights import resolve
from convert.zoo import MODELS
from tests.conftest import TOY_TOML
from tests.convert.weights.checkpoint_files import drawn, transposed

DATA = Path(__file__).parent / "data"


@dataclasses.dataclass(frozen=True)
class Place:
    """A user's folder: toy.toml, its weights, the artifacts, and what was said."""

    path: Path
    said: list[str]

    @property
    def toml(self) -> Path:
        return self.path / "toy.toml"

    @property
    def weights(self) -> Path:
        return self.path / "trained.safetensors"

    @property
    def fp32(self) -> Path:
        return self.path / "artifacts" / "toy" / "fp32"

    def train(self, seed: int) -> None:
        spec = load_spec(self.toml)
        assert isinstance(spec, VisionTransformerSpec)
        safetensors.numpy.save_file(transposed(drawn(spec, seed)), self.weights)

    def obtain(self, weights: Path | str | None = None, precision: str = "fp32") -> tuple[Artifact, bool]:
        self.said.clear()
        given = None if weights is None else str(weights)
        root = self.path / "artifacts"
        return obtain(Request(str(self.toml), given, precision, root=root), self.said.append)


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Place:
    place = Place(tmp_path_factory.mktemp("user"), [])
    place.toml.write_text(TOY_TOML)
    place.train(5)
    place.obtain(place.weights)
    return place


@pytest.fixture
def place(converted: Place, tmp_path: Path) -> Place:
    """A copy of it, which a test may change. Its manifests name the copied files."""
    folder = tmp_path / "user"
    shutil.copytree(converted.path, folder)
    manifest = folder / "artifacts" / "toy" / "fp32" / "manifest.json"
    table = json.loads(manifest.read_text().replace(str(converted.path), str(folder)))
    artifacts.save(manifest.parent, from_table({**table, "checksum": None}))
    return Place(folder, [])


def weights_of(artifact: Artifact) -> tuple[str, str]:
    return artifact.manifest.weights.kind, artifact.manifest.weights.source


def test_a_damaged_artifact_is_made_again_of_the_file_that_it_was_made_of(place: Place) -> None:
    before = artifacts.load(place.fp32).sha256
    (place.fp32 / "paddle" / "inference.pdiparams").unlink()
    artifact, reused = place.obtain()
    assert (reused, artifact.sha256, weights_of(artifact)) == (False, before, ("file", str(place.weights)))
    assert any(line.endswith(f"of the weights that it had, {place.weights}") for line in place.said)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize(("change", "words"), [("gone", "is not there any more"), ("trained", "has changed since")])
def test_other_weights_never_take_the_place_of_a_users(place: Place, change: str, words: str, precision: str) -> None:
    (place.fp32 / "model.onnx").write_bytes(b"")
    place.weights.unlink()
    if change == "trained":
        place.train(6)
    with pytest.raises(InputError, match=f"{re.escape(str(place.weights))}, but that file {words}.*name weights"):
        place.obtain(None, precision)
    assert weights_of(artifacts.load(place.fp32)) == ("file", str(place.weights))


@pytest.mark.parametrize("left", ["a manifest cut short", "one that was altered", "no manifest"])
def test_an_artifact_that_does_not_tell_its_weights_is_not_overwritten(place: Place, left: str) -> None:
    manifest = place.fp32 / "manifest.json"
    if left == "no manifest":
        manifest.unlink()
    elif left == "one that was altered":
        manifest.write_text(manifest.read_text().replace('"resize_short": 36', '"resize_short": 48'))
    else:
        manifest.write_text(manifest.read_text()[:100])
    for precision in ("fp32", "int8"):
        with pytest.raises(InputError, match=r"manifest.json.*whose weights are there is not known.*--weights"):
            place.obtain(None, precision)
    assert (place.fp32 / "model.onnx").is_file()
    place.weights.unlink()
    assert weights_of(place.obtain("seeded:2")[0]) == ("seeded", "seeded:2")


def test_a_lower_precision_tells_the_weights_where_fp32_is_gone(place: Place) -> None:
    lower = place.obtain(None, "bf16")[0]
    assert weights_of(lower) == ("file", str(place.weights))
    shutil.rmtree(place.fp32)
    assert place.obtain()[1] is False
    assert weights_of(artifacts.load(place.fp32)) == ("file", str(place.weights))
    assert place.obtain(None, "bf16")[1]
    shutil.rmtree(place.fp32)
    place.weights.unlink()
    with pytest.raises(InputError, match=r"bf16: to be made again of its weights .* is not there any more"):
        place.obtain()
    assert not place.fp32.exists()


def test_lower_precisions_of_different_weights_do_not_tell(place: Place) -> None:
    for precision, source in (("fp16", "seeded:3"), ("int8", str(place.weights))):
        shutil.copytree(place.fp32, place.fp32.parent / precision)
        found = artifacts.load(place.fp32.parent / precision)
        weights = RequestedWeights(kind="file", source=source, sha256=source, requested=source)
        artifacts.save(found.path, dataclasses.replace(found.manifest, weights=weights, precision=precision))
    assert place.obtain()[1]
    shutil.rmtree(place.fp32)
    with pytest.raises(InputError, match=r"of different weights, seeded:3 \(fp16\), .* name --weights"):
        place.obtain()


def test_another_file_of_the_same_name_is_said_and_not_taken(place: Place) -> None:
    before = artifacts.load(place.fp32).sha256
    place.train(7)
    artifact, reused = place.obtain()
    assert (reused, artifact.sha256) == (True, before)
    assert [line for line in place.said if str(place.weights) in line and "has changed since" in line] == place.said
    changed, reused = place.obtain(place.weights)
    assert not reused
    assert changed.sha256 != before
    place.obtain()
    assert place.said == []


def test_an_edited_spec_keeps_the_weights_and_says_what_changed(place: Place) -> None:
    place.toml.write_text(place.toml.read_text().replace("epsilon = 1e-6", "epsilon = 1e-5"))
    artifact, reused = place.obtain()
    assert not reused
    assert weights_of(artifact) == ("file", str(place.weights))
    assert any("epsilon was 1e-06, is 1e-05" in line for line in place.said)


def test_a_relative_file_is_found_from_elsewhere(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place.path)
    place.train(8)
    artifact, _ = place.obtain(place.weights.name)
    assert artifact.manifest.weights.requested == place.weights.name
    assert artifact.manifest.weights.source == str(place.weights)
    assert artifact.manifest.command.endswith(f"--weights {place.weights}")
    assert artifact.weights_option() == str(place.weights)
    assert artifact.weights_option("trained.safetensors") == "trained.safetensors"
    elsewhere = place.path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    (place.fp32 / "model.onnx").unlink()
    assert place.obtain()[0].sha256 == artifact.sha256


def test_pretrained_weights_are_not_exchanged_for_drawn_ones(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither where they cannot be had again, nor where the file behind the address is another one."""
    found = artifacts.load(place.fp32)
    weights = RequestedWeights(kind="pretrained", source="http://there/toy", sha256="0" * 64, requested="auto")
    artifacts.save(found.path, dataclasses.replace(found.manifest, weights=weights))
    (place.fp32 / "model.onnx").unlink()
    with pytest.raises(
        InputError, match="its weights http://there/toy, but --weights pretrained: PaddleClas publishes"
    ):
        place.obtain()
    monkeypatch.setattr(earlier, "resolve", lambda _weights, spec, _key: resolve.resolve("seeded:1", spec))
    with pytest.raises(InputError, match="what is published is another file by now"):
        place.obtain()


def test_weights_of_an_earlier_auto_stay_where_they_are_made_again(place: Place) -> None:
    """With the note that says why they are drawn."""
    drawn_first, _ = place.obtain("auto")
    (place.fp32 / "model.onnx").unlink()
    artifact, reused = place.obtain()
    assert not reused
    assert artifact.manifest.weights == drawn_first.manifest.weights
    assert artifact.manifest.notes == drawn_first.manifest.notes


def test_convert_has_the_default_of_all_commands(place: Place) -> None:
    def convert(*more: str) -> dict[str, object]:
        given = [str(place.toml), "--out", str(place.path / "artifacts"), "--json", *more]
        result = CliRunner().invoke(command.main, given, catch_exceptions=False)
        table: dict[str, object] = json.loads(result.stdout)
        return table

    assert place.obtain(None)[1]
    for precision in ("fp32", "bf16"):
        weights = convert("--precision", precision)["weights"]
        assert isinstance(weights, dict)
        assert (weights["kind"], weights["source"]) == ("file", str(place.weights))
    convert("--opset", "18")
    assert convert()["opset"] == 18
    shown = CliRunner().invoke(command.main, ["--help"]).output
    assert "those of the artifact that is there, else auto" in " ".join(shown.split())


def test_another_spec_of_the_same_name_is_refused(place: Place) -> None:
    other = place.path / "other"
    other.mkdir()
    root = place.path / "artifacts"
    twin = other / "toy.toml"
    twin.write_text(TOY_TOML.replace("num_heads = 2", "num_heads = 4"))
    for precision in ("fp32", "fp16"):
        with pytest.raises(InputError, match=rf"holds another model of that name, {place.toml} with .*--name"):
            obtain(Request(str(twin), "seeded", precision, root=root), print)
    # The same architecture: its artifact is taken, and that is said; weights of its own make it another model.
    twin.write_text(TOY_TOML)
    said: list[str] = []
    assert obtain(Request(str(twin), root=root), said.append)[1]
    assert str(place.toml) in said[0]
    assert str(place.weights) in said[0]
    assert obtain(Request(str(twin), str(place.weights), root=root), print)[1]
    with pytest.raises(InputError, match="holds another model of that name"):
        obtain(Request(str(twin), "seeded", root=root), print)
    named, _ = obtain(Request(str(twin), "seeded", root=root, name="twin"), print)
    assert (named.model, named.path) == ("twin", root / "twin" / "fp32")
    assert "--name twin" in named.manifest.command
    assert artifacts.load(place.fp32).manifest.weights.source == str(place.weights)
    # Once the first one is gone it is the same model, moved.
    place.toml.unlink()
    assert not obtain(Request(str(twin), "seeded", root=root), print)[1]


def test_a_model_of_the_zoo_and_a_spec_of_its_name(toy_artifact: Artifact, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = toy_artifact.spec
    assert spec
    edited = dataclasses.replace(spec, class_num=3)
    monkeypatch.setitem(MODELS, "toy", spec)
    of_zoo = Artifact(toy_artifact.path, dataclasses.replace(toy_artifact.manifest, defined_in=None))
    for found, model, defined_in in ((of_zoo, edited, "/there/toy.toml"), (toy_artifact, edited, None)):
        with pytest.raises(InputError, match="another model of that name"):
            earlier.refuse_another(found, model, defined_in, None, False)
    assert earlier.refuse_another(of_zoo, spec, None, None, False) is None
    # An artifact of an earlier version does not say where its spec stood: an edit, as far as is known.
    monkeypatch.delitem(MODELS, "toy")
    assert earlier.refuse_another(of_zoo, edited, "/there/toy.toml", None, False) is None


def test_a_folder_exported_again_and_another_one_of_its_name(tmp_path: Path) -> None:
    root = tmp_path / "artifacts"
    said: list[str] = []
    for parent, data in (("a", "pir"), ("b", "pdmodel")):
        shutil.copytree(DATA / data, tmp_path / parent / "net" / "inference")
    one, two = (str(tmp_path / parent / "net" / "inference") for parent in "ab")
    first, _ = obtain(Request(one, root=root), print)
    assert (first.model, first.manifest.defined_in, first.manifest.weights.source) == ("net", one, one)
    for precision in ("fp32", "bf16"):
        with pytest.raises(InputError, match=f"holds another model of that name, {one}: .*--name"):
            obtain(Request(two, precision=precision, root=root), print)
    assert obtain(Request(two, root=root, name="second"), print)[0].model == "second"
    assert artifacts.load(root / "net" / "fp32").sha256 == first.sha256
    # A copy of the same files is the same model.
    shutil.copytree(one, tmp_path / "c" / "net" / "export")
    assert obtain(Request(str(tmp_path / "c" / "net" / "export"), root=root), print)[1]
    shutil.rmtree(one)
    shutil.copytree(two, one)
    again, reused = obtain(Request(os.path.relpath(one), root=root), said.append)
    assert (reused, again.model) == (False, "net")
    assert any(f"the files of {one} have changed" in line for line in said)
    (root / "net" / "fp32" / "manifest.json").write_text("[]")
    with pytest.raises(InputError, match="which model is there is not known"):
        obtain(Request(one, root=root), print)


def test_a_spec_and_a_folder_of_one_name(place: Place, tmp_path: Path) -> None:
    folder = tmp_path / "toy"
    shutil.copytree(DATA / "pir", folder)
    with pytest.raises(InputError, match=rf"holds another model of that name, {place.toml}"):
        obtain(Request(str(folder), root=place.path / "artifacts"), print)


def test_a_file_that_cannot_be_read_is_not_taken_for_the_same(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreadable(path: Path) -> str:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(earlier, "sha256_file", unreadable)
    (place.fp32 / "model.onnx").unlink()
    with pytest.raises(InputError, match=r"but that file cannot be read \(Permission denied\): put it back"):
        place.obtain()
