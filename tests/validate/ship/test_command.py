"""The toy shipped for each way out that needs nothing else, and held against its proof; also where no Paddle is."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from shutil import copytree

import numpy as np
import onnx
import pytest
from click.testing import CliRunner, Result
from onnx import numpy_helper

from convert import artifact as artifacts
from convert.artifact import Artifact
from convert.build import Request, obtain
from convert.common.errors import CheckFailed, InputError
from convert.images import inputs
from convert.model_options import ModelOptions
from runtimes import registry
from runtimes.options import Selection
from validate.check.__main__ import main as check
from validate.parity import reference, run
from validate.parity.inputs import InputOptions
from validate.parity.run import ParityRequest
from validate.ship import proof
from validate.ship.__main__ import main as ship
from validate.ship.folder import Cargo, make
from validate.ship.targets.onnx import OnnxTarget

TARGETS = ["onnx", "openvino", "mnn"]


@pytest.fixture(scope="module")
def shipped(toy_artifact: Artifact, toy_toml: Path, toy_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders of the toy by target, with class names."""
    folder = tmp_path_factory.mktemp("shipped")
    labels = folder / "labels.txt"
    labels.write_text("\n".join(f"class {i}" for i in range(7)))
    words = ["--model", toy_toml, "--artifacts", toy_root, "--to", ",".join(TARGETS), "--labels", labels]
    result = CliRunner().invoke(ship, [*map(str, words), "--batch", "2", "--out", str(folder)])
    assert result.exit_code == 0, result.output
    return folder / "toy" / "fp32"


@pytest.fixture
def copied(shipped: Path, tmp_path: Path) -> Path:
    """The folder for ONNX, to be changed."""
    return Path(copytree(shipped / "onnx", tmp_path / "onnx"))


def held(folder: Path, *words: str) -> Result:
    return CliRunner().invoke(check, [str(folder), *words])


def change_a_weight(folder: Path, factor: float = 1.01) -> None:
    model = onnx.load(folder / "model.onnx")
    weight = max(model.graph.initializer, key=lambda one: len(one.raw_data))
    weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight) * np.float32(factor), weight.name))
    onnx.save(model, folder / "model.onnx")


def mend_the_hashes(folder: Path) -> None:
    manifest = artifacts.load(folder).manifest
    (folder / artifacts.MANIFEST).unlink()
    artifacts.save(folder, replace(manifest, files=artifacts.entries(folder)))


@pytest.mark.parametrize("target", TARGETS)
def test_a_folder_says_what_it_is_and_nothing_of_this_machine(shipped: Path, toy_toml: Path, target: str) -> None:
    found, carried = artifacts.load(shipped / target), proof.read(artifacts.load(shipped / target))
    assert (found.form, found.model, found.damage()) == (target, "toy", None)
    assert [one.loaded for one in carried.said.shown] == ["artifact", "folder"]
    assert carried.said.batches == (1, 2)
    assert len((shipped / target / "labels.txt").read_text().splitlines()) == 7
    readme = (shipped / target / "README.md").read_text()
    assert "seeded:1 weights are drawn, not trained" in readme
    for file in ("manifest.json", "README.md", "proof/proof.json"):
        assert str(toy_toml.parent) not in (shipped / target / file).read_text()


@pytest.mark.parametrize("target", TARGETS)
def test_the_code_in_a_readme_gives_the_logits_of_the_proof(shipped: Path, target: str) -> None:
    carried = proof.read(artifacts.load(shipped / target))
    (code,) = re.findall(r"```python\n(.*?)```", (shipped / target / "README.md").read_text(), re.DOTALL)
    before = Path.cwd()
    os.chdir(shipped / target)
    try:
        names = {"images": carried.inputs.images}
        exec(code, names)
    finally:
        os.chdir(before)
    assert np.abs(names["logits"] - carried.reference.logits).max() < float(carried.said.tolerance.max_abs or 0)


