"""The peak on paper: of known processors, and null with a reason where clock or units are not known."""

from __future__ import annotations

from typing import Any

import pytest

from runtimes.bench.ceiling import peak
from runtimes.system import environment


def _machine(
    *sets: str, vendor: str = "GenuineIntel", family: str = "6.143", mhz: int | None = 2000, cores: int = 4
) -> dict[str, Any]:
    return {
        **{"vendor": vendor, "family_model": family, "instruction_sets": list(sets), "cores_usable": cores},
        **{"virtual": mhz is None, "frequency": {"max_mhz": mhz}},
    }


_AVX2 = ("avx2", "fma")
_AVX512 = (*_AVX2, "avx512f", "avx512_vnni", "avx512_bf16")


@pytest.mark.parametrize(
    ("machine", "expected"),
    [
        (_machine(*_AVX2), {"fp32": 32}),
        (_machine(*_AVX2, "avx_vnni"), {"fp32": 32, "int8": 128}),
        (_machine(*_AVX512, vendor="AuthenticAMD", family="25.17"), {"fp32": 32, "int8": 128, "bf16": 64}),
        (_machine(*_AVX512, vendor="AuthenticAMD", family="26.2"), {"fp32": 64, "int8": 256, "bf16": 128}),
        (
            _machine(*_AVX512, "avx512_fp16", "amx_bf16", "amx_int8"),
            {"fp32": 64, "int8": 2048, "bf16": 1024, "fp16": 128},
        ),
        (_machine("asimd"), None),
        ({**_machine(), "instruction_sets": None}, None),
    ],
)
def test_operations_per_cycle_follow_the_units(machine: dict[str, Any], expected: dict[str, int] | None) -> None:
    assert peak.flop_per_cycle(machine) == expected


def test_the_peak_is_cores_times_clock_times_operations() -> None:
    found = peak.describe(_machine(*_AVX512))
    assert found.gflops == {"fp32": 512.0, "int8": 2048.0, "bf16": 1024.0}
    assert found.reason is None


def test_an_unknown_clock_is_null_with_the_reason() -> None:
    found = peak.describe(_machine(*_AVX2, mhz=None))
    assert (found.gflops, found.clock_mhz) == (None, None)
    assert found.reason == "the hypervisor does not tell the processor's highest clock"


def test_this_machine_has_one_or_a_reason() -> None:
    found = peak.describe(environment.describe()["machine"])
    assert (found.gflops is None) == (found.reason is not None)
