"""MNN on the toy: the same model, what it computes in, its cache, and what it must not do."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from convert.artifact import Artifact
from convert.manifest import FileEntry
from runtimes import registry
from runtimes.base import Options, UnavailableError
from runtimes.mnn import model_file as mnn_file

pytest.importorskip("MNN")
MNN = registry.get("mnn")


def off(logits: np.ndarray, expected: np.ndarray) -> float:
    """Largest difference, relative to the largest logit."""
    return float(np.abs(logits - expected).max() / np.abs(expected).max())


def with_model(artifact: Artifact, folder: Path, content: bytes) -> Artifact:
    """Another artifact, with a model.onnx of that content."""
    files = {"model.onnx": FileEntry(len(content), str(hash(content)))}
    (folder / "model.onnx").write_bytes(content)
    return Artifact(folder, replace(artifact.manifest, files=files))


def test_batches_change_and_results_stay(
    toy_artifact: Artifact, images: np.ndarray, expected: np.ndarray, cache: str
) -> None:
    with MNN.open(toy_artifact, Options(cache=cache)) as session:
        kept = {}
        for batch in (1, 4, 2, 1):
            kept[batch] = session.run(images[:batch])
            assert kept[batch].shape == (batch, 7)
            assert off(kept[batch], expected[:batch]) < 5e-6
        session.run(images[:1] + 1)
        assert off(kept[1], expected[:1]) < 5e-6, "the next run must leave an earlier result alone"
        np.testing.assert_array_equal(session.run(images[:1]), kept[1], "the input must be given anew before each run")


def test_the_converter_by_itself_takes_another_gelu(
    toy_artifact: Artifact, images: np.ndarray, expected: np.ndarray, cache: str
) -> None:
    with MNN.open(toy_artifact, Options(cache=cache, extra={"gelu": "tanh"})) as session:
        assert off(session.run(images), expected) > 2e-5, "and that is after two blocks only"
        assert session.effective().details["operators"]["GELU"] == 2
    with MNN.open(toy_artifact, Options(cache=cache)) as session:
        assert session.effective().details["operators"]["GELU_STANDARD"] == 2


@pytest.mark.parametrize("threads", [1, 2])
def test_effective_is_read_back(toy_artifact: Artifact, cache: str, threads: int) -> None:
    with MNN.open(toy_artifact, Options(cache=cache, threads=threads)) as session:
        effective = session.effective()
    assert (effective.precision, effective.device, effective.details["threads"]) == ("fp32", "CPU", threads)
    assert effective.details["weights_by_type"].keys() == {"float32"}
    assert set(effective.details["fraction_bits_kept"].values()) == {23}
    assert effective.details["precision_of_each_layer"] == "not reported by MNN"


@pytest.mark.parametrize(
    ("arguments", "precision", "stored", "bits"),
    [(["--fp16"], "fp16", "float16", 10), (["--weightQuantBits", "8"], "int8", "int8", 0)],
)
def test_a_lower_precision_shows(
    toy_artifact: Artifact,
    cache: str,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    precision: str,
    stored: str,
    bits: int,
) -> None:
    monkeypatch.setattr(mnn_file, "_ARGUMENTS", (*mnn_file._ARGUMENTS, *arguments))
    with MNN.open(toy_artifact, Options(cache=cache)) as session:
        effective = session.effective()
        assert effective.precision == precision
        assert stored in effective.details["weights_by_type"]
        assert effective.details["fraction_bits_kept"]["weights"] == bits, "the probe alone would have noticed, too"


def test_a_conversion_is_used_again_and_made_again_when_damaged(
    toy_artifact: Artifact, images: np.ndarray, expected: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = Options(cache=str(tmp_path))

    def logits() -> np.ndarray:
        with MNN.open(toy_artifact, options) as session:
            return session.run(images)

    logits()
    (weights,) = tmp_path.rglob("model.mnn.weight")
    with monkeypatch.context() as patched:
        patched.setattr("convert.common.worker.call", lambda *_: pytest.fail("converted again"))
        logits()
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-4000])  # MNN itself takes what is missing for zeros and says nothing
    assert off(logits(), expected) < 5e-6
    assert len(weights.read_bytes()) == len(whole)
    (weights.parent / "made.json").write_text('{"bytes": ')
    assert off(logits(), expected) < 5e-6
    monkeypatch.setattr("MNN.version", lambda: "0.0")
    logits()
    assert len(list(tmp_path.rglob("model.mnn"))) == 2, "another version of MNN has its own"
    assert not list(tmp_path.rglob(".*")), "nothing half-made is left"


@pytest.mark.parametrize(
    ("content", "reason"), [(b"no model", "MNN's converter failed.*not onnx model"), (b"", "MNN's converter failed")]
)
def test_what_cannot_be_converted_gives_the_converters_words(
    toy_artifact: Artifact, tmp_path: Path, content: bytes, reason: str
) -> None:
    with pytest.raises(UnavailableError, match=reason):
        MNN.open(with_model(toy_artifact, tmp_path, content), Options())
    assert not (tmp_path / "cache").exists() or not list((tmp_path / "cache").rglob("*.mnn"))


def test_an_operator_that_mnn_lacks_is_named(toy_artifact: Artifact, tmp_path: Path) -> None:
    from onnx import TensorProto, helper

    tensor = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Fancy", ["x"], ["y"], domain="my")], "g", tensor[:1], tensor[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("my", 1)], ir_version=8)
    with pytest.raises(UnavailableError, match="ONNX::Fancy"):
        MNN.open(with_model(toy_artifact, tmp_path, model.SerializeToString()), Options())


def test_a_model_of_one_batch_size_is_not_run_with_another(toy_artifact: Artifact, tmp_path: Path) -> None:
    from onnx import TensorProto, helper, numpy_helper

    x, y = (helper.make_tensor_value_info(*one) for one in (("x", TensorProto.FLOAT, [1, 3, 4, 4]), ("y", 1, [1, 5])))
    constants = {"shape": np.array([1, 48]), "weights": np.ones((48, 5), np.float32)}
    nodes = [
        helper.make_node("Reshape", ["x", "shape"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weights"], ["y"]),
    ]
    inside = [numpy_helper.from_array(array, name) for name, array in constants.items()]
    graph = helper.make_graph(nodes, "g", [x], [y], inside)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    artifact = with_model(toy_artifact, tmp_path, model.SerializeToString())
    with MNN.open(artifact, Options()) as session:
        for _ in range(2):  # MNN itself stays at the size that failed
            with pytest.raises(UnavailableError, match="cannot resize this model to a batch of 2"):
                session.run(np.ones((2, 3, 4, 4), np.float32))
        np.testing.assert_array_equal(session.run(np.ones((1, 3, 4, 4), np.float32)), np.full((1, 5), 48))


def test_weights_beside_the_model_and_several_outputs(
    toy_artifact: Artifact, images: np.ndarray, expected: np.ndarray, tmp_path: Path
) -> None:
    import onnx
    from onnx import TensorProto, helper
    from onnx.external_data_helper import convert_model_to_external_data

    model = onnx.load(toy_artifact.onnx)
    inner = next(node.output[0] for node in model.graph.node if node.op_type == "Softmax")
    for node in model.graph.node:  # a name before `logits` in the alphabet, which is how MNN sorts them
        for names in (node.input, node.output):
            names[:] = ["attention" if name == inner else name for name in names]
    model.graph.output.append(helper.make_tensor_value_info("attention", TensorProto.FLOAT, ["batch", 2, 17, 17]))
    convert_model_to_external_data(
        model, location="model.onnx.data", size_threshold=100
    )  # MNN 3.6 crashes on scalars there
    onnx.save(model, tmp_path / "model.onnx")
    with MNN.open(Artifact(tmp_path, toy_artifact.manifest), Options()) as session:
        assert [output.name for output in session.outputs] == ["logits", "attention"]
        assert off(session.run(images), expected) < 5e-6
        found = session.run_all(images)
    np.testing.assert_allclose(found["attention"].sum(-1), np.ones((len(images), 2, 17)), atol=1e-5)
    assert off(found["logits"], expected) < 5e-6


# In a process of its own, since this one has other packages loaded: whatever Python or a package of it would start,
# install or send passes the audit hook.
_ALONE = """
import sys
from dataclasses import replace
from pathlib import Path
import numpy as np
started = []
watched = ("socket.connect", "socket.getaddrinfo", "subprocess.Popen", "os.system", "os.posix_spawn", "os.fork")
sys.addaudithook(lambda event, args: started.append((event, str(args[:1]))) if event in watched else None)
from convert import artifact
from runtimes import registry
from runtimes.base import Options
toy = artifact.load(Path(sys.argv[1]))
with registry.get("mnn").open(toy, Options(cache=sys.argv[2])) as session:
    session.run(np.zeros((2, 3, 32, 32), np.float32))
    session.effective()
