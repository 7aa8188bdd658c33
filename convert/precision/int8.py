"""Post-training quantisation to int8 as QuantizeLinear and DequantizeLinear that every runtime takes.

Symmetric everywhere, weights per output channel, no bias in int32: TensorRT's parser takes nothing else, ONNX Runtime
and OpenVINO take it as well. onnxruntime's own quantizer writes the same nodes but has neither the smoothing nor a
measure of what an operator loses, and needs a file of its own for every step.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping

import numpy as np
import onnx
from onnx import helper, numpy_helper

from convert.precision import saturation
from convert.precision.calibrate import Range
from convert.precision.operators import Operator
from convert.precision.portability import FULL, PORTABLE
from convert.precision.saturation import EXACT, LEVELS

_ZERO = np.array(0, np.int8)


def smooth(
    model: onnx.ModelProto, chosen: Iterable[Operator], ranges: Mapping[str, Range], strength: float
) -> dict[str, np.ndarray]:
    """Make the channels that linear layers read alike, so that one int8 scale fits them all.

    Returns, by layers' names, what was taken from each channel of the smoothed activations, and is in the bias now.

    Channel j of the activations is shifted to the middle of its range (Wei et al. 2023, arXiv 2304.09145) and divided
    by a factor that row j of the weight is multiplied by (SmoothQuant). Exact in real numbers. After a
    LayerNormalization it costs nothing, since its scale and bias take it; after GELU it is a Mul and an Add, and
    matters most: GELU's output begins at -0.17, and symmetric int8 would leave half of its levels unused. Only where
    nothing else reads the activations. Changes the model; ranges must be observed again. strength: `--smooth`, above 0.
    """
    graph = model.graph
    stored = {tensor.name: tensor for tensor in graph.initializer}
    makers = {node.output[0]: node for node in graph.node}
    readers = Counter(name for node in graph.node for name in node.input)
    done: dict[str, np.ndarray] = {}
    inserted: dict[str, list[onnx.NodeProto]] = {}
    for operator in chosen:
        source = operator.activations[0]
        maker = makers.get(source)
        if operator.kind != "MatMul" or operator.weight is None or maker is None or readers[source] > 1:
            continue
        normalised = maker.op_type == "LayerNormalization"
        own = [stored[name] for name in maker.input[1:3] if name in stored and readers[name] == 1] if normalised else []
        if maker.op_type not in ("Gelu", "Mul") and len(own) != 2:
            continue
        weight, bias = stored[operator.weight], _bias(graph, operator)
        values = numpy_helper.to_array(weight)
        reach = ranges[source]
        shifts = (reach.high + reach.low) / 2 if bias is not None else np.zeros(len(values), np.float32)
        factors = _factors(np.maximum(reach.high - shifts, shifts - reach.low), np.abs(values).max(axis=1), strength)
        if bias is not None:
            _replace(bias, numpy_helper.to_array(bias) + shifts.astype(np.float64) @ values)
        _replace(weight, values * factors[:, None])
        if normalised:
            _replace(own[0], numpy_helper.to_array(own[0]) / factors)
            _replace(own[1], (numpy_helper.to_array(own[1]) - shifts) / factors)
        else:
            inserted[operator.output] = _scale_and_shift(graph, source, 1 / factors, -shifts / factors)
        done[operator.name] = shifts / factors
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        if added := inserted.get(node.output[0]):
            nodes.extend(added)
            node.input[0] = added[-1].output[0]
        nodes.append(node)
    del graph.node[:]
    graph.node.extend(nodes)
    return done


def _bias(graph: onnx.GraphProto, operator: Operator) -> onnx.TensorProto | None:
    """The bias that is added to an operator's output, where there is one that nothing else reads."""
    reading = [node for node in graph.node if operator.output in node.input]
    if len(reading) != 1 or reading[0].op_type != "Add":
        return None
    readers = Counter(name for node in graph.node for name in node.input)
    alone = (tensor for tensor in graph.initializer if tensor.name in reading[0].input and readers[tensor.name] == 1)
    return next(alone, None)


