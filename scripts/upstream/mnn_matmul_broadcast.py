"""MNN computes a MatMul that broadcasts over heads wrongly at a dynamic batch of two or more.

Seen with MNN 3.6.1 on x86; MobileNetV4's attention has it, whose keys and values are shared by all heads. Prints the
largest difference from NumPy, for a batch that is free in the ONNX file and for one that is fixed there. Exit status 1
while the bug is there.
"""

import tempfile

import _tools  # MNN's converter; MNN.tools would install packages when it is imported
import MNN
import numpy as np
import onnx
from onnx import TensorProto, helper


def run(folder: str, batch: int | str, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    shapes = {"a": [batch, *a.shape[1:]], "b": [batch, *b.shape[1:]], "y": [batch, 4, 5, 7]}
    values = {name: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()}
    node = helper.make_node("MatMul", ["a", "b"], ["y"])
    graph = helper.make_graph([node], "g", [values["a"], values["b"]], [values["y"]])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), f"{folder}/m.onnx")
    _tools.mnnconvert(["mnnconvert", "-f", "ONNX", "--modelFile", f"{folder}/m.onnx", "--MNNModel", f"{folder}/m.mnn"])
    net = MNN.Interpreter(f"{folder}/m.mnn")
    session = net.createSession({"backend": "CPU", "precision": 1})
    inputs = {name: net.getSessionInput(session, name) for name in ("a", "b")}
    for name, array in (("a", a), ("b", b)):
        net.resizeTensor(inputs[name], array.shape)
    net.resizeSession(session)
    for name, array in (("a", a), ("b", b)):
        np.copyto(inputs[name].getNumpyData(), array)
    net.runSession(session)
    return np.array(net.getSessionOutput(session, "y").getNumpyData())


rng = np.random.default_rng(0)
a, b = (rng.normal(size=shape).astype(np.float32) for shape in ((2, 4, 5, 6), (2, 1, 6, 7)))
with tempfile.TemporaryDirectory() as folder:
    apart = {batch: np.abs(run(folder, batch, a, b) - a @ b).max() for batch in ("batch", 2)}
print(f"MNN {MNN.version()}: free batch {apart['batch']:.2g} apart, fixed batch {apart[2]:.2g}")
raise SystemExit(bool(apart["batch"] > 1e-4))
