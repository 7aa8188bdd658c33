"""Triton on loopback with some artifacts, for a first try: by the server that is installed, none of our own."""

from __future__ import annotations

import functools
import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from convert.artifact import Artifact
from convert.common.disk.files import write_text
from convert.common.errors import InputError, shown
from convert.common.worker import die_with_parent
from runtimes.base import UnavailableError
from runtimes.served import stand_in, triton
from runtimes.served.address import Address
from runtimes.served.client import Client
from runtimes.served.triton import Deployment

PYTHON = "VITBENCH_TRITON_PYTHON"
LOOPBACK = "127.0.0.1"
_START_S = 120.0  # after which a server that is not ready has failed; ViT_large takes seconds to load
_LOG_LINES = 3
_NONE = (
    "no Triton is here: put `tritonserver` on the PATH; or make an environment for its Python wheel, which has no"
    " backend in C++ (python3 -m venv triton && triton/bin/pip install nvidia-pytriton onnxruntime), and set"
    f" {PYTHON}=triton/bin/python"
)
# Asked of the environment that has nvidia-pytriton: where its server is, and where the library of its Python.
_WHERE = """
import importlib.metadata, json, pathlib, sys, sysconfig, onnxruntime
root = pathlib.Path(importlib.metadata.distribution("nvidia-pytriton").locate_file(""))
version = f"{sys.version_info.major}.{sys.version_info.minor}"
print(json.dumps([str(root), version, sysconfig.get_config_var("LIBDIR") or ""]))
"""


@dataclass(frozen=True)
class Installed:
    """A Triton that can be started. command: its first words; told: what it is, in words; backends: those it has."""

    command: tuple[str, ...]
    told: str
    backends: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)


def find(folder: Path) -> Installed:
    """The Triton of this machine. folder: an empty one for backends. InputError says what to install."""
    if program := shutil.which("tritonserver"):
        backends = Path(program).resolve().parents[1] / "backends"  # where a Triton of NVIDIA's looks for them
        return Installed((program,), program, tuple(one.name for one in backends.glob("*") if one.is_dir()))
    if not (python := os.environ.get(PYTHON)):
        raise InputError(_NONE)
    try:
        asked = subprocess.run([python, "-c", _WHERE], capture_output=True, text=True, check=True, timeout=_START_S)
        root, version, library = json.loads(asked.stdout)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        said = (getattr(error, "stderr", None) or str(error)).strip().splitlines()[-1:]
        reason = shown(said[0] if said else error, 300)
        raise InputError(f"{PYTHON}={python}: it has not both nvidia-pytriton and onnxruntime ({reason})") from None
    server = Path(root, "pytriton", "tritonserver")
    shutil.copytree(server / "backends", folder, dirs_exist_ok=True)
    shutil.copy(server / "python_backend_stubs" / version / "triton_python_backend_stub", folder / "python")
    (folder / "onnxruntime").mkdir()
    shutil.copyfile(stand_in.__file__, folder / "onnxruntime" / "model.py")
    environment = {"LD_LIBRARY_PATH": f"{root}/nvidia_pytriton.libs:{library}", "PYTHONPATH": root}
    command = (str(server / "bin" / "tritonserver"), f"--backend-directory={folder}")
    told = "the server of nvidia-pytriton, with ONNX Runtime in Python"
    return Installed(command, told, ("onnxruntime",), environment)


def repository(folder: Path, artifacts: Sequence[Artifact], wanted: Deployment) -> None:
    """Write a model repository of some artifacts, their files linked where that is possible."""
    for artifact in artifacts:
        version = folder / artifact.model / triton.VERSION
        version.mkdir(parents=True)
        for name in artifact.onnx_files:
            (version / name).symlink_to(artifact.path.resolve() / name)
        write_text(version.parent / "config.pbtxt", triton.config(artifact, wanted))


@contextmanager
def running(installed: Installed, models: Path, port: int, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A server on loopback that is ready; it is gone at the end of the block. models: a repository; log: for its words.

    InputError where it ends or is not ready in time, with its last errors.
    """
    words = [
        *installed.command,
        f"--model-repository={models}",
        *(f"--http-address={LOOPBACK}", f"--http-port={port}"),
        *("--allow-grpc=false", "--allow-metrics=false", "--disable-auto-complete-config", "--exit-timeout-secs=2"),
    ]
    _must_be_free(port)
    with log.open("wb") as stream:
        process = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            env={**os.environ, **installed.environment},
            preexec_fn=functools.partial(die_with_parent, os.getpid()),
        )
    try:
        _wait(process, port, log)
        yield process
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(10.0)
        process.kill()
        process.wait()


def free_port() -> int:
    """A port of loopback on which nobody listens."""
    with socket.create_server((LOOPBACK, 0)) as free:
        return int(free.getsockname()[1])


def _must_be_free(port: int) -> None:
    """InputError where somebody else's server listens: it would be taken for the one that is started."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            raise InputError(f"--port {port}: it cannot be listened on ({error.strerror}); give another one") from None


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    end = time.monotonic() + _START_S
    while time.monotonic() < end:
        if process.poll() is not None:
            raise InputError(f"Triton ended with status {process.returncode}: {errors(log)}")
        client = Client(Address("http", LOOPBACK, port), 2.0)
        with suppress(UnavailableError):
            if client.ready("health"):
                return
        client.close()
        time.sleep(0.2)
    raise InputError(f"Triton was not ready within {_START_S:g} s: {errors(log)}")


def errors(log: Path) -> str:
    """The last lines in which it tells of an error, else its last ones."""
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    told = [line for line in lines if line.startswith(("E1", "E0", "error", "[E")) or "failed" in line] or lines
    return shown("; ".join(told[-_LOG_LINES:])) or "it said nothing"
