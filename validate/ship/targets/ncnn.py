"""ncnn's own form, written by vitbench."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from convert.artifact import Artifact
from convert.precision.table import BF16, FP32
from runtimes.base import Setting
from runtimes.ncnn import model_file
from validate.ship.target import THREADS, Target, copy_form, threads_line


class NcnnTarget(Target):
    """`model.param` and `model.bin`."""

    name = "ncnn"
    purpose = "ncnn on Android, iOS and small boards"
    runtime = "ncnn"
    precisions: ClassVar[tuple[str, ...]] = (FP32, BF16)
    settings: ClassVar[Mapping[str, Setting]] = {"threads": THREADS}
    order = 40

    def write(self, artifact: Artifact, folder: Path, settings: Mapping[str, str]) -> None:
        """What the adapter loads, written anew."""
        copy_form(folder, lambda options: model_file.converted(artifact.fp32, options))

    def readme(self, artifact: Artifact, settings: Mapping[str, str]) -> str:
        (source,), (result,) = artifact.manifest.inputs, artifact.manifest.outputs
        found, lower = artifact.preprocessing, artifact.precision == BF16
        means = ", ".join(_literal(value / found.pixel_scale) for value in found.mean)
        norms = ", ".join(_literal(found.pixel_scale / value) for value in found.std)
        threads = threads_line(settings, "net.opt.num_threads = {}")
        return f"""\
```python
import ncnn, numpy as np

net = ncnn.Net()
{threads}for name in ("fp16_packed", "fp16_storage", "fp16_arithmetic", "bf16_packed", "bf16_storage"):
    setattr(net.opt, f"use_{{name}}", {'name.startswith("bf16")' if lower else False})  # before load_param
assert net.load_param("model.param") == 0 and net.load_model("model.bin") == 0
extractor = net.create_extractor()
assert extractor.input("{source.name}", ncnn.Mat(images, batch_index=0)) == 0
error, found = extractor.extract("{result.name}")
logits = found.numpy(batch_index=0)
```

On a phone, in C++, one image at a time, with the same switches of `net.opt`: after resizing and cropping,

```cpp
ncnn::Mat in = ncnn::Mat::from_pixels(rgb, ncnn::Mat::PIXEL_RGB, {found.crop}, {found.shape[0]}), out;
const float means[3] = {{{means}}}, norms[3] = {{{norms}}};
in.substract_mean_normalize(means, norms);
ncnn::Extractor extractor = net.create_extractor();
extractor.input("{source.name}", in);
extractor.extract("{result.name}", out);
```

**An image of another size is not refused**: the answer is then not even finite. With its switches left alone ncnn
computes some layers in FP16 where the processor has it: check that with your own photos. ncnn takes all
big cores where `net.opt.num_threads` does not say fewer. `probe.*` and `made.json` are for `vitbench check`;
the model does not need them."""


def _literal(value: float) -> str:
    """A float of C++."""
    text = f"{value:.8g}"
    return f"{text}f" if re.search(r"[.e]", text) else f"{text}.0f"


TARGETS = (NcnnTarget(),)
