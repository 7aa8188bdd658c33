"""A model repository and its configuration for OpenVINO Model Server."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from convert.artifact import Artifact
from convert.common.disk.files import write_json
from runtimes.base import Setting
from validate.ship.target import Target, copy_onnx
from validate.ship.targets.triton import ASK, MODELS, THREADS

CONFIG = "config.json"


class OvmsTarget(Target):
    """`models/config.json` and `models/NAME/1/model.onnx`."""

    name = "ovms"
    purpose = "OpenVINO Model Server"
    runtime = "served"
    absent = "export starts no OpenVINO Model Server; `vitbench check` asks one"
    check = ASK
    settings: ClassVar[Mapping[str, Setting]] = {
        "threads": Setting("0", "inside one operator; 0 leaves it to OpenVINO, which takes every core")
    }
    order = 65

    def write(self, artifact: Artifact, folder: Path, settings: Mapping[str, str]) -> None:
        """Copy the artifact's ONNX file, and write the configuration; its paths are relative to it."""
        copy_onnx(artifact, folder / MODELS / artifact.model / "1")
        plugin: dict[str, Any] = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
        if threads := int(settings["threads"]):
            plugin["INFERENCE_NUM_THREADS"] = threads
        model = {"name": artifact.model, "base_path": artifact.model, "target_device": "CPU", "plugin_config": plugin}
        write_json(folder / MODELS / CONFIG, {"model_config_list": [{"config": model}]})

    def readme(self, artifact: Artifact, settings: Mapping[str, str]) -> str:
        return f"""\
```sh
ovms --config_path $PWD/{MODELS}/{CONFIG} --rest_bind_address 127.0.0.1 --rest_port 8000
{ASK}
```

The second line asks the server for the logits of `proof/` and holds them against Paddle's. Without
`--rest_bind_address` the server listens everywhere. `INFERENCE_PRECISION_HINT` keeps OpenVINO from bf16 on processors
that have it. {THREADS.format("ovms")}"""


TARGETS = (OvmsTarget(),)
