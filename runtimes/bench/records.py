"""What every record has, whatever it measures."""

from __future__ import annotations

import shlex
import time
from typing import Any

from convert.artifact import Artifact
from runtimes.base import Runtime
from runtimes.bench.store import Record


def blank(kind: str, artifact: Artifact, runtime: Runtime, precision: str) -> Record:
    """A record before anything was measured. model_info: what reports say of a model, so that they need no artifact."""
    manifest = artifact.manifest
    return {
        "kind": kind,
        "model": artifact.model,
        "precision": precision,
        "runtime": runtime.name,
        "runtime_version": runtime.version(),
        "device": runtime.default_device,
        "artifact": artifact.sha256,
        "status": "ok",
        "reason": None,
        "effective": None,
        "command": "",
        "time_utc": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "model_info": {
            **{name: manifest[name] for name in ("macs", "parameters", "preprocessing", "opset", "notes")},
            "weights": {name: manifest["weights"][name] for name in ("kind", "source", "sha256", "note")},
        },
    }


def command(module: str, argument: str, artifact: Artifact, weights: str | None, **options: Any) -> str:
    """The command line that gives a record again.

    argument: how the user named the model; weights: the `--weights` that was given. options: `batch=4` becomes
    `--batch 4`; one that is None is left out.
    """
    words = ["python", "-m", module, "--model", argument]
    for name, value in {"weights": artifact.weights_option(weights), **options}.items():
        if value is not None:
            words += [f"--{name.replace('_', '-')}", str(value)]
    return shlex.join(words)
