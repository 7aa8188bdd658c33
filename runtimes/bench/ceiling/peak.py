"""The peak of a processor on paper: cores x clock x operations per cycle."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from convert.precision.table import BF16, FP16, FP32, INT8
from runtimes.bench.ceiling.reach import PaperPeak

# Operations (a multiplication and an addition are two) of one core per cycle, all its vector or matrix units busy.
# AMX: Intel 64 and IA-32 Architectures Optimization Reference Manual, chapter on AMX: 1024 for bf16, 2048 for int8.
# AVX-512 with two 512-bit units: the same, 2 x 16 x 2 = 64 for FP32; VNNI four int8 products to a lane, bf16 two.
# Processors with one such unit reach half: the peak is an upper bound.
_AMX = {BF16: 1024, INT8: 2048}
_AVX512 = {
    "avx512f": {FP32: 64},
    "avx512_bf16": {BF16: 128},
    "avx512_fp16": {FP16: 128},
    "avx512_vnni": {INT8: 256},
}
# Zen 4 (family 25) does 512 bits in two units of 256 (AMD, Software Optimization Guide for Zen 4, 57647).
_NARROW_AVX512 = {"25"}
# Two 256-bit FMA units, as Haswell and later and Zen 2 and later have them.
_AVX2 = {FP32: 32}
_AVX_VNNI = {INT8: 128}


def describe(machine: Mapping[str, Any]) -> PaperPeak:
    """The peak of a processor; null where it is not known.

    machine: of `environment.describe()`. The clock is the highest that the processor is told to have: all cores
    together rarely hold it.
    """
    per_cycle = flop_per_cycle(machine)
    clock = machine["frequency"]["max_mhz"]
    reason = None
    if per_cycle is None:
        reason = "operations per cycle are only known of x86 with AVX2 and FMA"
    elif clock is None:
        teller = "the hypervisor" if machine["virtual"] else "the system"
        reason = f"{teller} does not tell the processor's highest clock"
    gflops = None
    if per_cycle and clock:
        gflops = {name: round(machine["cores_usable"] * clock * 1e-3 * count, 1) for name, count in per_cycle.items()}
    return PaperPeak(flop_per_cycle=per_cycle, clock_mhz=clock, gflops=gflops, reason=reason)


def flop_per_cycle(machine: Mapping[str, Any]) -> dict[str, int] | None:
    """Operations that one core does in a cycle at most, by precision; None where that is not known."""
    sets = set(machine["instruction_sets"] or ())
    if not {"avx2", "fma"} <= sets:
        return None
    found = dict(_AVX2)
    if "avx_vnni" in sets:
        found |= _AVX_VNNI
    narrow = machine["vendor"] == "AuthenticAMD" and str(machine["family_model"]).partition(".")[0] in _NARROW_AVX512
    for name, counts in _AVX512.items():
        if name in sets:
            found |= {precision: count // (2 if narrow else 1) for precision, count in counts.items()}
    if "amx_bf16" in sets:
        found[BF16] = _AMX[BF16]
    if "amx_int8" in sets:
        found[INT8] = _AMX[INT8]
    return found
