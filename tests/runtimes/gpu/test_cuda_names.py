"""Every TensorRT and CUDA name that the code goes through exists in the real bindings, so that no typo waits for a GPU.

Names are read from the source: whatever is taken from the module, and from objects made with it. What an object is of
stands in tables here; an object that is in none of them fails the test, so that nothing is used beside it.
"""

from __future__ import annotations

import ast
import builtins
import importlib.util
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.runtimes.bindings import fetched, lacking

RUNTIMES = Path(__file__).parents[3] / "runtimes"
TENSORRT_FILES = ("tensorrt/engine.py", "tensorrt/cache.py", "adapters/tensorrt.py")
TENSORRT_VERSIONS = ("10.13.3.9", "10.16.1.11", "11.0.0.114", "11.4.0.106")
CUDA_VERSIONS = ("12.9.0", "13.0.0")

# What stands for the module, and variables that hold its objects -> their class.
MODULE = ("trt", "self._trt")
OBJECTS = {
    "builder": "Builder",
    "code": "ErrorCode",
    "config": "IBuilderConfig",
    "engine": "ICudaEngine",
    "first": "ParserError",
    "inspector": "EngineInspector",
    "kind": "DataType",
    "layer": "ILayer",
    "network": "INetworkDefinition",
    "parser": "OnnxParser",
    "profile": "IOptimizationProfile",
    "runtime": "Runtime",
    "runtime_config": "IRuntimeConfig",
    "self._context": "IExecutionContext",
    "self._engine": "ICudaEngine",
    "tensor": "ITensor",
    "timings": "ITimingCache",
}
# Everything else that has an attribute taken: Python's own, numpy's and ours.
OURS = {
    "Path", "TENSORRT", "adapter", "artifact", "buffer", "built", "cache", "cuda", "error", "facts", "field",
    "found", "gpu", "gpu_io", "images", "importlib", "info", "worker", "json", "layers", "log", "np", "onnx",
    "options", "output", "precision", "self", "stream", "tensorrt_cache", "tensorrt_engine", "tensorrt_layers",
    "text", "time", "typed", "types", "wanted",
}  # fmt: skip
# In TensorRT for RTX alone, and used there alone.
RTX_ONLY = (
    "DynamicShapesKernelSpecializationStrategy.EAGER",
    "IRuntimeConfig.dynamic_shapes_kernel_specialization_strategy",
)


