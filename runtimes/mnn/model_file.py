"""An artifact in MNN's own format, made by MNN's converter and kept."""

from __future__ import annotations

import json
import re
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from convert.artifact import Artifact
from convert.common import worker
from convert.common.disk import scratch
from convert.common.disk.files import sha256_file
from convert.common.errors import GraphError
from runtimes import kept_form
from runtimes.base import Options, UnavailableError, cache_folder
from runtimes.probe import significand
from runtimes.quiet import stdout_to

MODEL, PROBE = "model.mnn", "probe.mnn"
# What --useGeluApproximation is. The converter's own default is the tanh formula, which moves logits by 1e-4 to 3e-3.
GELU = {"erf": "0", "tanh": "1"}
# Weights in a file of their own: one MNN file holds 2 GiB at most, and what is left of it is quick to look into.
_ARGUMENTS = ("--bizCode", "vitbench", "--saveExternalData")
# The converter's names for what numbers are stored as -> ours.
_TYPES = {
    "DT_FLOAT": "float32",
    "DT_HALF": "float16",
    "DT_BFLOAT16": "bfloat16",
    "DT_INT8": "int8",
    "DT_UINT8": "uint8",
}
_HALF = 3  # IDSTQuan.type of weights that are stored as FP16; the other types are integers


def converted(artifact: Artifact, options: Options, gelu: str, batch: int | None = None) -> Path:
    """The folder with the artifact (MODEL), a probe converted alike (PROBE), and what was found in MODEL (MADE:
    `outputs` in the model's order, `weights` counted by the type that they are stored as, `operators` counted,
    `broadcasts` as in the function of that name).

    Made once per artifact, version of MNN, arguments of the converter and state of this code. gelu: a key of GELU.
    batch: the only one of the file, where `broadcasts` asks for such; None leaves it as it is in the artifact.
    UnavailableError with the converter's own words when it fails.
    """
    with stdout_to(2):
        import MNN

    arguments = [*_ARGUMENTS, "--useGeluApproximation", GELU[gelu]]
    code = [sha256_file(Path(file)) for file in (__file__, significand.__file__)]
    fixed = [] if batch is None else [f"batch {batch}"]
    folder = cache_folder(artifact, options, "mnn", MNN.version(), *arguments, *code, *fixed)
    if not kept_form.whole(folder):
        job = {"onnx": str(artifact.onnx), "arguments": arguments, "batch": batch}
        try:
            kept_form.make(folder, "runtimes.mnn.model_file:convert", job, "MNN")
        except worker.JobError as error:
            raise UnavailableError(f"MNN's converter failed: {error}") from None
    return folder


def convert(job: dict[str, Any]) -> None:
    """The other side of `converted`: what the converter takes, prints or breaks stays in this process."""
    folder = Path(job["folder"])
    with scratch.folder() as apart:
        probe, listing = apart / "probe.onnx", apart / "model.json"
        significand.write_probe(probe)
        source = Path(job["onnx"])
        source = at_batch(source, job["batch"], apart) if job.get("batch") else source
        _convert("ONNX", source, "--MNNModel", folder / MODEL, *job["arguments"])
        _convert("ONNX", probe, "--MNNModel", folder / PROBE, *job["arguments"])
        _convert("MNN", folder / MODEL, "--JsonFile", listing)
        network = json.loads(listing.read_text(encoding="utf-8"))
    layers = network["oplists"]
    made = {
        "outputs": network["outputName"],
        "weights": Counter(filter(None, map(_weight_type, layers))),
        "operators": Counter(map(_operator, layers)),
        "broadcasts": broadcasts(Path(job["onnx"])),
    }
    kept_form.seal(folder, made)


def broadcasts(onnx_file: Path) -> list[str]:
    """The MatMuls of two activations of which one is shared by several heads or windows of an image.

    MNN 3.6.1 computes them wrongly at a dynamic batch of two or more (scripts/upstream/mnn_matmul_broadcast.py), and
    rightly at one that is fixed in the file. None where shapes cannot be inferred: then parity alone finds it.
    """
    import onnx

    from convert.export import counts, graph  # late, as onnx is: every command imports this file

    model = counts.without_weights(onnx.load(onnx_file))
    stored = {value.name for value in model.graph.input[1:]} | {tensor.name for tensor in model.graph.initializer}
    try:
        shapes = graph.shapes_at_batch_one(model)
    except GraphError:
        return []
    products = [node for node in model.graph.node if node.op_type == "MatMul" and not stored & set(node.input)]
    sides = {node.name: [shapes.get(name, ())[:-2] for name in node.input] for node in products}
    return [name for name, (left, right) in sides.items() if len(left) == len(right) and left[1:] != right[1:]]


def at_batch(file: Path, batch: int, folder: Path) -> Path:
    """The same model for one batch size alone, in a folder. Weights beside it are linked to."""
    import onnx

    model = onnx.load(file, load_external_data=False)
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = batch
    del model.graph.value_info[:]  # of any batch
    for beside in file.parent.glob(f"{file.name}?*"):
        (folder / beside.name).symlink_to(beside.resolve())
    onnx.save(model, folder / file.name)
    return folder / file.name


def _convert(form: str, source: Path, option: str, target: Path, *arguments: str) -> None:
    """One run of the converter. RuntimeError with its own words when no file came: it returns quietly then, too."""
    import _tools  # the compiled half of MNN.tools, which itself installs packages and sends usage logs when imported

    command = ["mnnconvert", "-f", form, "--modelFile", str(source), option, str(target), *arguments]
    with tempfile.TemporaryFile() as log:
        with stdout_to(log.fileno()):
            _tools.mnnconvert(command)
        log.seek(0)
        said = log.read().decode(errors="replace").splitlines()
    if not target.is_file():
        raise RuntimeError(" ".join(re.sub(r"^\[[\d:]+] :\d+: ", "", line).strip() for line in said[-2:]))


def _weight_type(layer: dict[str, Any]) -> str | None:
    """What a layer's weights or a constant are stored as; None where there are none, or only indices and shapes."""
    main = layer.get("main", {})
    if layer["type"] == "Convolution":  # which is what linear layers become, too
        quantized = main.get("quanParameter")
        return "float32" if quantized is None else "float16" if quantized["type"] == _HALF else "int8"
    return _TYPES.get(main.get("dataType", "")) if layer["type"] == "Const" else None


def _operator(layer: dict[str, Any]) -> str:
    return str(layer["main"]["opType"] if layer["type"] == "UnaryOp" else layer["type"])
