"""Imports run one way: reports -> validate -> runtimes -> convert; and Paddle is imported only where it must be."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ORDER = ["convert", "runtimes", "validate", "reports"]
FILES = sorted(file for package in ORDER for file in (ROOT / package).rglob("*.py"))


def imports(file: Path, top_level: bool = False) -> Iterator[str]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    for node in tree.body if top_level else ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{file}: relative import"
            yield str(node.module)


@pytest.mark.parametrize("package", ORDER)
def test_imports_run_one_way(package: str) -> None:
    above = set(ORDER[ORDER.index(package) + 1 :])
    for file in FILES:
        if file.relative_to(ROOT).parts[0] == package:
            upwards = {name for name in imports(file) if name.split(".")[0] in above}
            assert not upwards, f"{file.relative_to(ROOT)} imports {upwards}"


def test_no_file_imports_in_a_circle() -> None:
    modules = {".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): file for file in FILES}
    edges: dict[str, set[str]] = {}
    for module, file in modules.items():
        tree = ast.parse(file.read_text(encoding="utf-8"))
        names = {
            f"{node.module}.{alias.name}"
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
        }
        edges[module] = ({*imports(file), *names} & set(modules)) - {module}
    done: set[str] = set()

    def visit(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, " -> ".join([*path[path.index(module) :], module])
        if module not in done:
            for other in edges[module]:
                visit(other, (*path, module))
            done.add(module)

    for module in modules:
        visit(module, ())


def test_heavy_packages_are_imported_late() -> None:
    """The doctor must work, and commands start fast, whatever of them is missing or slow."""
    heavy = {"paddle", "paddle2onnx", "onnxruntime", "openvino"}
    allowed = {"convert/export/program.py", "convert/families/vit_layer.py"}
    found = {str(file.relative_to(ROOT)) for file in FILES if {n.split(".")[0] for n in imports(file, True)} & heavy}
    assert found == allowed
