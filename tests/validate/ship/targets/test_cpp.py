"""The C++ programs, built and run: the same input, the same logits and the same classes as Python's, or a line."""

from __future__ import annotations

import ctypes.util
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from convert import artifact as artifacts
from convert.artifact import Artifact
from convert.build import Request, obtain
from convert.common.disk.lock import alone
from convert.families.spec import Preprocessing
from convert.images.preprocess import preprocess
from runtimes import registry
from runtimes.base import Options
from validate.ship.__main__ import main as ship
from validate.ship.targets.cpp import SETTINGS_FILE, TARGETS, _lines

(TARGET,) = TARGETS
SIZES = [(33, 47), (128, 96), (45, 31), (72, 72), (73, 301), (1, 50), (500, 41), (90, 90)]  # 72 is half of 36


@dataclass(frozen=True)
class Program:
    """A program that was built, and the toy's folder that it was built from."""

    path: Path
    folder: Path

    def run(self, *words: object) -> subprocess.CompletedProcess[str]:
        command = [str(self.path), *map(str, words)]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)

    def values(self, *words: object, kind: str = "--logits", to: Path) -> np.ndarray:
        """What it writes of the model's input or its logits: float32, flat."""
        done = self.run(*words, kind, to)
        assert (done.returncode, done.stderr) == (0, "")
        return np.fromfile(to, "<f4")


@pytest.fixture(scope="session")
def program(
    toy_toml: Path, toy_root: Path, toy_artifact: Artifact, tmp_path_factory: pytest.TempPathFactory
) -> Program:
    """classify-openvino of the toy, exported by the command and built as README.md says, once for all workers."""
    lacking = [name for name in ("cmake", "c++") if not shutil.which(name)]
    lacking += [f"lib{name}" for name in ("jpeg", "png16") if not ctypes.util.find_library(name)]
    if lacking:
        pytest.skip(f"C++ cannot be built here: {', '.join(lacking)} is missing")
    openvino = pytest.importorskip("openvino", reason="there is no OpenVINO to build against")
    base = tmp_path_factory.getbasetemp()
    root = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "cpp"
    root.mkdir(exist_ok=True)
    folder = root / "toy" / "fp32" / "cpp"
    found = Program(folder / "build" / "classify-openvino", folder)
    with alone(root / "lock", "building", wait=True):
        if not found.path.exists():
            (root / "labels.txt").write_text("\n".join(f"class {i}" for i in range(7)))
            words = ["--model", toy_toml, "--weights", "seeded:1", "--artifacts", toy_root, "--to", "cpp"]
            words += ["--labels", root / "labels.txt", "--out", root]
            result = CliRunner().invoke(ship, list(map(str, words)))
            assert result.exit_code == 0, result.output
            config = f"-DOpenVINO_DIR={Path(openvino.__file__).parent / 'cmake'}"
            # One file of all, and nothing optimised: what is built is compared to the bit, and not timed.
            quick = ["-DCMAKE_UNITY_BUILD=ON", "-DCMAKE_BUILD_TYPE=Debug"]
            configured = _tool("cmake", "-S", folder, "-B", folder / "build", config, *quick)
            if configured.returncode and (
                "Could NOT find JPEG" in configured.stderr or "find PNG" in configured.stderr
            ):
                pytest.skip("C++ cannot be built here: libjpeg's or libpng's headers are missing")
            assert configured.returncode == 0, configured.stderr
            built = _tool("cmake", "--build", folder / "build", "-j2")
            assert built.returncode == 0, built.stdout + built.stderr
            assert "warning" not in built.stdout + built.stderr
    return found


