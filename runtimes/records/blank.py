"""What every record has, whatever it measures."""

from __future__ import annotations

import shlex
import time
from collections.abc import Mapping
from typing import Any, TypeVar

from convert.artifact import Artifact
from convert.common import commands, typed
from convert.common.errors import without_passwords
from convert.manifest import to_table
from convert.model_options import ModelOptions
from runtimes.base import Options, Runtime
from runtimes.records import kinds
from runtimes.records.parts import ModelInfo

R = TypeVar("R", bound=kinds.Record)


def start(kind: type[R], artifact: Artifact, runtime: Runtime, options: Options, **fields: Any) -> R:
    """A record of a kind before anything was measured. fields: what is known of it besides."""
    common: dict[str, Any] = {
        "format": kinds.FORMAT,
        "model": artifact.model,
        "precision": options.precision,
        "runtime": runtime.name,
        "runtime_version": runtime.version(),
        "device": options.device,
        "streams": options.streams,
        "settings": dict(options.extra),
        "artifact": artifact.sha256,
        "status": "refused",
        "reason": "not measured yet",
        "effective": None,
        "command": "",
        "time_utc": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "model_info": typed.read(ModelInfo, to_table(artifact.manifest)),
    }
    return kind(**{**common, **fields})


def command(module: str, argument: str, artifact: Artifact, chosen: ModelOptions, **options: Any) -> str:
    """The command line that gives a record again.

    argument: how the user named the model; chosen: what the command was given beside it. options: `batch=4` becomes
    `--batch 4` (see `arguments`).
    """
    found = [*commands.words(module), *arguments({"model": argument, **artifact.arguments(chosen), **options})]
    return without_passwords(shlex.join(found))


def arguments(options: Mapping[str, Any]) -> list[str]:
    """Options as a command line takes them: one that is None is left out, a list is repeated."""
    return [
        word
        for name, value in options.items()
        for one in (value if isinstance(value, list) else [] if value is None else [value])
        for word in (f"--{name.replace('_', '-')}", str(one))
    ]
