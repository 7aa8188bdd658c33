"""Export a model of PaddleClas with random weights, by PaddleClas' own code: run in a process of its own.

`python scripts/zoo/export.py CHECKOUT NAME BATCH HEIGHT WIDTH json|pdmodel FOLDER` writes `FOLDER/inference.*`; BATCH
is 0 for any. Paddle 2.6 writes the older form. Paddle 3.3 fails at models with GELU, even with FLAGS_enable_pir_api=0
set before it is imported (`gelu(): argument must be Value, but got Variable`).
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import inspect
import os
import sys
import types
from collections.abc import Sequence
from pathlib import Path
from typing import Any

SEED = 5
NOISE = 0.1  # of norms and biases
_LEAST_SPREAD = 1e-3  # of a matrix: what is spread less, PaddleClas begins with zeros or ones
# What PaddleClas imports for plots, progress bars and scores: empty where it is not installed.
_NO_PART = ("six", "requests", "easydict", "matplotlib", "sklearn", "scipy", "tqdm", "visualdl")


class _Absent(types.ModuleType):
    __path__: list[str] = []  # noqa: RUF012

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {})


class _Absences(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Modules that have no part in a model; the last to be asked, so that what is installed is taken."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        known = name.split(".", 1)[0] in _NO_PART
        return importlib.machinery.ModuleSpec(name, self, is_package=True) if known else None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        return _Absent(spec.name)

    def exec_module(self, module: types.ModuleType) -> None:
        pass


def perturb(layer: Any) -> None:
    """Draw what PaddleClas begins with a constant, so that every weight has a part in the logits.

    Norms, biases, scales and running statistics get noise on top; matrices that are constant are drawn; whole numbers
    (indices) stay.
    """
    import numpy as np

    random = np.random.default_rng(SEED)
    for name, tensor in layer.state_dict().items():
        array = tensor.numpy()
        if array.dtype != np.float32:
            continue
        noise = random.standard_normal(array.shape).astype("float32")
        if array.ndim > 1 and "index" not in name and array.std() < _LEAST_SPREAD:
            tensor.set_value(array + 0.02 * noise)
        elif array.ndim <= 1:
            tensor.set_value(array * np.exp(NOISE * noise) if name.endswith("_variance") else array + NOISE * noise)


def main(arguments: Sequence[str]) -> None:
    checkout, name, batch, height, width, form, folder = arguments
    sys.meta_path.append(_Absences())
    sys.path.insert(0, checkout)
    sys.dont_write_bytecode = True
    place = Path(folder).resolve() / "inference"
    os.chdir(checkout)
    import paddle

    importlib.import_module("ppcls.utils.logger").init_logger()
    paddle.seed(SEED)
    engine = importlib.import_module("ppcls.engine.engine")
    build = getattr(importlib.import_module("ppcls.arch.backbone"), name)
    own = "pretrained" in inspect.signature(build).parameters  # UniFormer's would download weights by default
    model = build(pretrained=False) if own else build()
    perturb(model)
    # As its `tools/export_model.py` does, with the Softmax that stands behind published models.
    exported = engine.ExportModel({"name": name}, model, False)
    exported.eval()
    for layer in exported.sublayers():
        if hasattr(layer, "re_parameterize") and not layer.is_repped:
            layer.re_parameterize()
    image = paddle.static.InputSpec([int(batch) or None, 3, int(height), int(width)], "float32")
    exported = paddle.jit.to_static(exported, input_spec=[image], full_graph=True)
    paddle.jit.save(exported, str(place))
    found = {".json": "json", ".pdmodel": "pdmodel"}
    written = {found[file.suffix] for file in place.parent.iterdir() if file.suffix in found}
    if written != {form}:
        raise SystemExit(f"Paddle wrote {', '.join(sorted(written)) or 'nothing'} instead of {form}")


if __name__ == "__main__":
    main(sys.argv[1:])
