"""Paddle vision transformers on many runtimes: converted to ONNX, proven to be the same models, and measured.

    import vitbench as vb
    artifact = vb.convert("ViT_base_patch16_224")
    vb.parity(artifact).require()
    run = vb.bench(artifact, runtimes=["ort-cpu", "openvino"], batches=[1])
    run.table()
    run.report("report.html")

What the commands do, by the same functions (docs/notebook.ipynb). They are imported when they are first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vitbench.api import (
        CheckFailed,
        InputError,
        accuracy,
        bench,
        bisect,
        check,
        compare,
        convert,
        export,
        parity,
        profile,
        results,
        search,
        ship,
    )

__all__ = [
    "CheckFailed",
    "InputError",
    "accuracy",
    "bench",
    "bisect",
    "check",
    "compare",
    "convert",
    "export",
    "parity",
    "profile",
    "results",
    "search",
    "ship",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module("vitbench.api"), name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]
