"""Nobody is told that a runtime is used."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize("runtime", ["openvino", "onnxruntime"])
def test_a_runtime_is_imported_without_its_telemetry(runtime: str, tmp_path: Path) -> None:
    pytest.importorskip(runtime, reason=f"{runtime} is not installed here")
    code = f"import runtimes, {runtime}, sys, threading; print(threading.active_count(), {runtime}.__version__)"
    environment = {**os.environ, "HOME": str(tmp_path), "TMPDIR": str(tmp_path), "CI": "", "TF_BUILD": ""}
    environment |= {"JENKINS_URL": "", "XDG_CACHE_HOME": ""}
    environment.pop("ORT_DISABLE_TELEMETRY", None)  # these tests have it from us
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split()[0] == "1", "a thread would send"
    assert list(tmp_path.iterdir()) == [], "its file with an identity of the user"
