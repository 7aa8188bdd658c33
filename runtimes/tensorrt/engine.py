"""An ONNX file becomes an engine, with TensorRT 10.13+, 11 or tensorrt_rtx.

Every network is strongly typed: TensorRT 11 has nothing else, and 10 behaves the same then. So precision stands in the
ONNX file, and TF32 is the one thing left to choose.
"""

from __future__ import annotations

import importlib.util
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from convert.common.errors import listing
from convert.precision.table import TF32
from runtimes.base import Options, Runtime, Setting, UnavailableError

RTX = "tensorrt_rtx"
# What both runtimes that build engines let a user choose.
SETTINGS = {
    "cuda_graph": Setting("off", "replay each inference as one CUDA graph", ("off", "on")),
    "max_batch": Setting("32", "largest batch of an engine for any batch"),
    "optimization_level": Setting("3", "TensorRT's builder optimization level", tuple("012345")),
    "workspace": Setting("0", "MiB of scratch memory that a layer may take; 0: all that there is"),
}


def flavour() -> str:
    """The import name of the TensorRT to use: `tensorrt` where it is installed, else `tensorrt_rtx` where that is.

    TensorRT for RTX is the same builder with kernels that are compiled when they run, for GeForce and RTX cards.
    """
    found = [name for name in ("tensorrt", RTX) if importlib.util.find_spec(name)]
    return found[0] if found else "tensorrt"


@dataclass(frozen=True)
class EngineConfig:
    """What an engine is built for.

    batches: the sizes that will come, ascending. dynamic: one profile from the smallest to the largest of them, tuned
    for the largest; else one profile for each, tuned for just that size. workspace_mib: scratch memory that a layer may
    take; 0 leaves it to TensorRT (all that the device has).

    A profile of one size is the default: TensorRT picks its kernels for the best size of a profile, so a range is fast
    at one place only, and a CUDA graph has one shape anyway. The price is build time and some memory for each profile.
    """

    tf32: bool
    batches: tuple[int, ...]
    dynamic: bool = False
    optimization_level: int = 3
    workspace_mib: int = 0

    def profiles(self) -> list[tuple[int, int, int]]:
        """Smallest, best and largest batch of each optimization profile."""
        if self.dynamic:
            return [(self.batches[0], self.batches[-1], self.batches[-1])]
        return [(batch, batch, batch) for batch in self.batches]

    def profile_of(self, batch: int) -> int:
        """Number of the profile for a batch. UnavailableError when the engine was built for none such."""
        for number, (smallest, _, largest) in enumerate(self.profiles()):
            if smallest <= batch <= largest:
                return number
        built_for = f"{self.batches[0]} to {self.batches[-1]}" if self.dynamic else listing(map(str, self.batches))
        raise UnavailableError(f"the engine was built for batch {built_for}; batch {batch} came")


def engine_config(adapter: Runtime, options: Options, dynamic: bool) -> EngineConfig:
    """What the engine for these options is built for. dynamic: for the whole range of batches, as for any batch."""
    batches = sorted(set(options.batches))
    if not batches:
        batches, dynamic = [1, int(adapter.setting(options, "max_batch"))], True
    if batches[-1] < 1:
        raise UnavailableError(f"{adapter.name}.max_batch=0: at least 1 is needed")
    return EngineConfig(
        tf32=options.precision == TF32,
        batches=tuple(sorted({batches[0], batches[-1]})) if dynamic else tuple(batches),
        dynamic=dynamic,
        optimization_level=int(adapter.setting(options, "optimization_level")),
        workspace_mib=int(adapter.setting(options, "workspace")),
    )


@dataclass(frozen=True)
class Built:
    """A serialized engine, the timing cache after it (empty for tensorrt_rtx), and facts about it for records."""

    engine: bytes
    timing: bytes
    facts: dict[str, Any]


@dataclass
class Log:
    """TensorRT's messages: warnings and errors are kept, since its calls answer None and tell the reason only here.

    logger: what TensorRT's objects are made with, and what must outlive them.
    """

    logger: Any
    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def reason(self) -> str:
        """The first error since the last call of this: the others follow from it."""
        found = list(self.errors)
        self.errors.clear()
        return found[0].strip() if found else "TensorRT gives no reason"


# TensorRT tells everything to the first logger of a process, whichever its objects are made with.
_LOGS: dict[str, Log] = {}


def log_of(trt: Any) -> Log:
    """The one log of this process for a TensorRT module, emptied."""

    class Listener(trt.ILogger):
        def log(self, severity: Any, message: str) -> None:
            if severity in (trt.ILogger.ERROR, trt.ILogger.INTERNAL_ERROR):
                log.errors.append(message)
            elif severity == trt.ILogger.WARNING:
                log.warnings.append(message)

    if trt.__name__ not in _LOGS:
        _LOGS[trt.__name__] = Log(Listener())
    log = _LOGS[trt.__name__]
    log.errors.clear()
    log.warnings.clear()
    return log


