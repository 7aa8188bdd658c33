"""C++ programs from an image file to its five best classes: sources, the model, and what they need to know of it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar

from convert.artifact import PADDLE_PARAMS, PADDLE_PROGRAM, Artifact
from convert.common.disk.files import write_text
from convert.common.errors import shown
from convert.families.spec import sides
from convert.precision.portability import PORTABLE
from convert.precision.table import BF16, FP16, FP32, INT8, LARGEST_LOGIT, PADDLE_ERROR, PRECISIONS
from runtimes.base import Setting
from validate.ship.target import Target

SOURCES = Path(__file__).parents[1] / "cpp"
SETTINGS_FILE = "model.txt"
_UNITS = {PADDLE_ERROR: "paddle", LARGEST_LOGIT: "largest"}  # of the tolerance, by proof.cpp's words
FORMAT = 1  # of model.txt; `FORMAT` in settings.cpp
# The adapter does so for models that are not portable. Of the others it changes nothing but the time without VNNI.
_EXACT = """

classify-onnxruntime adds products of int8 exactly (`session.x64quantprecision`) whatever the model. vitbench measures a
portable one, as this is, without: that gives the same, and takes less time on processors without VNNI."""


class CppTarget(Target):
    """The sources in `validate/ship/cpp`, the ONNX file, the Paddle program, and model.txt, which the programs read."""

    name = "cpp"
    purpose = "C++ programs on OpenVINO, ONNX Runtime or Paddle Inference, from image file to top-5"
    runtime = "openvino"
    precisions: ClassVar[tuple[str, ...]] = (FP32, FP16, BF16, INT8)
    settings: ClassVar[Mapping[str, Setting]] = {
        "threads": Setting("0", "threads of an inference; 0: every core that the program may use")
    }
    order = 40

    def refusal(self, artifact: Artifact, settings: Mapping[str, str]) -> str | None:
        """Preprocessing by Pillow, which C++ has not, and names that no line of model.txt can hold."""
        if artifact.preprocessing.backend != "cv2":
            return f"its images are resized by {artifact.preprocessing.backend}, which the C++ programs do not have"
        if len(set(artifact.image_shape)) > 1:
            return f"its images are {sides(artifact.image_shape)} pixels, and the C++ programs have squares only"
        (source,), (result,) = artifact.manifest.inputs, artifact.manifest.outputs
        odd = [name for name in (source.name, result.name) if name != shown(name).strip() or not name]
        return f"its input or output is called {shown(odd[0])!r}, which model.txt cannot hold" if odd else None

    def write(self, artifact: Artifact, folder: Path, settings: Mapping[str, str]) -> None:
        """Copy the sources and the model. bf16 and fp16 are the runtimes' own switch on the FP32 model."""
        for source in sorted(SOURCES.iterdir()):
            shutil.copyfile(source, folder / source.name)
        graph = artifact if artifact.precision == INT8 else artifact.fp32
        files = {name: graph.path / name for name in graph.onnx_files}
        if artifact.precision != INT8 and graph.manifest.base is None:  # a file from elsewhere has no Paddle program
            files |= {name: graph.path / name for name in (PADDLE_PROGRAM, PADDLE_PARAMS)}
        for name, file in files.items():
            (folder / name).parent.mkdir(exist_ok=True)
            shutil.copyfile(file, folder / name)
        sizes = {name: (folder / name).stat().st_size for name in files}
        write_text(folder / SETTINGS_FILE, "\n".join(_lines(artifact, settings["threads"], sizes)) + "\n")

    def readme(self, artifact: Artifact, settings: Mapping[str, str]) -> str:
        saturation = artifact.manifest.saturation
        exact = _EXACT if saturation is not None and saturation.result == PORTABLE else ""
        return f"""\
```sh
OPENVINO=$(python -c 'import openvino, pathlib; print(pathlib.Path(openvino.__file__).parent / "cmake")')
cmake -S . -B build -DOpenVINO_DIR="$OPENVINO" && cmake --build build
build/classify-openvino photo.jpg
build/classify-openvino --check     # its logits of proof/ against Paddle's in float64; no Python is needed
```

It takes a compiler for C++17, CMake, libjpeg and libpng with headers (Debian: g++ cmake libjpeg-dev libpng-dev).
`-DORT_INCLUDE=FOLDER` builds classify-onnxruntime, `-DPADDLE_INFERENCE_DIR=FOLDER` classify-paddle;
`-DWITH_OPENVINO=OFF` leaves OpenVINO out. The programs read model.txt, labels.txt where there is one, and
`model.onnx`, or `paddle/` for classify-paddle. Threads: `--threads N`, else as model.txt says; `--help` has the other
options. They exit with 2 for input that is wrong, and with 1 where a check does not hold. `vitbench check` loads the
model by vitbench's adapters and not by these programs: `--check` does.{exact}"""


def _lines(artifact: Artifact, threads: str, sizes: Mapping[str, int]) -> Iterator[str]:
    """What the programs know of the model, a line each; numbers are written so that they are read back to the bit."""
    (source,), (result,), images = artifact.manifest.inputs, artifact.manifest.outputs, artifact.preprocessing
    yield "# Written by vitbench for the programs beside it; they read it when they start."
    yield f"format {FORMAT}"
    yield f"model {artifact.model}"
    yield f"precision {artifact.precision}"
    yield f"head {artifact.manifest.head}"
    yield f"input {source.name}"
    yield f"output {result.name}"
    yield f"size {artifact.image_shape[0]}"
    yield f"classes {artifact.classes}"
    yield f"batch {artifact.batch or 0}"
    yield f"threads {threads}"
    yield f"resize_short {images.resize_short}"
    yield f"crop {images.crop}"
    yield f"keep_ratio {int(images.keep_ratio)}"
    yield f"interpolation {images.interpolation}"
    yield "mean " + " ".join(map(repr, images.mean))
    yield "std " + " ".join(map(repr, images.std))
    yield f"scale {images.pixel_scale!r}"
    rule = PRECISIONS[artifact.precision].tolerance
    yield f"tolerance {rule.factor!r} {_UNITS[rule.unit]}"
    for name, size in sizes.items():
        yield f"file {size} {name}"


TARGETS = (CppTarget(),)
