"""The instruction set that OpenVINO may use: what a process needs for it, what is refused, and what is read back."""

from __future__ import annotations

import pytest

from runtimes.base import UnavailableError
from runtimes.probe import instruction_set
from runtimes.probe.neighbours import EXACT, SATURATED


@pytest.fixture(autouse=True)
def _first_of_its_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(instruction_set.VARIABLE, raising=False)
    monkeypatch.setattr(instruction_set, "cpuinfo", lambda: {"flags": "sse4_2 avx avx2 avx_vnni"})
    instruction_set._at_first.cache_clear()


def test_a_process_is_started_with_what_was_asked_for() -> None:
    assert instruction_set.environment("avx512_core") == {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE"}
    assert instruction_set.environment("default") == {}


def test_what_the_processor_lacks_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("default", "avx2", "avx2_vnni"):
        instruction_set.require(name)
    with pytest.raises(UnavailableError, match=r"avx512_core_vnni: this processor lacks avx512f, .*, avx512_vnni"):
        instruction_set.require("avx512_core_vnni")
    monkeypatch.setattr(instruction_set, "cpuinfo", dict)
    instruction_set.require("avx512_core_vnni")  # it does not tell


def test_a_process_keeps_what_it_began_with(monkeypatch: pytest.MonkeyPatch) -> None:
    instruction_set.require("default")
    monkeypatch.setenv(instruction_set.VARIABLE, "AVX2")
    with pytest.raises(UnavailableError, match="has loaded OpenVINO with ONEDNN_MAX_CPU_ISA=none"):
        instruction_set.require("avx2")


def test_a_layer_without_a_kernel_is_said_plainly_and_other_errors_stay() -> None:
    openvinos = RuntimeError("[CPU] Supported primitive descriptors list is empty for node: fc1, type: FullyConnected")
    said = "openvino.isa=avx2: OpenVINO has no kernel of this instruction set for a layer of this model"
    with pytest.raises(UnavailableError, match=said), instruction_set.kernels_of("avx2"):
        raise openvinos
    for name, error in (("default", openvinos), ("avx2", RuntimeError("out of memory"))):
        with pytest.raises(RuntimeError) as raised, instruction_set.kernels_of(name):
            raise error
        assert raised.value is error


@pytest.mark.parametrize(
    ("kernels", "family"),
    [
        (("jit_gemm_i8", "jit_avx2_f32", "ref_f32"), "avx2"),
        (("brgemm_avx512_I8", "jit_avx2_f32"), "avx512"),
        (("brgemm_avx512_amx_i8", "jit_avx512_f32"), "amx"),
        (("jit_sse42_f32",), "sse"),
        (("jit_gemm_i8", "unknown_f32"), None),
    ],
)
def test_the_highest_of_the_kernels_names_counts(kernels: tuple[str, ...], family: str | None) -> None:
    assert instruction_set.of_kernels(kernels) == family


@pytest.mark.parametrize(
    ("name", "kernels", "precision", "sums", "doubt"),
    [
        ("default", ["ref_f32"], "int8", "?", None),
        ("avx2", ["jit_avx2_f32"], "int8", SATURATED, None),
        ("avx2", ["jit_avx2_f32"], "fp32", None, None),
        ("avx2", ["brgemm_avx512_f32"], "fp32", None, "the names of its kernels say avx512"),
        ("avx512_core", ["ref_f32"], "fp32", None, "the names of its kernels say nothing of it"),
        ("avx512_core", ["brgemm_avx512_i8"], "int8", EXACT, "its sums of int8 are exact"),
        ("avx512_core_vnni", ["brgemm_avx512_i8"], "int8", SATURATED, "its sums of int8 are cut off"),
        ("avx512_core_vnni", ["brgemm_avx512_i8"], "int8", EXACT, None),
    ],
)
def test_what_is_not_read_back_is_said(
    name: str, kernels: list[str], precision: str, sums: str | None, doubt: str | None
) -> None:
    found = instruction_set.details(name, dict.fromkeys(kernels, 1), precision, sums)
    assert found["int8_sums"] == sums
    assert doubt is None or doubt in found["isa_not_read_back"]
    assert ("isa_not_read_back" in found) == (doubt is not None)
