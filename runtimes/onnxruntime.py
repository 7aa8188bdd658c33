"""ONNX Runtime on the CPU."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np

from convert.artifact import Artifact
from runtimes.base import Effective, Options, Runtime, Session, TensorInfo, UnavailableError, lowest_precision

_CPU = "CPUExecutionProvider"


class _OrtSession(Session):
    def __init__(self, artifact: Artifact, options: Options) -> None:
        import onnxruntime as ort

        settings = ort.SessionOptions()
        settings.intra_op_num_threads = options.thread_count()
        settings.inter_op_num_threads = 1
        settings.log_severity_level = 3
        # The profile of the first run names each node's provider and types: what ran, not what was asked for.
        self._folder = tempfile.TemporaryDirectory(prefix="vitbench-")
        settings.enable_profiling = True
        settings.profile_file_prefix = str(Path(self._folder.name, "profile"))
        self._session = ort.InferenceSession(str(artifact.onnx), settings, providers=[_CPU])
        if self._session.get_providers()[0] != _CPU:
            raise UnavailableError(f"asked for {_CPU}, got {self._session.get_providers()}")
        self.inputs = tuple(TensorInfo(i.name, i.type, tuple(i.shape)) for i in self._session.get_inputs())
        self.outputs = tuple(TensorInfo(o.name, o.type, tuple(o.shape)) for o in self._session.get_outputs())
        self._names = [self.outputs[0].name]
        self._input = self.inputs[0].name
        self._profile: Path | None = None

    def _run(self, images: np.ndarray) -> np.ndarray:
        logits = self._plain_run(images)
        # Profiling every run would take time from each of them.
        self._profile = Path(self._session.end_profiling())
        self._run = self._plain_run  # type: ignore[method-assign]
        return logits

    def _plain_run(self, images: np.ndarray) -> np.ndarray:
        return self._session.run(self._names, {self._input: images})[0]

    def effective(self) -> Effective:
        if self._profile is None:
            raise UnavailableError("nothing has run yet: ONNX Runtime tells what it did only after a first run")
        events = json.loads(self._profile.read_text(encoding="utf-8"))
        ran = [event["args"] for event in events if event.get("cat") == "Node" and "provider" in event.get("args", {})]
        types = Counter(
            name for node in ran for output in node["output_type_shape"] for name in output if "int64" not in name
        )
        providers = Counter(node["provider"] for node in ran)
        details = {
            "read_from": "profile of the first run",
            "nodes_by_provider": dict(providers),
            "outputs_by_type": dict(types),
            "threads": self._session.get_session_options().intra_op_num_threads,
        }
        device = "CPU" if set(providers) == {_CPU} else "+".join(sorted(providers))
        return Effective(lowest_precision(types), device, details)

    def close(self) -> None:
        if self._profile is None:
            self._session.end_profiling()
        del self._session
        self._folder.cleanup()


ORT_CPU = Runtime(
    name="ort-cpu",
    package="onnxruntime",
    distribution="onnxruntime",
    precisions=("fp32",),
    devices=lambda: ["CPU"],
    open_session=_OrtSession,
)
