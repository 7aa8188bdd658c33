"""How much time and memory a runtime takes, for the plan of a run."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Footprint:
    """How much time and memory a runtime takes. The defaults are for one that was not measured: the largest of those
    that were.

    start_s: a process and its imports. load_s: loading and first inference, per GB of model. base_bytes: of the process
    before the model. copies: of the model in memory at the peak. activations: multiples of one image's widest block.
    rate: multiply-accumulates per second and core of a CPU. converter_copies: of the model in the memory of a converter
    that runs beside the process. source: where the numbers come from.
    """

    start_s: float = 1.5
    load_s: float = 5.5
    base_bytes: int = 350 << 20
    copies: float = 2.1
    activations: float = 5.0
    rate: float = 38e9
    converter_copies: float = 0.0
    source: str = "not measured"


# A fresh process each for ViT_base_patch32_384 and vit_tiny_patch16_224 at batch 1 and 8.
MEASURED = "measured on two cores of a Xeon with AVX-512: /proc/self/status, getrusage, perf_counter"
