"""A server that is started for a first try: until it is ready, and gone at the end. A script stands in for Triton."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from convert.artifact import Artifact
from convert.common.errors import InputError
from runtimes.served import start
from runtimes.served.triton import Deployment

_SERVES = """#!{python}
import http.server, pathlib, sys
given = dict(word.lstrip("-").split("=", 1) for word in sys.argv[1:] if "=" in word)
assert (pathlib.Path(given["model-repository"]) / "toy" / "1" / "model.onnx").is_file()

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/v2/health/ready" else 404)
        self.end_headers()

http.server.HTTPServer((given["http-address"], int(given["http-port"])), Handler).serve_forever()
"""
_FAILS = """#!{python}
import sys
print("I1130 loading")
print("E1130 failed to load 'toy': no such backend")
sys.exit(1)
"""


@pytest.fixture
def tritonserver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program of that name on the PATH."""
    program = tmp_path / "bin" / "tritonserver"
    program.parent.mkdir()
    program.write_text(_SERVES.format(python=sys.executable))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)
    return program


def test_a_server_is_ready_and_gone_at_the_end(tritonserver: Path, toy_artifact: Artifact, tmp_path: Path) -> None:
    (tritonserver.parents[1] / "backends" / "openvino").mkdir(parents=True)
    installed = start.find(tmp_path)
    assert (installed.command, installed.backends) == ((str(tritonserver),), ("openvino",))
    start.repository(tmp_path / "models", [toy_artifact], Deployment())
    with start.running(installed, tmp_path / "models", start.free_port(), tmp_path / "log") as process:
        assert process.poll() is None
    assert process.poll() is not None


def test_a_server_that_ends_says_why(tritonserver: Path, toy_artifact: Artifact, tmp_path: Path) -> None:
    tritonserver.write_text(_FAILS.format(python=sys.executable))
    start.repository(tmp_path / "models", [toy_artifact], Deployment())
    with (
        pytest.raises(InputError, match="Triton ended with status 1: E1130 failed to load 'toy': no such backend"),
        start.running(start.find(tmp_path), tmp_path / "models", start.free_port(), tmp_path / "log"),
    ):
        pytest.fail("it is not ready")


def test_the_command_serves_until_it_is_interrupted(
    tritonserver: Path, toy_artifact: Artifact, toy_toml: Path, toy_root: Path
) -> None:
    words = ["--model", str(toy_toml), "--artifacts", str(toy_root), "--port", str(start.free_port())]
    command = [sys.executable, "-m", "runtimes.served", *words]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        said = next(line for line in process.stderr if "Ctrl-C ends it" in line)
        assert said.startswith(f"toy at http://{start.LOOPBACK}:")
        (server,) = psutil.Process(process.pid).children()
        process.send_signal(signal.SIGINT)
        process.stderr.read()
    assert process.returncode == 130
    assert not server.is_running()
    refused = subprocess.run([*command, "--precision", "int8"], capture_output=True, text=True, check=False)
    assert (refused.returncode, refused.stderr) == (
        2,
        "error: --precision int8: what a server computes in can be shown for fp32 only\n",
    )