def _factors(activations: np.ndarray, weights: np.ndarray, alpha: float) -> np.ndarray:
    """s_j = activations_j^alpha / weights_j^(1 - alpha), scaled so that their geometric mean is 1; float32."""
    least = np.finfo(np.float32).tiny
    powers = alpha * np.log(np.maximum(activations, least)) - (1 - alpha) * np.log(np.maximum(weights, least))
    powers[(activations <= least) | (weights <= least)] = np.nan  # a dead channel stays as it is
    if np.isnan(powers).all():
        return np.ones(len(powers), np.float32)
    return np.asarray(np.exp(np.nan_to_num(powers - np.nanmean(powers))), np.float32)


def _scale_and_shift(graph: onnx.GraphProto, name: str, factor: np.ndarray, shift: np.ndarray) -> list[onnx.NodeProto]:
    names = [f"{name}_{part}" for part in ("factor", "scaled", "shift", "smoothed")]
    for part, array in ((names[0], factor), (names[2], shift)):
        graph.initializer.append(numpy_helper.from_array(array.astype(np.float32), part))
    return [
        helper.make_node("Mul", [name, names[0]], [names[1]], name=f"{name}_Smooth_Mul"),
        helper.make_node("Add", [names[1], names[2]], [names[3]], name=f"{name}_Smooth_Add"),
    ]


def signal_to_noise_db(
    operator: Operator,
    weight: np.ndarray,
    ranges: Mapping[str, Range],
    shifted: np.ndarray | None,
    rounded_behind: bool = False,
    fit: str = FULL,
) -> float:
    """How far an operator's output stands above what int8 adds to it: dB of the median token, on the first images.

    shifted: what `smooth` took from its activations. The median, since a ViT has single tokens that are a hundred times
    larger than the others. Computed in float32 from what the operator reads there; a convolution, whose patches are not
    laid out for a product, by its weights alone, and by the rounding of its output where it has one (`rounded_behind`).
    fit: how much of int8 the weights may take, `--int8-range`.
    """
    rounded = _rounded(weight, operator, fit)
    if operator.kind == "Conv":
        noise = float(np.square(rounded - weight).sum()) / (float(np.square(weight).sum()) or 1)
        if rounded_behind:
            given = ranges[operator.output]
            assert given.first is not None
            noise += ((given.largest / LEVELS or 1) ** 2 / 12) / (
                float(np.square(given.first).mean()) or 1
            )  # of a rounding, evenly distributed
        return _db(1, noise)
    seen = ranges[operator.activations[0]]
    assert seen.first is not None
    step = np.float32(seen.largest / LEVELS or 1)
    columns, lost = (one if operator.axis == 1 else one.T for one in (weight, rounded - weight))
    whole = seen.first if shifted is None else seen.first + shifted.astype(np.float32)
    around = (np.rint(seen.first / step) * step - seen.mean).astype(np.float32)  # as the corrected bias leaves it
    noise = around @ lost + (np.rint(seen.first / step) * step - seen.first) @ columns
    powers = (np.square(one).sum(axis=1).tolist() for one in (whole @ columns, noise))
    return float(np.median([_db(one, other) for one, other in zip(*powers, strict=True)]))


def _db(signal: float, noise: float) -> float:
    least = float(np.finfo(np.float32).tiny)
    return 10 * math.log10(max(signal, least) / max(noise, least))