def _tool(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(list(map(str, words)), capture_output=True, text=True, check=False, timeout=600)


@pytest.fixture
def copied(program: Program, tmp_path: Path) -> Path:
    """The toy's folder without what was built, to be changed."""
    return Path(shutil.copytree(program.folder, tmp_path / "copied", ignore=shutil.ignore_patterns("build")))


def said(folder: Path, preprocessing: Preprocessing) -> None:
    """Another preprocessing in model.txt."""
    artifact = artifacts.load(folder)
    other = Artifact(folder, replace(artifact.manifest, preprocessing=preprocessing))
    sizes = {name: (folder / name).stat().st_size for name in artifact.manifest.files if name.startswith("model.onnx")}
    (folder / SETTINGS_FILE).write_text("\n".join(_lines(other, "0", sizes)))


def pixels(width: int, height: int, channels: int = 3) -> np.ndarray:
    """Noise on waves, uint8: nothing that a resizing by another rule would leave alike."""
    rng = np.random.default_rng(width * 1000 + height)
    waves = np.sin(np.arange(height)[:, None, None] / 5) * np.cos(np.arange(width)[None, :, None] / 7) * 60 + 128
    return np.clip(waves + rng.normal(0, 40, (height, width, channels)), 0, 255).astype(np.uint8)


@pytest.fixture
def pngs(tmp_path: Path) -> list[Path]:
    """Images of odd sizes, and of every kind of PNG that becomes three channels of 8 bits."""
    files = []
    for width, height in SIZES:
        files.append(tmp_path / f"{width}x{height}.png")
        cv2.imwrite(str(files[-1]), pixels(width, height))
    rgb = Image.fromarray(pixels(61, 43))
    exif = Image.Exif()
    exif[0x0112] = 6
    kinds: dict[str, Callable[[Path], object]] = {
        "grey": rgb.convert("L").save,
        "palette": rgb.convert("P", palette=Image.Palette.ADAPTIVE).save,
        "one bit": rgb.convert("1").save,
        "alpha": Image.fromarray(pixels(61, 43, 4)).save,
        "16 bits": lambda path: cv2.imwrite(str(path), pixels(61, 43).astype(np.uint16) * 257 + 91),
        "turned": lambda path: rgb.save(path, exif=exif),
    }
    for name, save in kinds.items():
        files.append(tmp_path / f"{name}.png")
        save(files[-1])
    return files


PREPROCESSINGS = {
    "the toy's": Preprocessing(36, 32),
    "larger, and last bits": Preprocessing(61, 32, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)),
    "both sides": Preprocessing(45, 32, keep_ratio=False, mean=(0.1, 0.2, 0.3), pixel_scale=1.0),
}


@pytest.mark.parametrize("name", PREPROCESSINGS)
def test_the_input_is_pythons_to_the_bit(program: Program, copied: Path, pngs: list[Path], name: str) -> None:
    said(copied, PREPROCESSINGS[name])
    found = program.values("--model", copied, *pngs, kind="--save", to=copied / "saved").reshape(-1, 3, 32, 32)
    for file, one in zip(pngs, found, strict=True):
        wanted = preprocess(file, PREPROCESSINGS[name])
        assert np.array_equal(wanted.view(np.uint32), one.view(np.uint32)), file.name


def test_bicubic_is_within_a_level_of_opencvs(program: Program, copied: Path, pngs: list[Path]) -> None:
    """OpenCV's own differs from build to build: in float with Intel's library, else of 11 bits. Ours is in float,
    and rounds ties apart."""
    cubic = Preprocessing(36, 32, interpolation="bicubic", mean=(0, 0, 0), std=(1, 1, 1), pixel_scale=1.0)
    said(copied, cubic)
    found = program.values("--model", copied, *pngs, kind="--save", to=copied / "saved").reshape(-1, 3, 32, 32)
    apart = np.abs(found - np.stack([preprocess(file, cubic) for file in pngs]))
    assert apart.max() <= 1
    assert (apart > 0).mean() < (0.01 if cv2.ipp.useIPP() else 0.1)


def test_a_jpeg_is_turned_as_it_says(program: Program, tmp_path: Path) -> None:
    """Decoders of two versions may round apart, so that this holds pixels to two levels; the others are of PNG."""
    image, files = Image.fromarray(cv2.blur(pixels(83, 57), (9, 9))), []
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        files.append(tmp_path / f"{orientation}.jpg")
        image.save(files[-1], quality=90, exif=exif, progressive=orientation % 2 == 0)
    found = program.values(*files, kind="--save", to=tmp_path / "saved").reshape(-1, 3, 32, 32)
    wanted = np.stack([preprocess(file, PREPROCESSINGS["the toy's"]) for file in files])
    assert np.abs(found - wanted).max() <= 2 / 255 / 0.5 + 1e-6


