"""A runtime, a model and images whose every logit is known, for the tests of validate."""

from __future__ import annotations

import importlib
import json
from collections import deque
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result

from convert import artifact as artifacts
from convert import cli
from convert.artifact import Artifact
from convert.cli import Asked
from convert.common import worker
from convert.common.errors import InputError
from convert.common.worker import JobError
from convert.datasets import load
from convert.datasets.options import SetOptions
from convert.images import inputs
from convert.manifest import from_table
from convert.model_options import ModelOptions
from convert.models import find_all
from convert.preprocessing import SaidByModel, settled
from runtimes import registry
from runtimes.base import Effective, Options, Runtime, Session, TensorInfo
from runtimes.options import Selection
from validate.accuracy import __main__ as command
from validate.accuracy.evaluation import Evaluation, Settings, make
from validate.accuracy.feeding import passes
from validate.accuracy.feeding.passes import Listener, Measurement
from validate.parity import reference
from validate.parity.check import Case

CLASSES = 10
SIDE = 8

# From the number that an image shows to the logits that the runtime gives it.
Answer = Callable[[int], np.ndarray]


@dataclass
class FakeSession(Session):
    """Reads the number that each image shows (see `make_set`) and answers with what it was told to."""

    answer: Answer
    precision: str
    batches: list[int] = field(default_factory=list)
    inputs = (TensorInfo("x", "float32", ("batch", 3, SIDE, SIDE)),)
    outputs = (TensorInfo("logits", "float32", ("batch", CLASSES)),)

    def _run(self, images: np.ndarray) -> np.ndarray:
        assert images.dtype == np.float32
        assert images.flags.c_contiguous
        self.batches.append(len(images))
        shown = np.rint((images[:, 0].mean(axis=(1, 2)) + 1) * 127.5).astype(int)
        return np.stack([self.answer(min(int(number), CLASSES - 1)) for number in shown]).astype(np.float32)

    def effective(self) -> Effective:
        assert self.batches, "read before the first run"
        return Effective(self.precision, "CPU", {"read": "from the session"})


@pytest.fixture
def best() -> Callable[[int], np.ndarray]:
    """Logits whose order is: the class asked for, then the others from 0 on."""

    def logits(label: int) -> np.ndarray:
        values = -np.arange(CLASSES, dtype=np.float32)
        values[label] = 1
        return values

    return logits


def one_wrong(best: Answer, *numbers: int) -> Answer:
    """Names the number that it sees, but for these, which it takes for the next."""
    return lambda shown: best((shown + 1) % CLASSES if shown in numbers else shown)


@pytest.fixture
def identity(best: Answer) -> Answer:
    """The answer of a runtime that names the number that it sees."""
    return lambda shown: best(shown)


class WorkerHere:
    """A worker in this process, where a test can say what its runtime answers. The code that it runs is the same."""

    def __init__(self, target: str, payload: Any, environment: Mapping[str, str], descriptors: Sequence[int]) -> None:
        self._messages: deque[Any] = deque()
        answers = worker.answers(target, payload, iter(self._messages.popleft, None))
        self._answers = cast("Generator[dict[str, Any], None, None]", answers)

    def send(self, message: Any) -> None:
        self._messages.append(message)

    def receive(self, timeout_s: float) -> Any:
        found = next(self._answers)
        if "kind" in found:
            raise JobError(f"{found['kind']}: {found['said']}", **found)
        return found["answer"]

    def close(self) -> None:
        self._answers.close()


