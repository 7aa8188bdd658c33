"""Paddle Inference with oneDNN computes a LayerNorm over channels wrongly that is written in five operators.

Seen with paddlepaddle 3.3.1 on x86; ConvNeXt has it. Prints the largest difference from plain kernels: 10.4 where the
largest value is 2.5 with the bug, below 1e-5 without. Exit status 1 while the bug is there.
"""

import tempfile
from typing import Any

import numpy as np
import paddle
from paddle import inference


class Norm(paddle.nn.Layer):  # type: ignore[misc]
    def forward(self, x: Any) -> Any:
        around = x - x.mean(1, keepdim=True)
        return around / paddle.sqrt(around.pow(2).mean(1, keepdim=True) + 1e-6)


def run(path: str, x: np.ndarray, onednn: bool) -> np.ndarray:
    config = inference.Config(f"{path}.json", f"{path}.pdiparams")
    config.disable_gpu()
    config.enable_mkldnn() if onednn else config.disable_mkldnn()
    return np.asarray(inference.create_predictor(config).run([paddle.to_tensor(x)])[0].numpy())


with tempfile.TemporaryDirectory() as folder:
    spec = paddle.static.InputSpec([None, 8, 16, 16], "float32")
    paddle.jit.save(paddle.jit.to_static(Norm(), [spec], full_graph=True), f"{folder}/norm")
    x = np.random.default_rng(0).normal(size=(2, 8, 16, 16)).astype(np.float32)
    plain, onednn = (run(f"{folder}/norm", x, switch) for switch in (False, True))
difference = np.abs(plain - onednn).max()
print(f"paddle {paddle.__version__}: {difference:.2g} apart, the largest value is {np.abs(plain).max():.2g}")
raise SystemExit(bool(difference > 1e-4))
