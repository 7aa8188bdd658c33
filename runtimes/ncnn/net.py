"""ncnn's net of a .param and .bin, and one pass through it, with every return code looked at: it raises nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from convert.precision.table import BF16, FP32
from runtimes.base import UnavailableError
from runtimes.quiet import stdout_to

MODEL, PROBE = "model", "probe"  # the names of both nets in a folder

# Net.opt's switches for something else than FP32: most are on by default, and they are read while the graph is loaded.
LOWER = (
    *("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic", "use_bf16_packed", "use_bf16_storage"),
    *("use_int8_inference", "use_int8_packed", "use_int8_storage", "use_int8_arithmetic"),
)
ON: dict[str, tuple[str, ...]] = {FP32: (), BF16: ("use_bf16_packed", "use_bf16_storage")}


class UnknownError(Exception):
    """What there is no form of for ncnn; the message says what is not known, in a clause."""


def load(model: Path, precision: str = FP32, threads: int = 1) -> Any:
    """The net of `model`.param and .bin. precision: a key of ON. UnavailableError when ncnn does not load them."""
    import ncnn

    net = ncnn.Net()
    net.opt.use_vulkan_compute = False
    net.opt.num_threads = threads
    for name in LOWER:
        setattr(net.opt, name, name in ON[precision])
    with stdout_to(2):
        for read, kind in ((net.load_param, ".param"), (net.load_model, ".bin")):
            if error := read(str(model.with_suffix(kind))):
                raise UnavailableError(f"ncnn cannot load {model.with_suffix(kind)} (error {error})")
    return net


def run(net: Any, name: str, images: np.ndarray, outputs: list[str]) -> dict[str, np.ndarray]:
    """Outputs by name, each (batch, ...) float32. images: (batch, ...) float32. UnavailableError as for `load`."""
    import ncnn

    extractor = net.create_extractor()
    if error := extractor.input(name, ncnn.Mat(images, batch_index=0)):
        raise UnavailableError(f"ncnn takes no input {name} (error {error})")
    found = {}
    for output in outputs:
        error, blob = extractor.extract(output)
        if error:
            raise UnavailableError(f"ncnn could not compute {output} (error {error})")
        found[output] = blob.numpy(batch_index=0)
    return found
