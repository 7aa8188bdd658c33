"""Empty modules for what PaddleClas imports and an export has no part in: plots, progress bars, scores, dictionaries.

What is installed is taken: the finder is the last that is asked.
"""

from __future__ import annotations

import sys
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

ABSENT = frozenset({"six", "easydict", "matplotlib", "sklearn", "scipy", "tqdm", "visualdl", "faiss", "paddleslim"})


class _Absent(ModuleType):
    """Whatever is taken from it is an empty class."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.__path__: list[str] = []

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {})


class _Finder(MetaPathFinder, Loader):
    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        return ModuleSpec(name, self, is_package=True) if name.split(".")[0] in ABSENT else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _Absent(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        pass


def install() -> None:
    """From now on, imports of what is absent give a stand-in."""
    sys.meta_path.append(_Finder())
