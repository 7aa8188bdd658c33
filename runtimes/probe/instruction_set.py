"""The instruction set that oneDNN may use, which OpenVINO's kernels come from: limited by a variable, and read back."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from convert.precision.table import INT8
from runtimes.base import UnavailableError
from runtimes.probe import neighbours
from runtimes.setting import Setting
from runtimes.system.processor import cpuinfo

VARIABLE = "ONEDNN_MAX_CPU_ISA"
OWN = "default"
# As oneDNN calls them (its developer guide, "CPU Dispatcher Control"), in small letters: what Linux calls what they
# need, and what names of kernels have of them.
_AVX512 = ("avx512f", "avx512bw", "avx512dq", "avx512vl")
_SETS = {
    "avx2": (("avx2",), "avx2"),
    "avx2_vnni": (("avx_vnni",), "avx2"),
    "avx512_core": (_AVX512, "avx512"),
    "avx512_core_vnni": ((*_AVX512, "avx512_vnni"), "avx512"),
    "avx512_core_bf16": ((*_AVX512, "avx512_vnni", "avx512_bf16"), "avx512"),
    "avx512_core_amx": ((*_AVX512, "avx512_vnni", "avx512_bf16", "amx_int8", "amx_bf16"), "amx"),
}
SETTING = Setting(
    default=OWN,
    help="the highest instruction set of the processor to use; a process has to be started with it",
    values=(OWN, *_SETS),
)
_NO_KERNEL = "supported primitive descriptors list is empty"  # 2026.4.1: AVX2's int8 where there is AVX512
_FAMILIES = ("sse", "avx", "avx2", "avx512", "amx")  # in names of kernels, from low to high
_IN_16_BITS = ("avx2", "avx512_core")  # those that add two products of int8 there


def environment(name: str) -> dict[str, str]:
    """What a process must be started with. oneDNN reads it once."""
    return {} if name == OWN else {VARIABLE: name.upper()}


def require(name: str) -> None:
    """UnavailableError where this processor lacks an instruction set, or OpenVINO was loaded here under another one.

    A processor that does not tell what it has may have it.
    """
    told = cpuinfo().get("flags", "").split()
    lacking = [flag for flag in _SETS[name][0] if flag not in told] if told and name != OWN else []
    if lacking:
        raise UnavailableError(f"openvino.isa={name}: this processor lacks {', '.join(lacking)}")
    if os.environ.get(VARIABLE) != _at_first():
        before = _at_first() or "none"
        raise UnavailableError(f"this process has loaded OpenVINO with {VARIABLE}={before}, which it reads once")


@functools.cache
def _at_first() -> str | None:
    """The variable when the first session of this process was opened."""
    return os.environ.get(VARIABLE)


@contextlib.contextmanager
def kernels_of(name: str) -> Iterator[None]:
    """UnavailableError where OpenVINO, limited to an instruction set, finds no kernel for a layer while it compiles."""
    try:
        yield
    except RuntimeError as error:  # OpenVINO's have no type of their own
        if name == OWN or _NO_KERNEL not in str(error).lower():
            raise
        raise UnavailableError(
            f"openvino.isa={name}: OpenVINO has no kernel of this instruction set for a layer of this model on this"
            " processor"
        ) from error


def details(name: str, kernels: Mapping[str, int], precision: str, sums: str | None) -> dict[str, Any]:
    """What a record has of it. kernels: how many layers have each. The others: as in `not_read_back`."""
    found = {"kernels": dict(kernels), "isa": of_kernels(kernels), "int8_sums": sums}
    doubt = not_read_back(name, kernels, precision, sums)
    return {**found, "isa_not_read_back": doubt} if doubt else found


def of_kernels(kernels: Iterable[str]) -> str | None:
    """The highest that is in the names of kernels: sse, avx, avx2, avx512, amx. None where no name has one."""
    names = [part for kernel in kernels for part in kernel.lower().split("_")]
    return next((family for family in reversed(_FAMILIES) if any(_is(name, family) for name in names)), None)


def _is(name: str, family: str) -> bool:
    return name.startswith("sse") if family == "sse" else name == family


def not_read_back(name: str, kernels: Iterable[str], precision: str, sums: str | None) -> str | None:
    """Why what ran is not known to be what was asked for, in a clause; None where it is, or nothing was asked for.

    sums: what `neighbours` says of int8, which tells VNNI; names of kernels do not.
    """
    if name == OWN:
        return None
    found, wanted = of_kernels(kernels), _SETS[name][1]
    if found != wanted:
        return f"{name} was asked for, and the names of its kernels say {found or 'nothing of it'}"
    expected = neighbours.SATURATED if name in _IN_16_BITS else neighbours.EXACT
    if precision == INT8 and sums != expected:
        return f"{name} was asked for, and its sums of int8 are {sums}"
    return None
