"""ncnn on the CPU."""

from __future__ import annotations

from typing import Any

import numpy as np

from convert.artifact import Artifact
from convert.precision.table import BF16, FP32
from runtimes import kept_form
from runtimes.base import (
    Effective,
    Footprint,
    Options,
    Runtime,
    Session,
    TensorInfo,
    UnavailableError,
    lowest_precision,
)
from runtimes.ncnn import model_file as ncnn_file
from runtimes.ncnn import net as ncnn_net
from runtimes.probe import significand
from runtimes.records.parts import Arithmetic


class _NcnnSession(Session):
    def __init__(self, artifact: Artifact, options: Options) -> None:
        # bf16 is ncnn's own switch on the FP32 model.
        self._folder = kept_form.shipped(artifact, "ncnn") or ncnn_file.converted(artifact.fp32, options)
        self._made = kept_form.read(self._folder)
        self._precision, self._threads = options.precision, options.thread_count()
        self._net = self._load(ncnn_net.MODEL)
        self._shapes = {name: tuple(shape) for name, shape in self._made["shapes"].items()}
        self.inputs = (self._info(self._made["input"]),)
        self.outputs = tuple(map(self._info, self._made["outputs"]))

    def _load(self, name: str) -> Any:
        return ncnn_net.load(self._folder / name, self._precision, self._threads)

    def _info(self, name: str) -> TensorInfo:
        return TensorInfo(name, "float32", (-1, *self._shapes[name]))

    def _run(self, images: np.ndarray) -> np.ndarray:
        return self._compute(images, self.outputs[:1])[self.outputs[0].name]

    def _run_all(self, images: np.ndarray) -> dict[str, np.ndarray]:
        return self._compute(images, self.outputs)

    def _compute(self, images: np.ndarray, outputs: tuple[TensorInfo, ...]) -> dict[str, np.ndarray]:
        # ncnn takes an image of any size, and what it answers is not even finite.
        if images.shape[1:] != self.inputs[0].shape[1:] or images.dtype != np.float32:
            wanted = f"{self.inputs[0].shape[1:]} float32"
            raise UnavailableError(f"images of {images.shape[1:]} {images.dtype}; the model takes {wanted}")
        found = ncnn_net.run(self._net, self.inputs[0].name, images, [output.name for output in outputs])
        for output in outputs:
            if found[output.name].shape != (len(images), *output.shape[1:]):
                raise UnavailableError(f"ncnn answers {found[output.name].shape} for {output.name}")
        return found

    def effective(self) -> Effective:
        # ncnn does not say what it computes in.
        net = self._load(ncnn_net.PROBE)
        probe = self._made["probe"]
        bits = significand.bits(**ncnn_net.run(net, probe["input"], significand.INPUT, probe["outputs"]))
        details = {
            "read_from": "arithmetic: a probe with the same settings; rest: the net",
            "fraction_bits_kept": bits,
            "precision_of_each_layer": "not reported by ncnn",
            "options": {name: getattr(self._net.opt, name) for name in (*ncnn_net.LOWER, "use_vulkan_compute")},
            "layers": self._made["layers"],
            "written_by": self._made["writer"],
            "threads": self._net.opt.num_threads,
        }
        device = "GPU" if self._net.opt.use_vulkan_compute else "CPU"
        ran = Arithmetic(reason="ncnn does not tell what each layer computed in")
        return Effective(lowest_precision(map(significand.widest_type, bits.values())), device, details, ran)

    def close(self) -> None:
        self._net.clear()
        del self._net


NCNN = Runtime(
    name="ncnn",
    package="ncnn",
    distributions=("ncnn",),
    precisions=(FP32, BF16),
    devices=lambda: ["CPU"],  # Vulkan is not offered: nothing here could try it
    open_session=_NcnnSession,
    intermediate=True,
    loads=("ncnn",),
    holds_lock=True,
    writes_cache="always",
    footprint=Footprint(),
    order=60,
)

RUNTIMES = (NCNN,)