def _dotted(node: ast.expr) -> str | None:
    """`a.b.c` as it is written; None where it is anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        inner = _dotted(node.value)
        return inner and f"{inner}.{node.attr}"
    return None


def _root(node: ast.expr) -> str:
    """The variable at which calls, subscripts and attributes begin; nothing for a literal."""
    while isinstance(node, (ast.Attribute, ast.Call, ast.Subscript)):
        dotted = _dotted(node)
        if dotted and (dotted in OBJECTS or dotted in MODULE):
            return dotted
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""


def _parents(tree: ast.AST) -> dict[ast.AST, ast.AST]:
    return {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}


def tensorrt_uses(source: str) -> Iterator[dict[str, Any]]:
    """Each use of a TensorRT name: its `name` in the module, how many `arguments` it is called with, if it is `set`.

    AssertionError for an attribute of something that is in no table, and for one taken from a result without a name.
    """
    tree = ast.parse(source)
    parents = _parents(tree)
    for node in ast.walk(tree):
        if not isinstance(node, ast.Attribute) or (_dotted(node) in OBJECTS or _dotted(node) in MODULE):
            continue
        root, dotted = _root(node), _dotted(node)
        known = root in OBJECTS or root in MODULE or root in OURS or root in ("", *dir(builtins))
        assert known, f"line {node.lineno}: what is {root}? Put it into one of the tables"
        if root not in OBJECTS and root not in MODULE:
            continue
        if isinstance(parents[node], ast.Attribute) and root in MODULE:
            continue  # the whole of `trt.A.B` comes by itself
        assert dotted, f"line {node.lineno}: a name of {root}'s result is used; put the result into a variable"
        name = dotted[len(root) + 1 :]
        assert root in MODULE or "." not in name, (
            f"line {node.lineno}: {dotted}: put {root}'s attribute into a variable"
        )
        use: dict[str, Any] = {"name": f"{OBJECTS[root]}.{name}" if root in OBJECTS else name}
        parent = parents[node]
        if isinstance(parent, ast.Call) and parent.func is node and root in OBJECTS:
            assert not parent.keywords, f"line {node.lineno}: keywords differ between versions"
            if not any(isinstance(argument, ast.Starred) for argument in parent.args):
                use["arguments"] = len(parent.args)
        if isinstance(node.ctx, ast.Store):
            use["set"] = True
        yield use


def cuda_uses(source: str) -> Iterator[dict[str, Any]]:
    """Each CUDA name: called by `call("name", ...)`, released by, or taken from `_api()`."""
    tree = ast.parse(source)
    parents = _parents(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _dotted(node.func) == "call" and isinstance(node.args[0], ast.Constant):
            yield {"name": node.args[0].value, "arguments": len(node.args) - 1}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith("cuda"):
            if node.value[4:5].isupper():
                yield {"name": node.value}
        elif isinstance(node, ast.Attribute) and _from_api(node) and not isinstance(parents[node], ast.Attribute):
            yield {"name": _from_api(node)}


def _from_api(node: ast.expr) -> str:
    if isinstance(node, ast.Call) and _dotted(node.func) == "_api":
        return "."
    if isinstance(node, ast.Attribute) and (inner := _from_api(node.value)):
        return f"{inner}.{node.attr}".lstrip(".")
    return ""


def _all_tensorrt() -> list[dict[str, Any]]:
    return [use for file in TENSORRT_FILES for use in tensorrt_uses((RUNTIMES / file).read_text(encoding="utf-8"))]


# Fields of structures that CUDA fills in.
CUDA_FIELDS = (
    "cudaDeviceProp.name",
    "cudaDeviceProp.major",
    "cudaDeviceProp.minor",
    "cudaDeviceProp.totalGlobalMem",
    "cudaPointerAttributes.device",
)


def _all_cuda() -> list[Mapping[str, Any]]:
    uses = list(cuda_uses((RUNTIMES / "gpu" / "cuda.py").read_text(encoding="utf-8")))
    return [*uses, *({"name": name} for name in CUDA_FIELDS)]


@pytest.mark.parametrize("version", TENSORRT_VERSIONS)
def test_tensorrt_has_every_name(version: str) -> None:
    folder = fetched(f"tensorrt-cu13-bindings=={version}")
    uses = [use for use in _all_tensorrt() if use["name"] not in RTX_ONLY]
    assert lacking("tensorrt_bindings", uses, folder) == []
    absent = lacking("tensorrt_bindings", [{"name": name} for name in RTX_ONLY], folder)
    assert len(absent) == len(RTX_ONLY), "it is no longer in TensorRT for RTX alone"


def test_tensorrt_for_rtx_has_every_name() -> None:
    if importlib.util.find_spec("tensorrt_rtx") is None:
        pytest.skip("no tensorrt-rtx here")
    uses = _all_tensorrt()
    assert {use["name"] for use in uses} >= set(RTX_ONLY)
    assert lacking("tensorrt_rtx", uses) == []


@pytest.mark.parametrize("version", CUDA_VERSIONS)
def test_cuda_has_every_name(version: str) -> None:
    folder = fetched(f"cuda-bindings=={version}", "cuda-pathfinder>=1.1")
    assert lacking("cuda.bindings.runtime", _all_cuda(), folder) == []


def test_the_installed_cuda_bindings_have_every_name() -> None:
    pytest.importorskip("cuda.bindings", reason="no cuda-bindings here")
    assert lacking("cuda.bindings.runtime", _all_cuda()) == []


def test_names_are_found_in_the_source() -> None:
    names = {use["name"] for use in _all_tensorrt()}
    assert names >= {
        "Builder",
        "BuilderFlag.TF32",
        "IBuilderConfig.clear_flag",
        "ICudaEngine.create_execution_context",
        "IExecutionContext.execute_async_v3",
        "OnnxParser.parse_from_file",
        "EngineInspector.execution_context",
    }
    assert {use["name"] for use in _all_cuda()} >= {
        "cudaMalloc",
        "cudaFree",
        "cudaMemcpyKind.cudaMemcpyHostToDevice",
        "cudaError_t.cudaErrorInsufficientDriver",
        "cudaGraphLaunch",
    }


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ("something.run()", "what is something"),
        ("trt.Builder(log).create_network(1)", "put the result into a variable"),
        ("tensor.dtype.name", "put tensor's attribute into a variable"),
        ("engine.serialize(flag=1)", "keywords differ"),
    ],
)
def test_what_cannot_be_followed_is_no_silent_gap(source: str, complaint: str) -> None:
    with pytest.raises(AssertionError, match=complaint):
        list(tensorrt_uses(source))


def test_a_typo_is_found() -> None:
    if importlib.util.find_spec("tensorrt_rtx") is None:
        pytest.skip("no tensorrt-rtx here")
    source = """
trt.BuilderFlag.TF23
self._context.execute_async_v2(1)
config.add_optimization_profile(1, 2)
engine.num_layers = 3
engine.create_execution_context()
"""
    assert sorted(lacking("tensorrt_rtx", tensorrt_uses(source))) == [
        "BuilderFlag.TF23 does not exist",
        "IBuilderConfig.add_optimization_profile takes [(1, 1)] arguments, not 2",
        "ICudaEngine.num_layers cannot be set",
        "IExecutionContext.execute_async_v2 does not exist",
    ]
