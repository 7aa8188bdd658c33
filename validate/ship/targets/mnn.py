"""MNN's own form, made by its converter."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from convert.artifact import Artifact
from runtimes.adapters.mnn import MNN_CPU
from runtimes.base import Setting
from runtimes.mnn import model_file
from validate.ship.target import THREADS, Target, copy_form

_DEFAULT_THREADS = 4  # MNN's own
_GELU = "erf"  # as the model has it; the converter's own tanh formula is another model and fails parity


class MnnTarget(Target):
    """`model.mnn` and `model.mnn.weight`."""

    name = "mnn"
    purpose = "MNN on phones and processors"
    runtime = "mnn"
    settings: ClassVar[Mapping[str, Setting]] = {"threads": THREADS}
    order = 30

    def refusal(self, artifact: Artifact, settings: Mapping[str, str]) -> str | None:
        """See Target: MNN's converter is in its package."""
        return None if (reason := MNN_CPU.unavailable()) is None else f"its converter is in the package MNN: {reason}"

    def write(self, artifact: Artifact, folder: Path, settings: Mapping[str, str]) -> None:
        """What the adapter loads, converted anew."""
        copy_form(folder, lambda options: model_file.converted(artifact, options, _GELU))

    def readme(self, artifact: Artifact, settings: Mapping[str, str]) -> str:
        height, width = artifact.image_shape
        threads = int(settings["threads"]) or _DEFAULT_THREADS
        return f"""\
```python
import MNN, numpy as np

net = MNN.Interpreter("model.mnn")  # model.mnn.weight beside it
session = net.createSession({{"backend": "CPU", "precision": 1, "numThread": {threads}}})  # 1: Precision_High, FP32
source = net.getSessionInput(session)
net.resizeTensor(source, (len(images), 3, {height}, {width})); net.resizeSession(session)
np.copyto(source.getNumpyData(), images); net.runSession(session)  # copy before every run
logits = net.getSessionOutput(session, "{artifact.manifest.outputs[0].name}").getNumpyData()
```

In C++ the same: `BackendConfig::Precision_High`. Lower precisions are another model's logits: check them. The GELU is
that of {_GELU}. `probe.mnn` and `made.json` are for `vitbench check`; the model does not need them."""


TARGETS = (MnnTarget(),)
