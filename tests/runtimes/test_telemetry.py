"""Nobody is told that a runtime is used."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("openvino", reason="openvino is not installed here")


def test_openvino_is_imported_without_its_telemetry(tmp_path: Path) -> None:
    code = "import runtimes, openvino, sys, threading; print(threading.active_count(), openvino.__version__)"
    environment = {**os.environ, "HOME": str(tmp_path), "CI": "", "TF_BUILD": "", "JENKINS_URL": ""}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split()[0] == "1", "a thread would send"
    assert list(tmp_path.iterdir()) == [], "its file with an identity of the user"