@pytest.mark.parametrize("batch", [1, 3])
def test_logits_are_the_adapters_to_the_bit(program: Program, tmp_path: Path, batch: int) -> None:
    images = np.random.default_rng(0).standard_normal((5, 3, 32, 32), dtype=np.float32)
    images.tofile(tmp_path / "in.bin")
    words = ("--tensor", tmp_path / "in.bin", "--batch", batch, "--threads", 1)
    found = program.values(*words, to=tmp_path / "out.bin").reshape(5, 7)
    with registry.get("openvino").open(artifacts.load(program.folder), Options(threads=1, batches=(batch,))) as session:
        whole = [images.take(range(i, i + batch), axis=0, mode="wrap") for i in range(0, 5, batch)]
        wanted = np.concatenate([session.run(np.ascontiguousarray(chunk)).copy() for chunk in whole])[:5]
    assert np.array_equal(found.view(np.uint32), wanted.view(np.uint32))


def test_it_prints_the_five_best_classes(program: Program, pngs: list[Path], tmp_path: Path) -> None:
    logits = program.values(*pngs[:2], to=tmp_path / "out.bin").reshape(2, 7)
    title, *lines = program.run(*pngs[:2]).stdout.splitlines()[:6]
    assert title == str(pngs[0])
    order = np.argsort(-logits[0], kind="stable")[:5]
    assert [int(line.split()[2]) for line in lines] == list(order)
    assert [line.split("  ")[-1] for line in lines] == [f"class {label}" for label in order]
    shares = np.exp(logits[0]) / np.exp(logits[0]).sum() * 100
    assert [float(line.split()[0]) for line in lines] == pytest.approx(shares[order], abs=0.006)


def test_it_tells_the_time_of_an_inference(program: Program, pngs: list[Path]) -> None:
    done = program.run(pngs[0], "--time", 3, "--threads", 1)
    assert "of 3 inferences of 1 images: OpenVINO" in done.stdout
    assert done.stdout.endswith("f32, 1 threads\n")


def test_it_holds_itself_against_the_proof(program: Program, copied: Path) -> None:
    done = program.run("--check", "--batch", 4)
    assert (done.returncode, done.stderr) == (0, "")
    assert "times Paddle's own FP32 error; 8 times is allowed" in done.stdout
    for name in ("reference", "paddle_fp32"):  # as if a weight of the last layer were another one
        file = copied / "proof" / f"{name}.npy"
        logits = np.load(file)
        np.save(file, logits * logits.dtype.type(1.001))
    failed = program.run("--model", copied, "--check")
    assert failed.returncode == 1
    assert failed.stderr.startswith("failed: largest error")
    np.save(copied / "proof" / "reference.npy", logits)
    assert "is no .npy file of type <f8" in program.run("--model", copied, "--check").stderr


def _cut(folder: Path, name: str) -> None:
    file = folder / name
    file.write_bytes(file.read_bytes()[:-30])


def _line(folder: Path, old: str, new: str) -> None:
    file = folder / SETTINGS_FILE
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def _classes(folder: Path, count: int) -> None:
    _line(folder, "classes 7", f"classes {count}")
    (folder / "labels.txt").unlink()


def _jpeg(folder: Path) -> None:
    cv2.imwrite(str(folder / "photo.jpg"), pixels(200, 200))
    data = (folder / "photo.jpg").read_bytes()
    (folder / "photo.png").write_bytes(data[:2000])


