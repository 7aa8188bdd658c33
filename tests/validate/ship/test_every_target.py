"""Every way out of the trained ViT-Ti: its folder, its check where no Paddle is, and one with a weight changed.

Servers are ONNX Runtime behind a server of the tests, on the very file in the folder; a real Triton is in
test_servers.py. A target whose runtime is missing is exported all the same, and its check skips with the reason.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from shutil import copytree

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from convert import artifact as artifacts
from convert.artifact import ONNX_FILE, Artifact
from convert.build import Request, obtain
from convert.images import inputs
from convert.model_options import ModelOptions
from runtimes import registry as runtimes
from runtimes.base import Options
from tests.runtimes.served.fake_server import FakeServer, serving
from validate.parity import reference
from validate.ship import proof, registry
from validate.ship.folder import Cargo, Made, make

TARGETS = list(registry.found())
# Reads lines of JSON [folder, words of the sound one, changed folder, words of it], and answers each with the exit
# status and output of three checks: the sound folder, the changed one, and that with hashes that fit again.
CHECKS = """
import dataclasses, json, pathlib, sys
class Forbidden:
    def find_spec(self, name, path=None, target=None):
        if name.startswith("paddle"):
            raise AssertionError(name)
sys.meta_path.insert(0, Forbidden())
from click.testing import CliRunner
from convert import artifact as artifacts
from validate.check.__main__ import main
def check(folder, words):
    result = CliRunner().invoke(main, [folder, *words])
    return result.exit_code, result.output
for folder, words, changed, others in map(json.loads, sys.stdin):
    found = [check(folder, words), check(changed, others)]
    place = pathlib.Path(changed)
    manifest = artifacts.load(place).manifest
    (place / artifacts.MANIFEST).unlink()
    artifacts.save(place, dataclasses.replace(manifest, files=artifacts.entries(place)))
    print(json.dumps([*found, check(changed, others)]), file=sys.__stdout__, flush=True)
"""


@dataclass(frozen=True)
class Checked:
    """What export made, and exit status and output of the check of it, of a copy that has a weight changed by 1 %, and
    of that copy with mended hashes."""

    made: Made
    file: str
    sound: tuple[int, str]
    changed: tuple[int, str]
    mended: tuple[int, str]


@pytest.fixture(scope="module")
def tiny(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Artifact]:
    path = shared_data / "vit_tiny" / "vit_tiny_patch16_224"
    root = tmp_path_factory.mktemp("artifacts")
    return f"{path}.toml", obtain(Request(f"{path}.toml", f"{path}.safetensors", root=root), print)[0]


@pytest.fixture(scope="module")
def checked(tiny: tuple[str, Artifact], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Checked]:
    toml, artifact = tiny
    out = tmp_path_factory.mktemp("shipped")
    shown = inputs.seeded(artifact.preprocessing, 2)
    truth = reference.obtain(artifact, shown)
    cargo = Cargo(toml, ModelOptions(), artifact, shown, truth, (1,), False, None)
    made, asked, files = dict[str, Made](), [], []
    with ExitStack() as stack:
        for name, target in registry.found().items():
            settings = {key: one.default for key, one in target.settings.items()}
            made[name] = make(cargo, target, settings, out)
            folder, copy = made[name].path, out / f"changed-{name}"
            copytree(folder, copy, copy_function=os.link)
            files.append(change_a_weight(copy, artifact))
            asked.append([str(folder), words(stack, folder, artifact), str(copy), words(stack, copy, artifact)])
        lines = "\n".join(map(json.dumps, asked))
        done = subprocess.run(
            [sys.executable, "-c", CHECKS], input=lines, capture_output=True, text=True, timeout=600, check=False
        )
    assert done.returncode == 0, done.stderr
    answers = [[(status, said) for status, said in json.loads(line)] for line in done.stdout.splitlines()]
    return {
        name: Checked(one, file, *answer)
        for (name, one), file, answer in zip(made.items(), files, answers, strict=True)
    }


def change_a_weight(folder: Path, artifact: Artifact) -> str:
    """Scale a matrix of the first block by 1 %, in whichever file and orientation it lies; that file."""
    (found,) = (one for one in onnx.load(artifact.onnx).graph.initializer if one.name == "blocks.0.mlp.fc1.weight")
    matrix = numpy_helper.to_array(found)
    for file in sorted(one for one in folder.rglob("*") if one.is_file()):
        data = file.read_bytes()
        for lying in (matrix, matrix.T):
            old = np.ascontiguousarray(lying).tobytes()
            if data.count(old) == 1:
                new = np.ascontiguousarray(lying * np.float32(1.01)).tobytes()
                file.unlink()  # it is a link
                file.write_bytes(data.replace(old, new))
                return file.relative_to(folder).as_posix()
    raise AssertionError(f"{folder}: the matrix lies nowhere")


def words(stack: ExitStack, folder: Path, artifact: Artifact) -> list[str]:
    """Of `vitbench check`: for a repository the address of a server that has it."""
    files = sorted((folder / "models").rglob(ONNX_FILE))
    if not files:
        return []
    (file,) = files
    server = stack.enter_context(serving(FakeServer(Artifact(file.parent, artifact.manifest))))
    return ["--option", f"served.url={server.url}"]


def here(target: str) -> None:
    """Skip where the runtime that the check asks is missing."""
    runtime = runtimes.get(str(registry.get(target).runtime))
    if runtime.elsewhere is None and (reason := runtime.unavailable(Options())):
        pytest.skip(f"{runtime.name}: {reason}")


@pytest.mark.parametrize("target", TARGETS)
def test_a_folder_is_whole_and_says_what_was_proven(checked: dict[str, Checked], target: str) -> None:
    made = checked[target].made
    found = artifacts.load(made.path)
    text = (made.path / "README.md").read_text()
    assert (found.form, found.damage()) == (target, None)
    assert text.startswith(f"# vit_tiny_patch16_224, fp32, for {target}\n")
    shown = [one.loaded for one in proof.read(found).said.shown]
    assert shown == (["artifact", "folder"] if made.reloaded else ["artifact"])
    assert ("These files were not loaded again" in text) is (made.reloaded is None)


@pytest.mark.parametrize("target", TARGETS)
def test_it_holds_where_no_paddle_is(checked: dict[str, Checked], target: str) -> None:
    here(target)
    status, said = checked[target].sound
    assert (status, "passed" in said) == (0, True), said


@pytest.mark.parametrize("target", TARGETS)
def test_a_weight_that_changed_by_a_hundredth_is_found_without_its_hash(
    checked: dict[str, Checked], target: str
) -> None:
    status, said = checked[target].changed
    assert (status, checked[target].file in said) == (1, True), said
    here(target)
    status, said = checked[target].mended
    assert (status, "logits differ by up to" in said) == (1, True), said
