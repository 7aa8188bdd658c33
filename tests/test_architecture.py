"""The rules of the house: which way imports run, how large a folder and a file may be, that a name means one thing."""

from __future__ import annotations

import ast
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[1]
ORDER = ["convert", "runtimes", "validate", "reports", "vitbench"]
PACKAGES = ORDER[:-1]
FILES = sorted(file for package in ORDER for file in (ROOT / package).rglob("*.py"))
SOURCE = [*FILES, ROOT / "setup.py", *sorted((ROOT / "scripts").glob("*.py"))]
ALL = [*SOURCE, *sorted((ROOT / "tests").rglob("*.py"))]

MOST_FILES = 13  # of Python side by side in a folder, __init__.py aside: about what a reader takes in at a glance
MOST_LINES = 330  # of a file


def name(file: Path) -> str:
    return file.relative_to(ROOT).as_posix()


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
        if name(file).split("/")[0] == package:
            upwards = {module for module in imports(file) if module.split(".")[0] in above}
            assert not upwards, f"{name(file)} imports {upwards}"


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
    layers = {"convert/families/paddle_layers.py", "convert/families/swin_layers.py"}
    allowed = {"convert/export/program.py"} | layers
    found = {str(file.relative_to(ROOT)) for file in FILES if {n.split(".")[0] for n in imports(file, True)} & heavy}
    assert found == allowed


def test_no_folder_is_too_full() -> None:
    counts = Counter(name(file.parent) for file in ALL if file.name != "__init__.py")
    assert {folder: count for folder, count in counts.items() if count > MOST_FILES} == {}


def test_no_file_is_too_long() -> None:
    long = {name(file) for file in ALL if len(file.read_text(encoding="utf-8").splitlines()) > MOST_LINES}
    assert not long


def test_a_class_name_means_one_thing() -> None:
    places: dict[str, set[str]] = defaultdict(set)
    for file in SOURCE:
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef):
                places[node.name].add(name(file))
    assert {title: where for title, where in places.items() if len(where) > 1} == {}


def test_a_record_is_a_type_and_no_dict() -> None:
    """The types of records are in runtimes/records; a `Record` that is a dict would be a second truth beside them."""
    found = {
        name(file)
        for file in SOURCE
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Assign)
        and any(isinstance(target, ast.Name) and target.id == "Record" for target in node.targets)
        and ast.unparse(node.value).startswith("dict[str, Any]")
    }
    assert found == set()


def test_every_data_file_of_a_package_is_in_the_wheel() -> None:
    table = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    patterns = table["tool"]["setuptools"]["package-data"]["*"]
    files = [file for package in PACKAGES for file in (ROOT / package).rglob("*") if file.is_file()]
    data = [file for file in files if file.suffix != ".py" and "__pycache__" not in file.parts]
    assert len(data) > 5
    assert [name(file) for file in data if not any(fnmatch(file.name, pattern) for pattern in patterns)] == []
