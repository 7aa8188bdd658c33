"""Paddle Lite on x86, in the Python that VITBENCH_PADDLE_LITE_PYTHON names. Its speed here is no figure of a phone."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from convert.artifact import Artifact
from convert.precision.table import FP32
from runtimes.base import Effective, Options, Runtime, Session, TensorInfo, UnavailableError, lowest_precision
from runtimes.lite import interpreter, program
from runtimes.probe import significand
from runtimes.records.parts import Arithmetic


class _PaddleLiteSession(Session):
    def __init__(self, artifact: Artifact, options: Options) -> None:
        self._folder, self._threads = program.written(artifact, options), options.thread_count()
        (source,), (result,) = artifact.manifest.inputs, artifact.manifest.outputs
        self.inputs = (TensorInfo(source.name, source.dtype, source.shape),)
        self.outputs = (TensorInfo(result.name, result.dtype, result.shape),)
        self._predictor = interpreter.Predictor(
            self._folder / program.PROGRAM, self._folder / program.PARAMS, self._threads
        )

    def _run(self, images: np.ndarray) -> np.ndarray:
        (logits,) = self._predictor.run(images)
        if len(logits) != len(images):  # a program of a fixed batch gives one answer for many, and no error
            raise UnavailableError(f"Paddle Lite gave {len(logits)} answers for {len(images)} images")
        return logits.copy()

    def effective(self) -> Effective:
        # Paddle Lite does not say what it computes in.
        bits = significand.bits(*self._probe())
        details: Mapping[str, object] = {
            "read_from": "arithmetic: a probe with the same settings",
            "fraction_bits_kept": bits,
            "precision_of_each_layer": "not reported by Paddle Lite",
            "target": "x86, not a phone",
            "process": "a Python of its own: times include 4 bytes for each value through a pipe",
        }
        return Effective(
            lowest_precision(map(significand.widest_type, bits.values())),
            "CPU",
            dict(details),
            Arithmetic(reason="Paddle Lite does not tell"),
        )

    def _probe(self) -> list[np.ndarray]:
        probe = self._folder / program.PROBE
        predictor = interpreter.Predictor(probe, probe.with_suffix(".pdiparams"), self._threads)
        try:
            return predictor.run(significand.ROWS)
        finally:
            predictor.close()

    def close(self) -> None:
        self._predictor.close()


class _PaddleLite(Runtime):
    """A runtime whose package is in another Python."""

    def version(self) -> str | None:
        try:
            return interpreter.version()
        except UnavailableError:
            return None


def _devices() -> list[str]:
    interpreter.version()
    return ["CPU"]


PADDLE_LITE = _PaddleLite(
    name="paddle-lite",
    package="runtimes.lite.interpreter",
    distributions=("paddlelite",),
    precisions=(FP32,),
    devices=_devices,
    open_session=_PaddleLiteSession,
    reads="paddle",
    loads=("paddle-lite",),
    writes_cache="always",
    order=70,
)

RUNTIMES = (PADDLE_LITE,)
