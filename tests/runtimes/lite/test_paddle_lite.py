"""Paddle Lite: its program is the model, and the process in another Python answers, or says why it does not.

The real one runs where VITBENCH_PADDLE_LITE_PYTHON names a Python that has it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from convert.artifact import Artifact
from convert.images import inputs
from runtimes import registry
from runtimes.base import Options, UnavailableError
from runtimes.lite import interpreter, program
from runtimes.probe import significand
from validate.parity import reference

# Adds up the values of each image, in place of a model.
FAKE = """
class _Value:
    def from_numpy(self, array):
        assert array.dtype == "float32"
        self.array = array
    def numpy(self):
        return self.array.reshape(len(self.array), -1).sum(1, keepdims=True)
class CxxConfig:
    def __getattr__(self, name):
        return lambda value: setattr(self, "said_" + name, value)
class PrecisionType: FP32 = 1
class TargetType: X86 = Host = 1
def Place(target, precision): return 1
class _Predictor:
    def __init__(self): self.value = _Value()
    def get_input(self, i): return self.value
    def get_output(self, i): return self.value
    def get_output_names(self): return ["y"]
    def run(self):
        print("chatter")
        if self.value.array.max() > 100: raise RuntimeError("too bright")
        if self.value.array.min() < -100: import os; os._exit(3)
def create_paddle_predictor(config): return _Predictor()
"""

RUN = """
import numpy as np
from pathlib import Path
from validate.parity.reference import plain_predictor
predictor = plain_predictor(Path({program!r}), Path({params!r}), 1)
predictor.get_input_handle(predictor.get_input_names()[0]).copy_from_cpu(np.load({folder!r} + "/images.npy"))
predictor.run()
for i, name in enumerate(predictor.get_output_names()):
    np.save({folder!r} + f"/output{{i}}.npy", predictor.get_output_handle(name).copy_to_cpu())
"""


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[interpreter.Predictor]:
    (tmp_path / "paddlelite").mkdir()
    (tmp_path / "paddlelite" / "__init__.py").touch()
    (tmp_path / "paddlelite" / "lite.py").write_text(FAKE)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv(interpreter.VARIABLE, sys.executable)
    predictor = interpreter.Predictor(Path("a"), Path("b"), 1)
    yield predictor
    predictor.close()


def test_the_other_python_answers(fake: interpreter.Predictor) -> None:
    images = np.arange(24, dtype=np.float32).reshape(2, 3, 2, 2)
    for shown in (images, images[:1]):
        (found,) = fake.run(shown)
        assert found.tolist() == shown.reshape(len(shown), -1).sum(1, keepdims=True).tolist()


@pytest.mark.parametrize(("value", "said"), [(101, "RuntimeError: too bright"), (-101, "ended with status 3: chatter")])
def test_what_fails_there_is_said_here(fake: interpreter.Predictor, value: int, said: str) -> None:
    with pytest.raises(UnavailableError, match=said):
        fake.run(np.full((1, 3, 2, 2), value, np.float32))


@pytest.mark.parametrize(
    ("named", "said"),
    [
        (None, "names no Python"),
        ("/nowhere/python3.7", "cannot be run"),
        (sys.executable, "has not both paddlelite and numpy"),
    ],
)
def test_why_it_is_not_available(monkeypatch: pytest.MonkeyPatch, named: str | None, said: str) -> None:
    interpreter.version.cache_clear()
    monkeypatch.delenv(interpreter.VARIABLE, raising=False)
    if named:
        monkeypatch.setenv(interpreter.VARIABLE, named)
    assert said in str(registry.get("paddle-lite").unavailable())


def test_a_python_without_numpy_is_not_available(fake: interpreter.Predictor, tmp_path: Path) -> None:
    """Paddle Lite's wheel does not declare that it needs it."""
    (tmp_path / "pkg_resources.py").write_text(
        "class get_distribution:\n    version = '2.12'\n    def __init__(*_): pass"
    )
    interpreter.version.cache_clear()
    assert registry.get("paddle-lite").unavailable() is None
    (tmp_path / "numpy.py").write_text("raise ModuleNotFoundError(\"No module named 'numpy'\")")
    interpreter.version.cache_clear()
    assert "has not both paddlelite and numpy: ModuleNotFoundError" in str(registry.get("paddle-lite").unavailable())


def test_the_old_program_is_the_model(toy_artifact: Artifact, tmp_path: Path) -> None:
    shown = inputs.seeded(toy_artifact.preprocessing, 3)
    place = program.written(toy_artifact, Options(cache=str(tmp_path / "cache")))
    truth = reference.obtain(toy_artifact, shown)
    for file, images in ((program.PROGRAM, shown.images), (program.PROBE, significand.ROWS)):
        np.save(tmp_path / "images.npy", images)
        params = (place / file).with_suffix(".pdiparams")
        places = {"program": place / file, "params": params, "folder": tmp_path}
        code = RUN.format(**{name: str(path) for name, path in places.items()})
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
        found = [np.load(file) for file in sorted(tmp_path.glob("output*.npy"))]
        if file == program.PROGRAM:
            assert np.abs(found[0] - truth.logits).max() <= 8 * max(truth.paddle_max_abs, 1e-6)
        else:
            assert set(significand.bits(*found).values()) == {23}


@pytest.mark.skipif(interpreter.VARIABLE not in os.environ, reason=f"{interpreter.VARIABLE} names no Python")
def test_the_real_one(toy_artifact: Artifact, tmp_path: Path) -> None:
    images = inputs.seeded(toy_artifact.preprocessing, 3).images
    runtime = registry.get("paddle-lite")
    with runtime.open(toy_artifact, Options(cache=str(tmp_path))) as session:
        alone = np.concatenate([session.run(images[i : i + 1]) for i in range(3)])
        assert np.abs(session.run(images) - alone).max() < 1e-5
        assert session.effective().precision == "fp32"
