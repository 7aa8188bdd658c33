"""Toy inference models of the kinds that people export, and what exporting them again gives."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import paddle
from paddle import nn
from paddle.nn import functional

from convert.common.errors import InputError
from convert.export import folder_files, program
from convert.models import InferenceFolder

SIZE, CLASSES = 16, 5


class Toy(nn.Layer):  # type: ignore[misc]
    """Patches, a norm, and a linear layer over their mean; an index, and a mask written piece by piece, as in Swin."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2D(3, 8, 4, 4)
        self.norm = nn.LayerNorm(8)
        self.head = nn.Linear(8, CLASSES)

    def tokens(self, x: Any) -> Any:
        return self.norm(self.patches(x).flatten(2).transpose([0, 2, 1]))

    def forward(self, x: Any) -> Any:
        return self.head(self.tokens(x).mean(1))

    def folded(self, x: Any) -> Any:
        """Logits of patches that were taken apart and put together again, by an operator that Paddle2ONNX lacks."""
        return self(functional.fold(functional.unfold(x, 4, 4), SIZE, 4, 4))

    def masked(self, x: Any) -> Any:
        """Logits; the tokens are put in another order, and a mask of image parts that no image changes is added."""
        mask = paddle.zeros([1, 4, 4, 1])
        for count, (rows, columns) in enumerate([(slice(0, 2), slice(1, 4)), (slice(2, -1), slice(0, 2))]):
            mask = paddle.static.setitem(mask, (slice(None), rows, columns, slice(None)), count + 0.5)
        order = paddle.create_parameter([16], "int64", default_initializer=nn.initializer.Constant(3))
        tokens = paddle.gather(self.tokens(x), order, axis=1)
        return self.head((tokens + mask.reshape([1, 16, 1]) * paddle.arange(8, dtype="float32")).mean(1))


Model = Callable[[Toy, Any], Any]
# By name: what is made of the image, and the image's shape and type where they are not the usual ones.
KINDS: dict[str, tuple[Model, list[int], str]] = {
    "logits": (lambda m, x: m(x), [-1, 3, SIZE, SIZE], "float32"),
    "scaled softmax": (lambda m, x: functional.softmax(m(x) * 3), [-1, 3, SIZE, SIZE], "float32"),
    "two softmaxes": (lambda m, x: functional.softmax(functional.softmax(m(x))), [-1, 3, SIZE, SIZE], "float32"),
    "softmax of sigmoid": (lambda m, x: functional.softmax(functional.sigmoid(m(x))), [-1, 3, SIZE, SIZE], "float32"),
    "clipped sigmoid": (lambda m, x: functional.sigmoid(m(x)).clip(0.01, 0.99), [-1, 3, SIZE, SIZE], "float32"),
    "flat softmax": (lambda m, x: functional.softmax(m(x)[:, :, None], 1).flatten(1), [-1, 3, SIZE, SIZE], "float32"),
    "sigmoid": (lambda m, x: functional.sigmoid(m(x)), [-1, 3, SIZE, SIZE], "float32"),
    "argmax": (lambda m, x: functional.softmax(m(x)).argmax(-1, dtype="int32"), [-1, 3, SIZE, SIZE], "float32"),
    "topk": (lambda m, x: m(x).topk(2), [-1, 3, SIZE, SIZE], "float32"),
    "two": (lambda m, x: [m(x), m(x) + 1], [-1, 3, SIZE, SIZE], "float32"),
    "normalised": (lambda m, x: functional.normalize(m(x)), [-1, 3, SIZE, SIZE], "float32"),
    "token": (lambda m, x: m.tokens(x)[:, 0], [-1, 3, SIZE, SIZE], "float32"),
    "tokens": (lambda m, x: m.tokens(x), [-1, 3, SIZE, SIZE], "float32"),
    "masked": (lambda m, x: m.masked(x), [-1, 3, SIZE, SIZE], "float32"),
    "folded": (lambda m, x: m.folded(x), [1, 3, SIZE, SIZE], "float32"),
    "three": (lambda m, x: m(x), [3, 3, SIZE, SIZE], "float32"),
    "nhwc": (lambda m, x: m(x.transpose([0, 3, 1, 2])), [-1, SIZE, SIZE, 3], "float32"),
    "bytes": (lambda m, x: m(x.transpose([0, 3, 1, 2]).astype("float32") / 64 - 2), [-1, SIZE, SIZE, 3], "uint8"),
    "arithmetic of bytes": (lambda m, x: m((x + x).astype("float32")), [-1, 3, SIZE, SIZE], "uint8"),
    "half": (lambda m, x: m(x), [-1, 3, SIZE, SIZE], "bfloat16"),
    "any size": (lambda m, x: m(x), [-1, 3, -1, -1], "float32"),
    "rectangle": (lambda m, x: m(x), [-1, 3, SIZE, 2 * SIZE], "float32"),
    "grey": (lambda m, x: m(x.expand([-1, 3, -1, -1])), [-1, 1, SIZE, SIZE], "float32"),
}

FATAL = ("folded",)  # Paddle2ONNX aborts


def write(root: str) -> None:
    """Write an inference model of each kind into `root`, all with the same weights."""
    paddle.enable_static()
    executor = paddle.static.Executor(paddle.CPUPlace())
    for name, (model, shape, dtype) in KINDS.items():
        paddle.seed(7)
        paddle.set_default_dtype("bfloat16" if dtype == "bfloat16" else "float32")
        main, startup = paddle.static.Program(), paddle.static.Program()
        with paddle.static.program_guard(main, startup), paddle.utils.unique_name.guard():
            x = paddle.static.data("x", shape, dtype)
            layer = Toy()
            layer.eval()
            found = model(layer, x)
        outputs = list(found) if isinstance(found, (list, tuple)) else [found]
        with paddle.static.scope_guard(paddle.static.Scope()):
            executor.run(startup)
            prefix = str(Path(root, name, "inference"))
            paddle.static.save_inference_model(prefix, [x], outputs, executor, program=main)


def exported(root: str) -> dict[str, dict[str, Any]]:
    """What `program.export_folder` answers for each kind, or its `error`."""
    answers: dict[str, dict[str, Any]] = {}
    for name in KINDS:
        if name in FATAL:
            continue
        folder, out = Path(root, name), Path(root, f"{name} exported")
        (out / "paddle").mkdir(parents=True)
        source = InferenceFolder(name, folder / "inference.json", folder / "inference.pdiparams")
        try:
            floats = folder_files.read(source, out)
            job = {"program": str(floats.program), "place": name, "folder": str(out / "paddle"), "opset": 17}
            answer = program.export_folder({**job, "onnx": str(out / "model.onnx"), "image_size": None})
            answers[name] = {**answer, "notes": [*floats.notes, *answer["notes"]]}
        except InputError as error:
            answers[name] = {"error": error.message}
    return answers


def run(folder: str) -> None:
    """Write what Paddle makes of `images.npy` in a folder of `write` to `outputs.npy`."""
    paddle.enable_static()
    executor = paddle.static.Executor(paddle.CPUPlace())
    main, (name,), outputs = paddle.static.load_inference_model(str(Path(folder, "inference")), executor)
    np.save(Path(folder, "outputs.npy"), executor.run(main, {name: np.load(Path(folder, "images.npy"))}, outputs)[0])
