"""A Paddle model becomes an ONNX graph.

onnx_ir imports sympy for arithmetic with sizes that have names. Nothing here computes with those, and it would be a
third of a second in each conversion: so sympy is loaded when somebody asks for something of it.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

_LATE = ("sympy", "onnx_ir._symbolic_shapes")  # the latter, a part of onnx_ir, reads sympy as soon as it is loaded


class _Late(MetaPathFinder):
    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        spec = PathFinder.find_spec(name, path) if name in _LATE else None
        if spec and spec.loader:
            spec.loader = importlib.util.LazyLoader(spec.loader)
        return spec


sys.meta_path.insert(0, _Late())
