"""Folders for servers: what is in them, that a server is held against their proof, and a Triton that loads one again.

The real one is that of nvidia-pytriton in an environment of its own, whose Python VITBENCH_TRITON_PYTHON names; it has
ONNX Runtime too, and runs it in Python in place of the backend in C++ (runtimes/served/stand_in.py).
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from convert import artifact as artifacts
from convert.artifact import Artifact
from convert.common.errors import InputError
from runtimes import registry
from runtimes.base import Options, UnavailableError
from runtimes.served import start
from runtimes.served.address import parse
from runtimes.served.client import Client
from tests.runtimes.served.fake_server import Answer, FakeServer, serving
from tests.runtimes.served.pbtxt import parsed
from validate.check.__main__ import main as check
from validate.ship import proof
from validate.ship.__main__ import main as ship


@pytest.fixture(scope="module")
def shipped(toy_artifact: Artifact, toy_toml: Path, toy_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders of the toy by target."""
    folder = tmp_path_factory.mktemp("shipped")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(start, "find", _none)
        result = exported(toy_toml, toy_root, folder, "triton,ovms")
    assert result.exit_code == 0, result.output
    assert "triton: not loaded again: no Triton is here" in result.output
    return folder / "toy" / "fp32"


def _none(_: Path) -> start.Installed:
    raise InputError("no Triton is here")


def exported(toml: Path, root: Path, out: Path, targets: str, *options: str) -> Result:
    words = ["--model", toml, "--artifacts", root, "--to", targets, "--option", "triton.max_batch=2", "--out", out]
    return CliRunner().invoke(ship, [*map(str, words), *options])


def held(folder: Path, url: str) -> Result:
    return CliRunner().invoke(check, [str(folder), "--option", f"served.url={url}"])


def test_a_repository_for_triton(shipped: Path, toy_artifact: Artifact) -> None:
    model = shipped / "triton" / "models" / "toy"
    found = parsed((model / "config.pbtxt").read_text())
    assert (found["name"], found["backend"], found["max_batch_size"]) == ("toy", "onnxruntime", 2)
    assert (model / "1" / "model.onnx").read_bytes() == toy_artifact.onnx.read_bytes()
    text = (shipped / "triton" / "README.md").read_text()
    assert "vitbench check . --option served.url=http://127.0.0.1:8000" in text
    assert "These files were not loaded again" in text
    assert proof.read(artifacts.load(shipped / "triton")).said.batches == (1, 2), "no more than Triton takes"
    assert proof.read(artifacts.load(shipped / "ovms")).said.batches == (1, 4)


def test_a_repository_for_openvino_model_server(shipped: Path, toy_artifact: Artifact) -> None:
    models = shipped / "ovms" / "models"
    (found,) = json.loads((models / "config.json").read_text())["model_config_list"]
    assert found["config"]["name"] == "toy"
    assert found["config"]["plugin_config"]["INFERENCE_PRECISION_HINT"] == "f32"
    version = models / found["config"]["base_path"] / "1"
    assert (version / "model.onnx").read_bytes() == toy_artifact.onnx.read_bytes()


def test_a_plan_for_tensorrt_is_made_where_it_runs(toy_toml: Path, toy_root: Path, tmp_path: Path) -> None:
    words = ["--model", toy_toml, "--artifacts", toy_root, "--to", "triton", "--out", tmp_path]
    result = CliRunner().invoke(ship, [*map(str, words), "--option", "triton.backend=tensorrt"])
    assert result.exit_code == 0, result.output
    folder = tmp_path / "toy" / "fp32" / "triton"
    assert "--optShapes=x:4x3x32x32 --maxShapes=x:16x3x32x32" in (folder / "README.md").read_text()
    assert [one.name for one in sorted((folder / "models" / "toy").iterdir())] == ["config.pbtxt", "model.onnx"]


def test_a_server_is_held_against_the_proof(shipped: Path, toy_artifact: Artifact) -> None:
    with serving(FakeServer(toy_artifact)) as server:
        result = held(shipped / "triton", server.url)
        assert result.exit_code == 0, result.output

        def off(answer: Answer) -> None:
            answer.tensor = (np.frombuffer(answer.tensor, np.float32) * np.float32(1.01)).tobytes()

        server.change = off
        result = held(shipped / "ovms", server.url)
    assert result.exit_code == 1
    assert "served: logits differ by up to" in result.output


@pytest.fixture
def fake_triton(toy_artifact: Artifact, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeServer]:
    """A Triton that export can start, with one backend."""
    with serving(FakeServer(toy_artifact)) as server:
        found = start.Installed(("triton",), "a Triton in /opt/triton", ("onnxruntime",))
        monkeypatch.setattr(start, "find", lambda folder: found)
        monkeypatch.setattr(start, "free_port", lambda: int(server.url.rpartition(":")[2]))
        monkeypatch.setattr(start, "running", lambda *_: nullcontext())
        yield server


