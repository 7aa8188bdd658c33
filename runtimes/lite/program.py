"""A model as the old program of Paddle before 3, which is what Paddle Lite reads.

Paddle 3 writes it where `FLAGS_enable_pir_api` is 0 before its import. Its own `matmul` and `gelu` refuse that
program's variables, so the operators are appended by hand; and Paddle Lite 2.12 dies of `unbind`, so it is written as
slices.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from convert import artifact as artifacts
from convert.artifact import Artifact
from convert.common import worker
from convert.common.disk.files import sha256_file
from runtimes import kept_form
from runtimes.base import Options, UnavailableError, cache_folder
from runtimes.probe import significand

PROGRAM, PARAMS = "inference.pdmodel", "inference.pdiparams"
PROBE = "probe.pdmodel"
_FAMILIES = ("vit", "deit")  # whose layers have no other operators
_OLD = {"FLAGS_enable_pir_api": "0"}
_PROBE_CODE = Path(significand.__file__)


def refusal(artifact: Artifact) -> str | None:
    """Why there is no old program of an artifact, in a sentence; None where there is one."""
    if artifact.spec is None or artifact.spec.family not in _FAMILIES:
        return "vitbench writes the program that Paddle Lite reads for plain ViT and DeiT only, from their specs"
    return None


def written(artifact: Artifact, options: Options) -> Path:
    """The folder with PROGRAM, PARAMS, and PROBE with its parameters: that of a folder to ship, else made and kept.

    UnavailableError when it cannot be made.
    """
    if found := kept_form.shipped(artifact, "paddle-lite"):
        return found
    if reason := refusal(artifact):
        raise UnavailableError(reason)
    folder = cache_folder(artifact, options, "paddle-lite", sha256_file(Path(__file__)), sha256_file(_PROBE_CODE))
    if not kept_form.whole(folder):
        job = {"artifact": str(artifact.path)}
        try:
            kept_form.make(folder, "runtimes.lite.program:export", job, "Paddle Lite", environment=_OLD)
        except worker.JobError as error:
            raise UnavailableError(f"Paddle cannot write the old program: {error}") from None
    return folder


def export(job: Mapping[str, str]) -> None:
    """The other side of `written`: the program of the artifact's spec with its parameters, and the probe."""
    import paddle
    import paddle.nn.functional as functional

    artifact, folder = artifacts.load(Path(job["artifact"])), Path(job["folder"])
    spec = artifact.spec
    assert spec
    paddle.enable_static()
    paddle.matmul = _matmul
    functional.gelu = lambda x: _append("gelu", {"X": x}, {"approximate": False})
    paddle.static.Variable.unbind = lambda self, axis: [self[i] for i in range(self.shape[axis])]
    program, start = paddle.static.Program(), paddle.static.Program()
    with paddle.static.program_guard(program, start):
        x = paddle.static.data("x", [-1, 3, spec.img_size, spec.img_size], "float32")
        layer = spec.paddle_layer()
        layer.eval()
        logits = layer(x)
    found = sorted(one.name for one in program.list_vars() if one.persistable and not one.name.startswith("fe"))
    if found != sorted(spec.state_shapes()):
        raise RuntimeError(f"its parameters are {found}")
    _save(folder / PROGRAM, program, start, [x], [logits], {})
    # Both programs have the parameters under their state-dict names, and the file has them in the order of these.
    shutil.copyfile(artifact.paddle_params, folder / PARAMS)
    _save_probe(folder / PROBE)
    kept_form.seal(folder, {})


def _save_probe(path: Path) -> None:
    """What `significand.write_probe` has: outputs `weighted` and `paired` of its input."""
    import paddle

    program, start = paddle.static.Program(), paddle.static.Program()
    with paddle.static.program_guard(program, start):
        x = paddle.static.data("x", list(significand.ROWS.shape), "float32")
        steps = significand.ROWS[:, 0]
        weighing = np.stack([steps, -np.ones_like(steps)]).astype(np.float32)
        values = {"weights": weighing, "signs": np.array([1, -1], np.float32)}
        weights, signs = (
            paddle.static.create_parameter(list(value.shape), "float32", name) for name, value in values.items()
        )
        turned = paddle.transpose(x * signs, [1, 0])
        outputs = [_matmul(x, weights), _matmul(x, turned)]
    _save(path, program, start, [x], outputs, values)


def _save(path: Path, program: Any, start: Any, feeds: Any, fetches: Any, values: Mapping[str, np.ndarray]) -> None:
    import paddle

    executor = paddle.static.Executor(paddle.CPUPlace())
    executor.run(start)
    for name, value in values.items():
        paddle.static.global_scope().find_var(name).get_tensor().set(value, paddle.CPUPlace())
    paddle.static.save_inference_model(str(path.with_suffix("")), feeds, fetches, executor, program=program)


def _matmul(x: Any, y: Any, transpose_x: bool = False, transpose_y: bool = False) -> Any:
    return _append("matmul_v2", {"X": x, "Y": y}, {"trans_x": transpose_x, "trans_y": transpose_y})


def _append(kind: str, inputs: Mapping[str, Any], attributes: Mapping[str, Any]) -> Any:
    """The output of an operator that is appended to the program."""
    from paddle.base.layer_helper import LayerHelper

    helper = LayerHelper(kind)
    output = helper.create_variable_for_type_inference("float32")
    helper.append_op(type=kind, inputs=inputs, outputs={"Out": output}, attrs=attributes)
    return output
