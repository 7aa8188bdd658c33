"""What share of the arithmetic ran in which precision, on paper and on a convolution net that Paddle exported."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import paddle
import pytest
from paddle import nn

from convert.artifact import Artifact
from convert.build import Request, obtain
from convert.common.errors import InputError
from runtimes import registry
from runtimes.base import Effective, Options, discrepancy
from runtimes.ort.session import Node, products
from runtimes.records import arithmetic
from runtimes.records.arithmetic import Product
from runtimes.records.parts import Arithmetic

LARGE, SMALL = Product("conv", "fp32", 90), Product("head", "int8", 10)


def test_shares_are_of_multiply_accumulates_and_not_of_operators() -> None:
    found = arithmetic.shares([LARGE, *[Product(f"fc{i}", "int8", 1) for i in range(10)]], 100)
    assert found.shares == {"fp32": 0.9, "int8": 0.1}
    assert found.higher == ("conv (fp32, 90 %)",)
    said = discrepancy("ort-cpu", Effective("int8", "CPU", arithmetic=found), Options("int8"))
    assert said == (
        "ort-cpu computed 10 % of the arithmetic in int8, and more than 50 % is needed to call it that: "
        "not in int8 ran conv (fp32, 90 %)"
    )
    assert discrepancy("ort-cpu", Effective("fp32", "CPU", arithmetic=found), Options()) is None


@pytest.mark.parametrize(
    ("precision", "asked", "others", "said"),
    [
        ("int8", "int8", {"bf16": 0.49, "int8": 0.51}, None),
        ("int8", "int8", {"bf16": 0.5, "int8": 0.5}, "50 % of the arithmetic in int8"),
        ("bf16", "bf16", {"bf16": 0.3}, "of 70 % it does not tell"),
        ("tf32", "tf32", {"fp32": 1.0}, None),
    ],
)
def test_half_is_not_most(precision: str, asked: str, others: dict[str, float], said: str | None) -> None:
    found = discrepancy("x", Effective(precision, "CPU", arithmetic=Arithmetic(shares=others)), Options(asked))
    assert found is None if said is None else said in str(found)


def test_what_has_no_size_is_the_rest_where_that_can_be_told() -> None:
    rest = Product("attention", "fp32", None)
    assert arithmetic.shares([SMALL, rest], 40).shares == {"int8": 0.25, "fp32": 0.75}
    assert arithmetic.shares([SMALL, rest, Product("other", "int8", None)], 40).shares == {"int8": 0.25}
    for nothing in ([SMALL, rest], []):
        found = arithmetic.shares(nothing, None if nothing else 40)
        assert (found.shares, bool(found.reason)) == (None, True)


@pytest.mark.parametrize(
    ("operator", "reads", "writes", "macs"),
    [
        ("Conv", [(2, 3, 8, 8), (4, 3, 2, 2), (4,)], (2, 4, 4, 4), 2 * 4 * 16 * 12),
        ("QLinearConv", [(2, 3, 8, 8), (), (), (4,), (4,), (), ()], (2, 4, 4, 4), None),  # its weight is packed
        ("MatMul", [(2, 5, 7)], (2, 5, 3), 2 * 5 * 3 * 7),
        ("FusedMatMul", [(2, 7, 5), (2, 7, 3)], (2, 5, 3), 2 * 5 * 3 * 7),  # the first one transposed
        ("Gemm", [(5, 7), (3, 7), (3,)], (5, 3), 5 * 3 * 7),
        ("Attention", [(2, 5, 7)], (2, 5, 7), None),
    ],
)
def test_sizes_come_from_the_shapes_that_ran(
    operator: str, reads: list[tuple[int, ...]], writes: tuple[int, ...], macs: int | None
) -> None:
    node = Node("n", operator, "p", ("float",) * len(reads), ("float",), tuple(reads), (writes,))
    assert products([node]) == [Product("n", "fp32", macs)]


class _Net(nn.Layer):
    """A residual convolution net: BatchNormalization, biases, groups, and a tensor that two operators read."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.norm = nn.Conv2D(3, 8, 3, stride=2, padding=1, bias_attr=False), nn.BatchNorm2D(8)
        self.groups, self.body = nn.Conv2D(8, 8, 3, padding=1, groups=8), nn.Conv2D(8, 8, 3, padding=1)
        self.head = nn.Linear(8, 5)

    def forward(self, x: Any) -> Any:
        x = nn.functional.relu(self.norm(self.stem(x)))
        x = nn.functional.relu(x + self.body(nn.functional.hardswish(self.groups(x))))
        return self.head(x.flatten(2).mean(2))


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("net") / "net"
    paddle.seed(1)
    model = _Net()
    model.eval()
    static = paddle.jit.to_static(model, input_spec=[paddle.static.InputSpec([None, 3, 32, 32], "float32")])
    paddle.jit.save(static, str(folder / "inference"))
    return folder


@pytest.fixture(scope="module")
def int8(net: Path, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    root, photos = tmp_path_factory.mktemp("artifacts"), tmp_path_factory.mktemp("photos")
    cv2 = pytest.importorskip("cv2")
    for i in range(8):
        cv2.imwrite(str(photos / f"{i}.png"), np.random.default_rng(i).integers(0, 255, (32, 32, 3), np.uint8))
    return obtain(Request(str(net), None, "int8", root=root, calibration=photos), print)[0]


def test_no_shape_of_a_flatten_is_computed_in_int8(int8: Artifact) -> None:
    before, after = ({node.op_type for node in onnx.load(one.onnx).graph.node} for one in (int8.base, int8))
    assert ("Shape" in before, "Shape" in after) == (True, False)


@pytest.mark.parametrize("runtime", ["ort-cpu", "openvino"])
def test_a_convolution_net_in_int8_is_computed_in_int8(int8: Artifact, runtime: str) -> None:
    images = np.random.default_rng(9).uniform(-1, 1, (4, 3, 32, 32)).astype(np.float32)  # as it was calibrated on
    found = {}
    for artifact in (int8, int8.base):
        options = Options(artifact.precision, batches=(4,))
        with registry.get(runtime).open(artifact, options) as session:
            found[artifact.precision] = session.run(images)
            effective = session.effective()
        assert discrepancy(runtime, effective, options) is None
        assert effective.arithmetic
        assert (effective.arithmetic.shares or {})[artifact.precision] > 0.7
    error = np.square(found["int8"] - found["fp32"]).mean() / np.square(found["fp32"]).mean()
    assert 0 < error < 0.2**2


def test_what_is_computed_in_bf16_of_it_is_not_called_bf16(net: Path, int8: Artifact) -> None:
    with pytest.raises(InputError, match=r"bf16 lowered 1 of 4 .* a Conv, which ONNX has in bf16 from opset 22"):
        obtain(Request(str(net), None, "bf16", root=int8.path.parents[1]), print)