from runtimes.mnn import model_file as mnn_file
mnn_file.convert({"onnx": str(toy.onnx), "folder": sys.argv[3], "arguments": ["--saveExternalData"]})
print({"started": started, "tools": sorted(name for name in sys.modules if name.startswith("MNN.tools"))})
"""


def test_mnn_installs_sends_and_prints_nothing(toy_artifact: Artifact, cache: str, tmp_path: Path) -> None:
    MNN.open(toy_artifact, Options(cache=cache)).close()  # the conversion starts a process: that one is ours
    command = [sys.executable, "-c", _ALONE, str(toy_artifact.path), cache, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[3])
    assert done.stdout.splitlines()[-1] == str({"started": [], "tools": []})


_THROUGH_INFER = """
import json, sys
from pathlib import Path
import numpy as np
from convert import artifact
from runtimes.base import Options
from runtimes.infer import Pass, infer
from runtimes.registry import examine
toy = artifact.load(Path(sys.argv[1]))
found = infer(toy, "mnn", Options(cache=sys.argv[2]), np.zeros((1, 3, 32, 32), np.float32), [Pass(1, [0])])
print(json.dumps([found[1].precision, examine(["mnn"])["mnn"]["available"]]))
"""


def test_standard_output_belongs_to_the_command(toy_artifact: Artifact, cache: str) -> None:
    command = [sys.executable, "-c", _THROUGH_INFER, str(toy_artifact.path), cache]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[3])
    assert json.loads(done.stdout) == ["fp32", True]


def test_a_product_that_mnn_gets_wrong_at_larger_batches_is_converted_for_each(
    toy_artifact: Artifact, images: np.ndarray, cache: str, tmp_path: Path
) -> None:
    """Two activations, of which one is shared by all heads: wrong above a batch of 1, unless the file fixes it."""
    model = onnx.load(toy_artifact.onnx)
    _share_keys(model)
    shared = with_model(toy_artifact, tmp_path, model.SerializeToString())
    assert mnn_file.broadcasts(shared.onnx) == ["MatMul.shared"]
    assert mnn_file.broadcasts(toy_artifact.onnx) == []
    exact = ort.InferenceSession(str(shared.onnx), providers=["CPUExecutionProvider"])
    with MNN.open(shared, Options(cache=cache)) as session:
        for count in (1, 2, 3, 2, 1):
            expected = exact.run(None, {"x": images[:count]})[0]
            np.testing.assert_allclose(session.run(images[:count]), expected, rtol=1e-4, atol=1e-5)
            assert session.effective().details.get("converted_for_batch") == (None if count == 1 else count)
    shipped = replace(shared, manifest=replace(shared.manifest, form="mnn"))
    with MNN.open(shared, Options(cache=cache)) as session:
        session._artifact = shipped  # type: ignore[attr-defined]
        with pytest.raises(UnavailableError, match=r"this model has MatMul\.shared: give --batch 1"):
            session.run(images[:2])


def _share_keys(model: onnx.ModelProto) -> None:
    """Put a product of activations, one operand of which all heads share, between the logits and the output."""
    graph, make = model.graph, onnx.helper.make_node
    for node in graph.node:
        node.output[:] = ["plain" if name == "logits" else name for name in node.output]
    constants = {"one": [0, 1, 7, 1], "flat": [0, -1]}
    graph.initializer.extend(onnx.numpy_helper.from_array(np.array(v, np.int64), k) for k, v in constants.items())
    graph.initializer.append(onnx.numpy_helper.from_array(np.arange(1, 8, dtype=np.float32).reshape(1, 7, 1, 1), "by"))
    graph.node.extend(
        [
            make("Reshape", ["plain", "one"], ["column"], name="Reshape.column"),
            make("Transpose", ["column"], ["row"], name="Transpose.row", perm=[0, 1, 3, 2]),
            make("Mul", ["row", "by"], ["rows_of_heads"], name="Mul.heads"),
            make("MatMul", ["rows_of_heads", "column"], ["product"], name="MatMul.shared"),
            make("Reshape", ["product", "flat"], ["logits"], name="Reshape.logits"),
        ]
    )