def build(trt: Any, onnx: Path, wanted: EngineConfig, timing: bytes = b"") -> Built:
    """Parse an ONNX file (external data included) and build an engine for the current device.

    trt: the module; tensorrt_rtx builds without a GPU. timing: the timing cache of earlier builds; one that does not
    fit is left aside. UnavailableError with the node, its operator and the reason when the parser refuses, and with
    TensorRT's first error when the builder does.
    """
    began = time.perf_counter()
    log = log_of(trt)
    builder = trt.Builder(log.logger)  # must outlive its network: without a name it dies, and the process with it
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, log.logger)
    if not parser.parse_from_file(str(onnx)):
        raise UnavailableError(f"TensorRT cannot take {onnx.name}: {_parser_errors(parser)}")
    config = builder.create_builder_config()
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED  # else the inspector knows only names of layers
    config.builder_optimization_level = wanted.optimization_level
    if wanted.workspace_mib:
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, wanted.workspace_mib << 20)
    if wanted.tf32:
        config.set_flag(trt.BuilderFlag.TF32)
    else:
        config.clear_flag(trt.BuilderFlag.TF32)  # it is set by default
    _add_profiles(builder, network, config, wanted)
    timings = None if trt.__name__ == RTX else _attach_timings(config, timing)  # there the functions do nothing
    engine = builder.build_serialized_network(network, config)
    if engine is None:
        raise UnavailableError(f"TensorRT cannot build {onnx.name}: {log.reason()}")
    facts = {
        "flavour": trt.__name__,
        "version": trt.__version__,
        "tf32_flag": bool(config.get_flag(trt.BuilderFlag.TF32)),
        "profiles": wanted.profiles(),
        "network_outputs_by_type": _network_types(trt, network),
        "build_s": round(time.perf_counter() - began, 3),
        "warnings": log.warnings[:5],
    }
    return Built(bytes(engine), bytes(timings.serialize()) if timings else b"", facts)


def _parser_errors(parser: Any) -> str:
    errors = [parser.get_error(index) for index in range(parser.num_errors)]
    if not errors:
        return "its parser gives no reason"
    first = errors[0]
    code, operator, text = first.code(), first.node_operator(), first.desc()
    reason = str(code.name).lower().replace("_", " ")
    if text.strip() not in ("", "false"):  # the condition that did not hold, which may be just `false`
        reason += f": {text.strip()}"
    where = f"node {first.node_name() or first.node()}, operator {operator}: " if operator else ""
    more = f" (and {len(errors) - 1} more errors)" if len(errors) > 1 else ""
    return f"{where}{reason}{more}"


def _add_profiles(builder: Any, network: Any, config: Any, wanted: EngineConfig) -> None:
    for sizes in wanted.profiles():
        profile = builder.create_optimization_profile()
        for index in range(network.num_inputs):
            tensor = network.get_input(index)
            rest = tuple(tensor.shape)[1:]
            if -1 in rest:
                raise UnavailableError(f"input {tensor.name}: a dimension beside the batch is free, {(-1, *rest)}")
            profile.set_shape(tensor.name, *((size, *rest) for size in sizes))
        if config.add_optimization_profile(profile) < 0:
            raise UnavailableError(f"TensorRT refuses a profile for batch {sizes[0]} to {sizes[2]}")


def _attach_timings(config: Any, timing: bytes) -> Any:
    timings = config.create_timing_cache(timing) if timing else None
    if timings is None or not config.set_timing_cache(timings, False):
        timings = config.create_timing_cache(b"")
        config.set_timing_cache(timings, False)
    return timings


def _network_types(trt: Any, network: Any) -> dict[str, int]:
    """What the layers of the network put out, by type; constants are left out, they compute nothing."""
    types: Counter[str] = Counter()
    for index in range(network.num_layers):
        layer = network.get_layer(index)
        if layer.type != trt.LayerType.CONSTANT:
            tensors = [layer.get_output(output) for output in range(layer.num_outputs)]
            types.update(kind.name for kind in [tensor.dtype for tensor in tensors])
    return dict(types)


def execution_context(trt: Any, engine: Any) -> Any:
    """A context to run an engine in, with the first profile."""
    if trt.__name__ == RTX:
        # By default it runs stand-in kernels while the right ones are compiled in the background: no state to measure.
        runtime_config = engine.create_runtime_config()
        runtime_config.dynamic_shapes_kernel_specialization_strategy = (
            trt.DynamicShapesKernelSpecializationStrategy.EAGER
        )
        return engine.create_execution_context(runtime_config)
    return engine.create_execution_context()
