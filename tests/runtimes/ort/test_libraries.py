"""What an ELF file needs is read from it, and what of that is missing is named."""

from __future__ import annotations

import contextlib
import ctypes
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runtimes.ort.libraries import missing, needed

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="ELF files are Linux'")


@pytest.fixture(scope="module")
def library() -> Path:
    """A library that is always here: numpy's core."""
    return next(Path(np.__file__).parent.rglob("_multiarray_umath*.so"))


def test_what_a_library_needs(library: Path) -> None:
    names = needed(library)
    assert {"libm.so.6", "libc.so.6"} <= set(names)
    assert all(".so" in name for name in names)


def test_what_is_missing_is_named(library: Path, tmp_path: Path) -> None:
    changed = tmp_path / "changed.so"
    content = library.read_bytes()
    assert b"\0libm.so.6\0" in content
    changed.write_bytes(content.replace(b"\0libm.so.6\0", b"\0libq.so.6\0"))
    assert "libq.so.6" in needed(changed)
    assert missing(["libm.so.6", "libq.so.6", "libq.so.6"]) == ["libq.so.6"]


def test_what_a_library_needs_in_turn_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(name: str, mode: int) -> None:
        raise OSError("libinner.so.3: cannot open shared object file: No such file or directory")

    monkeypatch.setattr(ctypes, "CDLL", load)
    assert missing(["libouter.so.1"]) == ["libinner.so.3"]


def test_a_library_that_is_found_and_cannot_be_loaded_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(name: str, mode: int) -> None:
        raise OSError("undefined symbol: cublasCreate")

    monkeypatch.setattr(ctypes, "CDLL", load)
    assert missing(["libouter.so.1"]) == ["libouter.so.1"]


def test_another_kind_of_file_needs_nothing(tmp_path: Path) -> None:
    file = tmp_path / "text.so"
    file.write_text("INPUT(libm.so.6)")
    assert needed(file) == []


@given(cut=st.integers(60, 20000), noise=st.binary(max_size=64), at=st.integers(64, 2000))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_damaged_file_is_an_error_of_one_line(library: Path, tmp_path: Path, cut: int, noise: bytes, at: int) -> None:
    content = bytearray(library.read_bytes()[:cut])
    content[at : at + len(noise)] = noise
    file = tmp_path / "damaged.so"
    file.write_bytes(bytes(content))
    with contextlib.suppress(ValueError):  # anything else would end the doctor with a traceback
        assert isinstance(needed(file), list)
    file.write_bytes(b"\x7fELF\x02\x01" + bytes(content[6:60]))
    with pytest.raises(ValueError, match=r"damaged\.so is a damaged ELF file"):
        needed(file)