def test_check_needs_no_paddle(shipped: Path) -> None:
    code = f"""
import sys
class Forbidden:
    def find_spec(self, name, path=None, target=None):
        if name.startswith("paddle"):
            raise AssertionError(name)
sys.meta_path.insert(0, Forbidden())
from validate.check.__main__ import main
main([{str(shipped / "onnx")!r}, "--batch", "1"])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert "passed" in done.stderr


def test_a_weight_that_changed_by_a_hundredth_is_found(copied: Path) -> None:
    change_a_weight(copied)
    result = held(copied)
    assert result.exit_code == 1
    assert "model.onnx" in result.stderr
    mend_the_hashes(copied)
    result = held(copied)
    assert result.exit_code == 1
    assert "logits differ by up to" in result.stderr
    assert "8 times is allowed" in result.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [(["--runtime", "paddle"], "paddle does not load a folder for onnx"), (["--precision", "fp16"], "holds fp32")],
)
def test_check_refuses_what_the_folder_is_not_for(shipped: Path, words: list[str], said: str) -> None:
    result = held(shipped / "onnx", *words)
    assert result.exit_code == 2
    assert said in result.stderr


def test_check_refuses_a_proof_without_hashes(copied: Path, toy_artifact: Artifact) -> None:
    manifest = artifacts.load(copied).manifest
    files = {name: entry for name, entry in manifest.files.items() if name != "proof/reference.npy"}
    artifacts.save(copied, replace(manifest, files=files))
    assert "no sha256 of reference.npy" in held(copied).stderr
    assert "no proof of its own" in held(toy_artifact.path).stderr


def test_a_folder_is_a_model_for_the_other_commands(shipped: Path, toy_root: Path, tmp_path: Path) -> None:
    found, reused = obtain(Request(str(shipped / "onnx"), root=toy_root), print)
    assert (found.path, reused) == (shipped / "onnx", True)
    with pytest.raises(InputError, match="leave --weights out"):
        obtain(Request(str(shipped / "onnx"), "seeded", root=toy_root), print)
    selection = Selection([registry.get("ort-cpu")], True)
    request = ParityRequest(str(shipped / "onnx"), ModelOptions(), found, "fp32", selection, (1,))
    (record,) = run.run(request, tmp_path)
    assert record.passed
    assert "--weights" not in record.command
    with pytest.raises(InputError, match="leave --inputs out"):
        run.images(replace(request, images=InputOptions(limit=2)))


@pytest.fixture
def cargo(toy_artifact: Artifact, toy_toml: Path) -> Cargo:
    shown = inputs.seeded(toy_artifact.preprocessing, 2)
    truth = reference.obtain(toy_artifact, shown)
    return Cargo(str(toy_toml), ModelOptions(), toy_artifact, shown, truth, (1,), True, None)


def test_nothing_is_written_where_parity_fails(cargo: Cargo, tmp_path: Path) -> None:
    class Corrupting(OnnxTarget):
        def write(self, artifact: Artifact, folder: Path, settings: object) -> None:
            super().write(artifact, folder, {})
            change_a_weight(folder)

    with pytest.raises(CheckFailed, match="onnx: what was written"):
        make(cargo, Corrupting(), {}, tmp_path)
    other = replace(cargo.truth, logits=cargo.truth.logits * 1.01, paddle=cargo.truth.paddle * np.float32(1.01))
    wrong = replace(cargo, truth=other, proven={})
    with pytest.raises(CheckFailed, match="parity of toy fp32 on ort-cpu"):
        make(wrong, OnnxTarget(), {}, tmp_path)
    assert not list(tmp_path.rglob("*.onnx"))


def test_only_its_own_folder_is_replaced(copied: Path, cargo: Cargo, tmp_path: Path) -> None:
    place = tmp_path / "toy" / "fp32" / "onnx"
    place.parent.mkdir(parents=True)
    copied.rename(place)
    (place / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match=r"notes\.txt"):
        make(cargo, OnnxTarget(), {}, tmp_path)
    (place / "notes.txt").unlink()
    mine = artifacts.load(place)
    artifacts.save(place, replace(mine.manifest, model="another"))
    with pytest.raises(InputError, match="something else than toy"):
        make(cargo, OnnxTarget(), {}, tmp_path)