@pytest.fixture
def workers_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "Worker", WorkerHere)
    monkeypatch.setattr("traceback.print_exc", lambda: None)  # in a process of its own it goes to that one's log


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs run in this process: Paddle and ONNX Runtime are loaded once for all tests."""

    def call(target: str, payload: Any, timeout_s: float | None = None, environment: Any = None) -> Any:
        module, _, function = target.partition(":")
        try:
            return getattr(importlib.import_module(module), function)(json.loads(json.dumps(payload)))
        except Exception as error:
            raise worker.JobError(f"{type(error).__name__}: {error}") from error

    monkeypatch.setattr(worker, "call", call)


@pytest.fixture
def make_runtime() -> Callable[..., Runtime]:
    """A runtime with that name and these answers; `opened` collects the options of every session."""

    def make(
        name: str,
        answer: Answer,
        opened: list[Options] | None = None,
        package: str = "numpy",
        precisions: str = "fp32",
        computes_in: str | None = None,
    ) -> Runtime:
        def open_session(artifact: Artifact, options: Options) -> Session:
            if opened is not None:
                opened.append(options)
            return FakeSession(answer, computes_in or options.precision)

        return Runtime(name, package, (package,), tuple(precisions.split()), lambda: ["CPU"], open_session)

    return make


@pytest.fixture
def make_artifact(tmp_path: Path) -> Callable[..., Artifact]:
    def make(
        model: str = "fake",
        precision: str = "fp32",
        weights: dict[str, str] | None = None,
        preprocessing_option: str | None = None,
    ) -> Artifact:
        preprocessing = {
            "resize_short": SIDE,
            "crop": SIDE,
            "interpolation": "bilinear",
            "mean": [0.5, 0.5, 0.5],
            "std": [0.5, 0.5, 0.5],
        }
        table: dict[str, Any] = {
            "model": model,
            "precision": precision,
            "spec": {"name": model, "img_size": SIDE, "patch_size": SIDE, "preprocessing": preprocessing},
            "opset": 17,
            "macs": {"published": 1, "total": 1},
            "parameters": {"published": 1, "total": 1},
            "notes": [],
            "weights": {"kind": "file", "source": "own.npz", "requested": "own.npz", "sha256": "5" * 64, "note": ""}
            | (weights or {}),
            "inputs": [{"name": "x", "dtype": "float32", "shape": ["batch", 3, SIDE, SIDE]}],
            "outputs": [{"name": "logits", "dtype": "float32", "shape": ["batch", CLASSES]}],
            "preprocessing": preprocessing,
            "files": {"model.onnx": {"bytes": 1, "sha256": f"{model} {precision}"}},
        }
        path = tmp_path / "artifacts" / model / precision
        path.mkdir(parents=True, exist_ok=True)
        manifest = from_table(table)
        if preprocessing_option:
            said = SaidByModel(manifest.preprocessing, "spec fake.toml")
            manifest = settled(manifest, said, preprocessing_option, None)
        return artifacts.save(path, manifest)

    return make


@pytest.fixture
def make_set(tmp_path: Path) -> Callable[..., Path]:
    """A folder with a val_list.txt and images of one colour each, whose red is the number that they show.

    labels: one for each number; None in `numbers` makes a file that is no image.
    """

    def make(numbers: Iterable[int | None], labels: Iterable[int], name: str = "set") -> Path:
        folder = tmp_path / name
        folder.mkdir()
        lines = []
        for index, (number, label) in enumerate(zip(numbers, labels, strict=True)):
            file = folder / f"image {index}.png"
            if number is None:
                file.write_bytes(b"no image")
            else:
                assert cv2.imwrite(str(file), np.full((SIDE, SIDE, 3), (0, 0, number), dtype=np.uint8))
            lines.append(f"{file.name} {label}\n")
        (folder / "val_list.txt").write_text("".join(lines))
        return folder

    return make


@pytest.fixture
def run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, make_artifact: Callable[..., Artifact], workers_here: None
) -> Callable[..., Result]:
    """The command among these runtimes, in an empty folder; the artifacts are `make_artifact`'s."""
    monkeypatch.chdir(tmp_path)

    def invoke(*arguments: str, runtimes: Iterable[Runtime], weights: dict[str, str] | None = None) -> Result:
        by_name = {runtime.name: runtime for runtime in runtimes}

        def get(name: str) -> Runtime:
            if name not in by_name:
                raise InputError(f"no runtime {name}")
            return by_name[name]

        def artifacts(models: str, chosen: ModelOptions, precision: str, root: Path) -> dict[str, Artifact]:
            names = {model: Path(model).stem for model in find_all(models)}
            return {m: make_artifact(name, precision, weights, chosen.preprocessing) for m, name in names.items()}

        monkeypatch.setattr(registry, "names", lambda: list(by_name))
        monkeypatch.setattr(registry, "get", get)
        monkeypatch.setattr(
            registry,
            "examine",
            lambda chosen, settings=None: registry._examine({"names": chosen, "settings": settings or {}}),
        )
        monkeypatch.setattr(cli, "artifacts", artifacts)
        return CliRunner().invoke(command.main, list(arguments), prog_name="python -m validate.accuracy")

    return invoke


@pytest.fixture
def make_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, make_artifact: Any, workers_here: None
) -> Callable[..., Measurement]:
    """An evaluation of a runtime on a folder of images, about to run."""
    runtimes: dict[str, Runtime] = {}
    monkeypatch.setattr(registry, "get", runtimes.__getitem__)

    def made(
        folder: Path, runtime: Runtime, batch: int, preprocessing: str | None = None, **changes: Any
    ) -> Measurement:
        runtimes[runtime.name] = runtime
        settings = Settings(Selection([runtime], True), SetOptions(folder), batch=batch, **changes)
        artifact = make_artifact(preprocessing_option=preprocessing)
        evaluation: Evaluation = make(Asked("fake", ModelOptions(), artifact), runtime, "fp32", load(folder), settings)
        return Measurement(evaluation, tmp_path / f"{runtime.name}.top5", evaluation.key(settings), resume=True)

    return made


@pytest.fixture
def go() -> Callable[..., list[str]]:
    """Take evaluations through their set. Returns what came of each image, a letter each, for each evaluation."""

    def made(*runs: Measurement, allowed: int = 0, caches: Any = None, **heard: Any) -> list[str]:
        passes.go(runs, allowed, caches or {}, Listener(**heard))
        return [run.ranked.outcomes(run.evaluation.dataset.labels) if run.ranked else "" for run in runs]

    return made


@pytest.fixture
def watched(make_runtime: Callable[..., Runtime]) -> Callable[..., tuple[Runtime, list[list[int]]]]:
    """A runtime, and the numbers that the images of its batches show."""

    def made(name: str, answer: Answer) -> tuple[Runtime, list[list[int]]]:
        seen: list[list[int]] = []
        runtime = make_runtime(name, answer)
        inner = runtime.open_session

        def open_session(artifact: Any, options: Any) -> Any:
            session: Any = inner(artifact, options)
            plain = session._run

            def run(images: np.ndarray) -> Any:
                seen.append(np.rint((images[:, 0].mean(axis=(1, 2)) + 1) * 127.5).astype(int).tolist())
                return plain(images)

            session._run = run
            return session

        return replace(runtime, open_session=open_session), seen

    return made


@pytest.fixture
def case(toy_artifact: Artifact) -> Case:
    images = inputs.seeded(toy_artifact.preprocessing, 5) + inputs.edge_cases(toy_artifact.preprocessing)
    return Case(
        toy_artifact, registry.get("ort-cpu"), Options(), images, (1, 4), reference.obtain(toy_artifact, images)
    )