FAULTS: dict[str, tuple[Callable[[Path], object], tuple[str, ...], str]] = {
    "a model of another size": (lambda f: _cut(f, "model.onnx"), (), "bytes instead of"),
    "other classes": (lambda f: _classes(f, 8), (), "gives logits of the shape"),
    "another input": (lambda f: _line(f, "input ", "input other"), (), "which is not what model.txt says"),
    "a fixed batch": (lambda f: _line(f, "batch 0", "batch 4"), (), "which is not what model.txt says"),
    "a line too little": (lambda f: _line(f, "std 0.5 0.5 0.5\n", ""), (), "has no line `std`"),
    "half a line": (lambda f: _line(f, "mean 0.5 0.5 0.5", "mean 0.5 0.5"), (), "not understood"),
    "another crop": (lambda f: _line(f, "crop 32", "crop 36"), (), "numbers that cannot be"),
    "an unknown resizing": (lambda f: _line(f, "bilinear", "area"), (), "does not resize by area"),
    "too few labels": (lambda f: (f / "labels.txt").write_text("one\n"), (), "has 1 lines, and the model 7 classes"),
    "a truncated PNG": (lambda f: _cut(f, "photo.png"), (), "is a damaged PNG"),
    "a truncated JPEG": (_jpeg, (), "is a damaged JPEG"),
    "no image": (lambda f: (f / "photo.png").write_text("hello"), (), "is neither JPEG nor PNG"),
    "a precision that is not there": (lambda f: _line(f, "precision fp32", "precision tf32"), (), "no tf32"),
    "no whole number": (lambda f: None, ("--threads", "two"), "a whole number from 0 on is needed"),
    "an unknown option": (lambda f: None, ("--nothing",), "there is no such option"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_assumed_is_checked(program: Program, copied: Path, fault: str) -> None:
    damage, words, expected = FAULTS[fault]
    cv2.imwrite(str(copied / "photo.png"), pixels(60, 50))
    damage(copied)
    done = program.run("--model", copied, copied / "photo.png", *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: ")
    assert expected in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(("values", "expected"), [(np.zeros(100), "no multiple of"), (np.full(3072, np.nan), "finite")])
def test_a_tensor_that_is_none_is_refused(program: Program, tmp_path: Path, values: np.ndarray, expected: str) -> None:
    values.astype("<f4").tofile(tmp_path / "in.bin")
    done = program.run("--tensor", tmp_path / "in.bin")
    assert done.returncode == 2
    assert expected in done.stderr


def test_what_the_programs_cannot_do_is_refused_before(toy_artifact: Artifact) -> None:
    pil = replace(toy_artifact.preprocessing, backend="pil")
    asked = Artifact(toy_artifact.path, replace(toy_artifact.manifest, preprocessing=pil))
    assert TARGET.refusal(toy_artifact, {}) is None
    assert "resized by pil" in str(TARGET.refusal(asked, {}))
    (port,) = toy_artifact.manifest.inputs
    lines = Artifact(toy_artifact.path, replace(toy_artifact.manifest, inputs=(replace(port, name="x\nbatch 1"),)))
    assert "model.txt cannot hold" in str(TARGET.refusal(lines, {}))


def test_photos_are_of_pythons_classes(program: Program, shared_data: Path, tmp_path: Path) -> None:
    """On the trained ViT-Ti; libjpeg's pixels may differ by version, the five classes of these photos do not."""
    tiny = shared_data / "vit_tiny" / "vit_tiny_patch16_224"
    artifact = obtain(Request(f"{tiny}.toml", f"{tiny}.safetensors", root=tmp_path / "artifacts"), print)[0]
    folder = tmp_path / "tiny"
    folder.mkdir()
    TARGET.write(artifact, folder, {"threads": "1"})
    photos = sorted((shared_data / "ilsvrc_val_134").rglob("*.JPEG"))[:12]
    assert photos
    done = program.run("--model", folder, *photos)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    with registry.get("openvino").open(artifact, Options(threads=1, batches=(1,))) as session:
        for i, photo in enumerate(photos):
            logits = session.run(preprocess(photo, artifact.preprocessing)[None])[0]
            classes = [int(line.split()[2]) for line in lines[6 * i + 1 : 6 * i + 6]]
            assert classes == list(np.argsort(-logits, kind="stable")[:5]), photo.name