def test_a_triton_that_is_here_loads_the_folder_again(
    fake_triton: FakeServer, toy_toml: Path, toy_root: Path, tmp_path: Path
) -> None:
    result = exported(toy_toml, toy_root, tmp_path, "triton")
    assert result.exit_code == 0, result.output
    assert fake_triton.answered
    folder = tmp_path / "toy" / "fp32" / "triton"
    assert [one.loaded for one in proof.read(artifacts.load(folder)).said.shown] == ["artifact", "folder"]
    assert "these files on served by a Triton in triton, " in (folder / "README.md").read_text()


def test_a_folder_that_triton_does_not_load_or_computes_otherwise_is_not_written(
    fake_triton: FakeServer, toy_toml: Path, toy_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def off(answer: Answer) -> None:
        answer.tensor = (np.frombuffer(answer.tensor, np.float32) * np.float32(1.01)).tobytes()

    def ends(*_: object) -> AbstractContextManager[None]:
        raise InputError("Triton ended with status 1: no such field")

    fake_triton.change = off
    result = exported(toy_toml, toy_root, tmp_path, "triton")
    assert (result.exit_code, "logits differ by up to" in result.output) == (1, True)
    monkeypatch.setattr(start, "running", ends)
    result = exported(toy_toml, toy_root, tmp_path, "triton")
    assert (result.exit_code, "does not load it: Triton ended with status 1" in result.output) == (1, True)
    assert not list(tmp_path.rglob("*.onnx"))


@pytest.mark.parametrize(
    ("backend", "said"),
    [("openvino", "a Triton in /opt/triton has no backend openvino"), ("tensorrt", "its plan for TensorRT is made")],
)
def test_a_backend_that_is_not_here_is_not_tried(
    fake_triton: FakeServer, toy_toml: Path, toy_root: Path, tmp_path: Path, backend: str, said: str
) -> None:
    result = exported(toy_toml, toy_root, tmp_path, "triton", "--option", f"triton.backend={backend}")
    assert result.exit_code == 0, result.output
    assert f"triton: not loaded again: {said}" in result.output
    assert not fake_triton.answered


def test_what_cannot_be_started_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.delenv(start.PYTHON, raising=False)
    with pytest.raises(InputError, match="no Triton is here: put `tritonserver` on the PATH; or make an environment"):
        start.find(tmp_path)
    monkeypatch.setenv(start.PYTHON, str(tmp_path / "python"))
    with pytest.raises(InputError, match="it has not both nvidia-pytriton and onnxruntime"):
        start.find(tmp_path)


@pytest.fixture
def triton(shipped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a real Triton with the shipped repository as it is."""
    if not os.environ.get(start.PYTHON):
        pytest.skip(f"no real Triton: {start.PYTHON} names no Python that has nvidia-pytriton and onnxruntime")
    monkeypatch.setattr(shutil, "which", lambda name: None)
    (tmp_path / "backends").mkdir()
    port = start.free_port()
    installed = start.find(tmp_path / "backends")
    with start.running(installed, shipped / "triton" / "models", port, tmp_path / "log"):
        yield f"http://{start.LOOPBACK}:{port}"


def test_a_real_triton_is_started_by_export(
    toy_toml: Path, toy_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not os.environ.get(start.PYTHON):
        pytest.skip(f"no real Triton: {start.PYTHON} names no Python that has nvidia-pytriton and onnxruntime")
    monkeypatch.setattr(shutil, "which", lambda name: None)
    result = exported(toy_toml, toy_root, tmp_path, "triton")
    assert result.exit_code == 0, result.output
    text = (tmp_path / "toy" / "fp32" / "triton" / "README.md").read_text()
    assert "these files on served by the server of nvidia-pytriton, with ONNX Runtime in Python" in text


def test_a_real_triton_loads_the_repository_and_refuses_what_does_not_fit(
    shipped: Path, triton: str, toy_artifact: Artifact
) -> None:
    result = held(shipped / "triton", triton)
    assert result.exit_code == 0, result.output
    client = Client(parse(triton), 20.0)
    for shape, batch in (((1, 3, 16, 16), 1), ((3, 3, 32, 32), 3)):
        with pytest.raises(UnavailableError, match=rf"refuses an inference of toy at batch {batch} \(400\): .*toy"):
            client.infer("toy", "x", np.zeros(shape, np.float32), "logits")
    with pytest.raises(UnavailableError, match="takes batches of 2 at most"):
        registry.get("served").open(toy_artifact, Options(batches=(3,), extra={"url": triton}))
    with registry.get("served").open(toy_artifact, Options(extra={"url": triton})) as session:
        image = np.ones((1, 3, 32, 32), np.float32)
        session.run(image)
        before = session.counts()
        for _ in range(5):
            session.run(image)
        after = session.counts()
        assert before
        assert after
        times = after.times_since(before)
        assert times
        assert 0 < (times.compute_ms or 0) <= (times.total_ms or 0)
        assert after.foreign_since(before) == 0
        details = session.effective().details
    assert (details["server"], details["backend"], details["instances"]) == ("triton", "onnxruntime", {"KIND_CPU": 1})
    assert details["processes_seen"] >= 2, "the server, and the process of its backend"
