"""From an FP32 artifact to the same model in a lower precision, in a process of its own: a whole model is in memory."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sized
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from convert import artifact as artifacts
from convert.artifact import ONNX_FILE, Artifact
from convert.common import typed
from convert.common.errors import InputError, listing
from convert.manifest import CalibrationSet, KeptOperator, Lowering, LoweringOptions, OperatorCounts
from convert.precision import calibrate, calibration_images, convolutions, half, int8, reach, saturation, share
from convert.precision.operators import Operator, operators, weights
from convert.precision.portability import FULL
from convert.precision.table import FP16, INT8, SMOOTH

# An operator whose output stands less than this above int8's noise stays FP32 unless told otherwise. On the trained
# tiny ViT one is at 8.9 dB (it reads a channel that is 30 times as large as all others); the next one is at 24.3.
LEAST_DB = 15.0
# Convolutions get a rounding behind them, without which ONNX Runtime computes them in FP32, where they are more than
# this share of the arithmetic. The patch embedding of a ViT is 0.3 to 2.6 %: nothing to gain, and what it gives is in
# every later sum.
LEAST_CONVOLVED = 0.05


def run_job(job: Mapping[str, Any]) -> dict[str, Any]:
    """Write model.onnx into a folder. job: base, folder (paths), precision, and the options that a manifest has.

    Returns what the manifest says of it, a `Lowering` as JSON types.
    InputError: the calibration images, an unknown operator. GraphError: the graph cannot be lowered.
    """
    base = artifacts.load(Path(job["base"]))
    precision, options = job["precision"], typed.read(LoweringOptions, job)
    model = onnx.load(base.onnx)
    found = {operator.name: operator for operator in operators(model, weights(model))}
    unknown = sorted(set(options.keep_fp32 or ()) - set(found))
    if unknown:
        raise InputError(
            f"--keep-fp32 {listing(unknown)}: no such operator; there are {', '.join(list(found)[:7])}, ..."
        )
    if precision == INT8:
        lowering = _to_int8(model, found, options, base)
    else:
        lowering = _to_half(model, found, precision, options, base)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, Path(job["folder"], ONNX_FILE))
    table: dict[str, Any] = typed.table(lowering)
    return table


def _to_half(
    model: onnx.ModelProto, found: Mapping[str, Operator], precision: str, options: LoweringOptions, base: Artifact
) -> Lowering:
    inputs = reach.images(base.preprocessing)
    reaches = reach.observe(model, precision, inputs)
    asked = dict.fromkeys(options.keep_fp32 or (), "asked for")
    kept: dict[str, str] = dict(asked)
    while True:  # what an operator gives in FP32 is rounded where the next one reads it
        outputs = {found[name].output for name in kept}
        operators = reach.by_operator(model, precision, outputs, reaches, found.values())
        more = {name: one.reason for name, one in operators.items() if one.reason}
        if not more:
            break
        kept |= more
    needed = {name: reason for name, reason in kept.items() if name not in asked}
    if options.keep_fp32 is not None and needed:
        name, reason = next(iter(needed.items()))
        raise InputError(
            f"--keep-fp32 {','.join(asked) or 'none'}: {precision} cannot hold {listing(needed)} ({name}: {reason}, on "
            f"{inputs.source}): leave --keep-fp32 out, or give --keep-fp32 {','.join(kept)}"
        )
    counted = share.macs(model, found.values())
    lowered = half.lower(model, precision, outputs)
    names = [name for name, operator in found.items() if operator.output in lowered]
    share.check(precision, names, found.values(), kept, counted)
    if precision == FP16:  # ONNX Runtime's processor kernels know no bf16
        reach.verify(model, inputs, found.values())
    largest = sorted(operators.items(), key=lambda one: -one[1].largest)
    return Lowering(
        multiplying=_counts(names, found),
        share=share.of(names, counted),
        macs_by_operator=counted or None,
        kept_fp32=_kept(kept),
        largest={name: float(f"{one.largest:.4g}") for name, one in largest},
    )


def _to_int8(
    model: onnx.ModelProto, found: Mapping[str, Operator], options: LoweringOptions, base: Artifact
) -> Lowering:
    # The products of attention stay FP32: they are a few percent of the multiplications, and softmax's output rounded
    # to 127 levels alone cost the trained tiny ViT 7 of 438 right answers, where qkv, proj or fc1 alone cost none.
    convolved = share.of([name for name, one in found.items() if one.kind == "Conv"], share.macs(model, found.values()))
    worth = convolved is None or convolved > LEAST_CONVOLVED
    if worth:
        convolutions.fold(model)
        convolutions.settle_sizes(model)
        found = {operator.name: operator for operator in operators(model, weights(model))}
    counted = share.macs(model, found.values())
    linear = _worth_it(found.values(), weights(model))
    behind = [operator.output for operator in linear if operator.kind == "Conv" and worth]
    folder = Path(options.calibration) if options.calibration else None
    in_fp32 = options.keep_fp32
    asked = [f" --int8-range {options.int8_range}"] if options.int8_range is not None else []
    asked += [f" --smooth {options.smooth:g}"] if options.smooth is not None else []
    asked += [f" --keep-fp32 {shlex.quote(','.join(in_fp32) or 'none')}"] if in_fp32 is not None else []
    inputs, hashes = calibration_images.preprocessed(folder, base, "".join(asked))
    tensors = [name for operator in linear for name in operator.activations]
    fit, strength = options.int8_range or FULL, SMOOTH if options.smooth is None else options.smooth
    smoothed: dict[str, np.ndarray] = {}
    if strength:
        smoothed = int8.smooth(model, linear, calibrate.observe(model, tensors, inputs.images), strength)
    stored = weights(model)
    linear = _worth_it(operators(model, stored), stored)  # what they read has other names now
    tensors = [name for operator in linear for name in operator.activations]
    ranges = calibrate.observe(model, [*tensors, *behind], inputs.images)
    noise = {
        one.name: int8.signal_to_noise_db(
            one, stored[str(one.weight)], ranges, smoothed.get(one.name), one.output in behind, fit
        )
        for one in linear
    }
    if options.keep_fp32 is None:
        kept = {name: f"{value:.1f} dB above int8's noise" for name, value in noise.items() if value < LEAST_DB}
    else:
        kept = dict.fromkeys(options.keep_fp32, "asked for")
    lowered = [operator for operator in linear if operator.name not in kept]
    names = [operator.name for operator in lowered]
    share.check(INT8, names, found.values(), kept, counted)
    int8.quantize(model, lowered, ranges, behind, fit)
    return Lowering(
        multiplying=_counts(names, found),
        share=share.of(names, counted),
        macs_by_operator=counted or None,
        kept_fp32=_kept(kept),
        signal_to_noise_db={name: round(value, 2) for name, value in sorted(noise.items(), key=lambda one: one[1])},
        smoothed=tuple(sorted(smoothed)),
        calibration=CalibrationSet(inputs.source, len(inputs.images), inputs.sha256, tuple(hashes)),
        saturation=saturation.certify(model, ranges),
    )


def _worth_it(found: Iterable[Operator], stored: Mapping[str, np.ndarray]) -> list[Operator]:
    """The operators that int8 can make faster: those with a weight, but for depthwise convolutions.

    A depthwise convolution multiplies as few values as its kernel has for each that it gives, so that rounding them
    costs more than it saves, and what GELU is made of does not fuse behind it. Time of int8 with those of PVTv2_B0 in
    FP32 over that with them in int8: 0.68 on ONNX Runtime, 0.74 on OpenVINO; of MobileNetV3_small 0.93 and 0.94 (CPU
    time in turns, one thread of an AMD EPYC with AVX2 alone).
    """
    weighted = [operator for operator in found if operator.weight is not None]
    return [one for one in weighted if one.kind != "Conv" or stored[str(one.weight)].shape[1] > 1]


def _kept(reasons: Mapping[str, str]) -> tuple[KeptOperator, ...]:
    return tuple(KeptOperator(name, reason) for name, reason in reasons.items())


def _counts(lowered: Sized, found: Sized) -> OperatorCounts:
    return OperatorCounts(len(lowered), len(found) - len(lowered))
