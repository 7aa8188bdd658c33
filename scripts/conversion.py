"""Conversion, ours against what one has without us: wall time and peak memory, as ratios of interleaved runs.

The baseline is `paddle.jit.save` of the loaded layer and then the `paddle2onnx` command line, on the same seeded
weights. The command line gets `--optimize_tool None`, which spares it seconds and memory: its default, polygraphy,
installs a package into this environment while it runs (`--polygraphy` lets it). Ours is all of `python -m convert`:
weights, export, checks, hashes and the manifest.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from convert.common.console import say
from convert.common.errors import CheckFailed
from scripts.common import ClaimOptions, Finding, spread, within
from scripts.interleaved import Ratio

MODELS = "ViT_base_patch32_384,ViT_large_patch16_384"
_JIT_SAVE = """
import sys
import paddle
from convert.weights import seeded
from convert.zoo import MODELS

spec = MODELS[sys.argv[1]]
layer = spec.paddle_layer()
tensors = seeded.tensors(0, spec)
layer.set_state_dict({name: tensor.read() for name, tensor in tensors.items()})
layer.eval()
x = paddle.static.InputSpec([None, 3, spec.img_size, spec.img_size], "float32", "x")
paddle.jit.save(layer, sys.argv[2] + "/inference", input_spec=[x])
"""


@dataclass(frozen=True)
class ConversionCost:
    """Wall-clock seconds, and the peak resident memory in GB of the largest single process."""

    seconds: float
    gigabytes: float


# A process of Linux starts with the peak memory of the one that started it (execve keeps it), so a small one starts the
# command and reads its peak.
_MEASURED = """
import resource, subprocess, sys, time
start = time.perf_counter()
status = subprocess.call(sys.argv[1:], stdout=sys.stderr)
print(time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(status != 0)
"""


def run(*command: str) -> ConversionCost:
    """Run a command to its end; what it prints is shown only when it fails."""
    measured = (sys.executable, "-c", _MEASURED, *command)
    process = subprocess.run(measured, capture_output=True, text=True, errors="replace", check=False)
    if process.returncode:
        raise CheckFailed(f"{command[:3]} failed:\n{process.stderr[-2000:]}")
    seconds, peak = process.stdout.split()
    return ConversionCost(float(seconds), float(peak) / (1e9 if sys.platform == "darwin" else 1e6))


def baseline(model: str, folder: Path, tool: str) -> ConversionCost:
    """`paddle.jit.save`, then the `paddle2onnx` command line: seconds add up, memory is the larger."""
    saved = run(sys.executable, "-c", _JIT_SAVE, model, str(folder))
    program = next(path.name for path in folder.iterdir() if path.suffix in (".json", ".pdmodel"))
    exported = run(
        *(sys.executable, "-c", "from paddle2onnx.command import main; main()"),
        *("--model_dir", str(folder), "--model_filename", program, "--params_filename", "inference.pdiparams"),
        *("--save_file", str(folder / "model.onnx"), "--opset_version", "17", "--optimize_tool", tool),
    )
    if not (folder / "model.onnx").is_file():
        raise CheckFailed("paddle2onnx ended well and wrote nothing")
    return ConversionCost(saved.seconds + exported.seconds, max(saved.gigabytes, exported.gigabytes))


def ours(model: str, folder: Path) -> ConversionCost:
    """All of `python -m convert`, from nothing."""
    return run(sys.executable, "-m", "convert", model, "--weights", "seeded", "--out", str(folder))


def find(options: ClaimOptions) -> Iterator[Finding]:
    """What our conversion takes over what the baseline takes, of each model, in turn."""
    runs, tool = options.repetition(3, 0.0).rounds, "polygraphy" if options.polygraphy else "None"
    for model in options.chosen_models(MODELS):
        pairs = []
        for number in range(runs):
            say(f"{model}: conversion {number + 1} of {runs}, ours and the baseline")
            costs: dict[str, ConversionCost] = {}
            for side in ("ours", "baseline") if number % 2 else ("baseline", "ours"):
                with tempfile.TemporaryDirectory(prefix="vitbench-") as name:
                    folder = Path(name)
                    costs[side] = ours(model, folder) if side == "ours" else baseline(model, folder, tool)
            pairs.append(costs)
        yield from judge(model, pairs)


def judge(model: str, pairs: Sequence[Mapping[str, ConversionCost]]) -> Iterator[Finding]:
    """Wall time and peak memory of some runs. Ours has to take less than the baseline of each."""
    for what, unit, attribute in (("wall time", "s", "seconds"), ("peak memory", "GB", "gigabytes")):
        theirs, mine = ([getattr(pair[side], attribute) for pair in pairs] for side in ("baseline", "ours"))
        ratio = Ratio.over([m / t for m, t in zip(mine, theirs, strict=True)])
        details = f"{statistics.median(mine):.2f} / {statistics.median(theirs):.1f} {unit}, {len(pairs)} runs"
        holds = within(ratio, 0.0, 1.0)
        subject = f"{model}, {what}"
        yield Finding("conversion", subject, "below 1", f"{ratio.value:.3f}", spread(ratio, 3), details, holds)
