"""Environment variables that change numbers are told; what they say of people and places is not."""

from __future__ import annotations

import getpass
import os
import socket
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtimes.system import variables


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("OMP_NUM_THREADS", "4", "4"),
        ("OPENBLAS_CORETYPE", "Haswell", "Haswell"),
        ("KMP_AFFINITY", "granularity=fine,compact,1,0", "granularity=fine,compact,1,0"),
        ("OMP_PLACES", "{0:4}", "{0:4}"),
        ("NVIDIA_TF32_OVERRIDE", "0", "0"),
        ("FLAGS_use_mkldnn", "", ""),
        ("CUDA_VISIBLE_DEVICES", "0,2", "0,2"),
        ("CUDA_VISIBLE_DEVICES", "-1", "-1"),
        ("CUDA_VISIBLE_DEVICES", "GPU-8f6a1c2e", "set"),
        ("LD_PRELOAD", "libjemalloc.so", "set"),
        ("ORT_LOG", "/home/somebody/log", "set"),
        ("OV_CACHE", r"C:\Users\somebody", "set"),
        ("ONEDNN_JIT_PROFILE", "x" * 65, "set"),
        ("MKL_HOST", "me@there", "set"),
    ],
)
def test_values_are_told_unless_they_could_name_a_place(name: str, value: str, told: str) -> None:
    assert variables.describe({name: value}) == {name: told}


def test_others_are_left_out_and_names_are_sorted() -> None:
    told = variables.describe({"TBB_X": "1", "HOME": "/root", "TOKEN": "a", "PATH": "/bin", "DNNL_VERBOSE": "1"})
    assert list(told.items()) == [("DNNL_VERBOSE", "1"), ("TBB_X", "1")]


def test_names_of_users_and_hosts_are_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(getpass, "getuser", lambda: "Erika")
    monkeypatch.setattr(socket, "gethostname", lambda: "bench-07")
    told = variables.describe({"OV_A": "of-erika", "OV_B": "BENCH-07", "OV_C": "fast"})
    assert told == {"OV_A": "set", "OV_B": "set", "OV_C": "fast"}


def test_what_is_set_by_an_import_is_no_variable_of_the_machine() -> None:
    """OpenCV, in a process that began without it, as a node's do one after the other; and the real one."""
    own = "/venv/lib/python3.11/site-packages/cv2/../../lib64:"
    assert variables.describe({"LD_LIBRARY_PATH": own, "ORT_DISABLE_TELEMETRY": "1"}) == {}
    assert variables.describe({"LD_LIBRARY_PATH": own + own}) == {}
    assert variables.describe({"LD_LIBRARY_PATH": own + "/opt/cuda/lib64"}) == {"LD_LIBRARY_PATH": "set"}
    code = (
        "from runtimes.system import variables as v; before = v.describe(); import cv2; print(before == v.describe())"
    )
    without = {name: value for name, value in os.environ.items() if name != "LD_LIBRARY_PATH"}
    done = subprocess.run([sys.executable, "-c", code], env=without, capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"


@given(st.text(max_size=80))
def test_no_separator_of_paths_is_ever_told(value: str) -> None:
    told = variables.describe({"OMP_X": value})["OMP_X"]
    assert told in (value, "set")
    assert not set(told) & set("/\\~@\n\"'$")