def quantize(
    model: onnx.ModelProto,
    chosen: Collection[Operator],
    ranges: Mapping[str, Range],
    behind: Collection[str] = (),
    fit: str = FULL,
) -> None:
    """Put QuantizeLinear and DequantizeLinear before the chosen operators; their weights become int8. In place.

    behind: outputs that get them too. ONNX Runtime computes a convolution in int8 only where they stand on both sides
    (its documentation on quantization, "QDQ format"). fit: how much of int8 the weights may take, `--int8-range`.

    What rounding the weights does to the mean output is taken out of the bias (Nagel et al. 2019, arXiv 1906.04721,
    section 4.2, with the mean from the calibration images). An activation's scale takes in the largest value seen:
    cutting off there where the mean square error is least was worse on a trained ViT once its outliers were smoothed
    (431 instead of 437 of 500 right).
    """
    graph = model.graph
    stored = {tensor.name: tensor for tensor in graph.initializer}
    by_output = {operator.output: operator for operator in chosen}
    for operator in chosen:
        bias = _bias(graph, operator) if operator.kind == "MatMul" else None
        if bias is not None:
            values = numpy_helper.to_array(stored[str(operator.weight)])
            error = ranges[operator.activations[0]].mean @ (_rounded(values, operator, fit) - values)
            _replace(bias, numpy_helper.to_array(bias) - error)
    nodes: list[onnx.NodeProto] = []
    done: dict[str, str] = {}
    for node in graph.node:
        lowered = by_output.get(node.output[0])
        if lowered is not None:
            for i in range(2):
                name = node.input[i]
                if name not in done:
                    added = (
                        _weight(graph, stored[name], lowered, fit)
                        if name == lowered.weight
                        else _activation(graph, name, ranges[name].largest)
                    )
                    nodes.extend(added)
                    done[name] = added[-1].output[0]
                node.input[i] = done[name]
        nodes.append(node)
        if lowered is not None and (name := node.output[0]) in behind:
            node.output[0] = f"{name}{EXACT}"
            added = _activation(graph, node.output[0], ranges[name].largest)
            added[-1].output[0] = done[name] = name
            nodes.extend(added)
    del graph.node[:]
    graph.node.extend(nodes)
    replaced = {operator.weight for operator in chosen}
    kept = [tensor for tensor in graph.initializer if tensor.name not in replaced]
    del graph.initializer[:]
    graph.initializer.extend(kept)


def _activation(graph: onnx.GraphProto, name: str, largest: float) -> list[onnx.NodeProto]:
    scale, point, rounded, back = (f"{name}_{part}" for part in ("scale", "zero_point", "int8", "dequantized"))
    step = np.array(largest / LEVELS or 1, np.float32)
    graph.initializer.extend(numpy_helper.from_array(array, part) for array, part in ((step, scale), (_ZERO, point)))
    return [
        helper.make_node("QuantizeLinear", [name, scale, point], [rounded], name=f"{name}_QuantizeLinear"),
        helper.make_node("DequantizeLinear", [rounded, scale, point], [back], name=f"{name}_DequantizeLinear"),
    ]


def _weight(graph: onnx.GraphProto, tensor: onnx.TensorProto, operator: Operator, fit: str) -> list[onnx.NodeProto]:
    values, name, axis = numpy_helper.to_array(tensor), tensor.name, operator.axis
    steps = _steps(values, operator, fit)
    rounded = np.rint(values / steps).astype(np.int8)
    parts = {"int8": rounded, "scale": steps.reshape(-1), "zero_point": np.zeros(steps.size, np.int8)}
    graph.initializer.extend(numpy_helper.from_array(array, f"{name}_{part}") for part, array in parts.items())
    inputs = [f"{name}_{part}" for part in parts]
    return [
        helper.make_node(
            "DequantizeLinear", inputs, [f"{name}_dequantized"], name=f"{name}_DequantizeLinear", axis=axis
        )
    ]


def _steps(weight: np.ndarray, operator: Operator, fit: str) -> np.ndarray:
    """The scale of each output channel, in the weight's dimensions: its largest value becomes LEVELS, or less where
    neighbours could saturate."""
    others = tuple(i for i in range(weight.ndim) if i != operator.axis)
    steps = np.asarray(np.abs(weight).max(axis=others, keepdims=True) / LEVELS, np.float32)
    if fit == PORTABLE:
        steps = np.maximum(steps, saturation.least_steps(operator.kind, weight, operator.axis))
    steps[steps == 0] = 1
    return steps


def _rounded(weight: np.ndarray, operator: Operator, fit: str) -> np.ndarray:
    """A weight as int8 has it, in float32."""
    steps = _steps(weight, operator, fit)
    return np.asarray(np.rint(weight / steps) * steps, np.float32)


def _replace(tensor: onnx.TensorProto, values: np.ndarray) -> None:
    tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(values, np.float32), tensor.name))
