"""Real bindings of TensorRT and CUDA, of several versions, without their libraries: fetched once, and asked for names.

The libraries that TensorRT's bindings are linked with come from NVIDIA alone; to be imported they need just their names
and nine functions, which nobody calls.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from convert.weights.download import cache_folder

_FUNCTIONS = (
    "createInferBuilder_INTERNAL",
    "createInferRefitter_INTERNAL",
    "createInferRuntime_INTERNAL",
    "createNvOnnxParserRefitter_INTERNAL",
    "createNvOnnxParser_INTERNAL",
    "getBuilderPluginRegistry",
    "getNvOnnxParserVersion",
    "getPluginRegistry",
    "initLibNvInferPlugins",
)


def fetched(*requirements: str) -> Path:
    """A folder to import the packages from, unpacked; `name==version` each. Skips where they cannot be had."""
    target = cache_folder() / "bindings" / "+".join((*requirements, sys.implementation.cache_tag))
    if target.is_dir():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as work:
        command = [sys.executable, "-m", "pip", "--retries", "0", "--timeout", "15", "download", "--no-deps", "--quiet"]
        run = subprocess.run(
            [*command, "--only-binary", ":all:", "--dest", work, *requirements], capture_output=True, text=True
        )
        if run.returncode:
            reason = (run.stderr.strip() or "no reason").splitlines()[-1]
            pytest.skip(f"{' and '.join(requirements)} cannot be fetched: {reason}")
        unpacked = Path(work, "unpacked")
        for wheel in Path(work).glob("*.whl"):
            archive = zipfile.ZipFile(wheel)
            # CUDA's carry their generated sources, 60 MB of them.
            archive.extractall(unpacked, [name for name in archive.namelist() if not name.endswith((".cpp", ".pxd"))])
        _stub_libraries(unpacked)
        with suppress(OSError):  # another process was faster
            unpacked.replace(target)
    return target


def _stub_libraries(folder: Path) -> None:
    for module in folder.glob("tensorrt_bindings/tensorrt*.so"):
        compiler = shutil.which("cc") or shutil.which("gcc")
        if compiler is None:
            pytest.skip("no C compiler here, for the stubs of TensorRT's libraries")
        source = "".join(f"void {name}(void) {{}}\n" for name in _FUNCTIONS)
        for library in set(re.findall(rb"libnv[a-z_]+\.so\.\d+", module.read_bytes())):
            output = str(module.parent / library.decode())
            command = [compiler, "-shared", "-fPIC", "-x", "c", "-o", output, "-"]
            subprocess.run(command, input=source, text=True, check=True)


def lacking(module: str, uses: Iterable[Mapping[str, Any]], folder: Path | None = None) -> list[str]:
    """What the module lacks of the uses, found out in a process of its own. folder: where its package is."""
    environment = dict(os.environ)
    if folder:
        environment |= {"PYTHONPATH": str(folder), "LD_LIBRARY_PATH": str(folder / "tensorrt_bindings")}
    run = subprocess.run(
        [sys.executable, "-W", "ignore", __file__, module],
        input=json.dumps(list(uses)),
        capture_output=True,
        text=True,
        env=environment,
    )
    assert run.returncode == 0, run.stderr
    answer: list[str] = json.loads(run.stdout)
    return answer


def _complaint(module: Any, use: Mapping[str, Any]) -> str | None:
    """What is wrong with one use: a name that is not there, cannot be set, or takes another number of arguments."""
    found = module
    for part in use["name"].split("."):
        if not hasattr(found, part):
            return f"{use['name']} does not exist"
        found = getattr(found, part)
    if use.get("set") and getattr(found, "fset", None) is None:
        return f"{use['name']} cannot be set"
    arguments = use.get("arguments")
    if arguments is not None:
        # pybind11 and Cython write the signature first; pybind11 writes `1. ` before each of several.
        signatures = re.findall(r"^(?:\d+\. )?\w+\((.*)\)", found.__doc__ or "", re.MULTILINE)
        counts = [_parameters(signature) for signature in signatures if signature != "*args, **kwargs"]
        if counts and not any(fewest <= arguments <= most for fewest, most in counts):
            return f"{use['name']} takes {counts} arguments, not {arguments}"
    return None


def _parameters(signature: str) -> tuple[int, int]:
    """Fewest and most arguments: `self: T, input: str, size: int = 0` takes one or two."""
    depth, parts = 0, [""]
    for letter in signature:
        depth += (letter in "[(<{") - (letter in "])>}")
        if letter == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    names = [part.strip() for part in parts if part.strip() and not part.strip().startswith("self")]
    return sum("=" not in name for name in names), len(names)


def _main(name: str) -> None:
    import importlib

    module = importlib.import_module(name)
    found = [_complaint(module, use) for use in json.load(sys.stdin)]
    json.dump([complaint for complaint in found if complaint], sys.stdout)


if __name__ == "__main__":
    _main(sys.argv[1])
