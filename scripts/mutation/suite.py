"""Runs the tests that mirror a module, in a copy of the checkout.

Each run is a fork of a process that has the heavy libraries loaded, and nothing of vitbench: to import them takes
longer than the tests of most modules.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from pathlib import Path

_LOADED = [
    *("_pytest.assertion.rewrite", "hypothesis", "numpy", "scipy.stats", "pandas", "onnx", "cv2", "msgspec"),
    "rich.progress",
]
_OPTIONS = ("-q", "-x", "-p", "no:cacheprovider", "-p", "no:xdist", "-p", "no:cov")
_FORKS = multiprocessing.get_context("forkserver")


def run(copy: Path, module: Path, patience_s: float | None = None) -> int | None:
    """The exit status of pytest; None when it did not end in `patience_s` seconds."""
    _FORKS.set_forkserver_preload(_LOADED)
    process = _FORKS.Process(target=_pytest, args=(str(copy), _mirror(copy, module)))
    process.start()
    process.join(patience_s)
    if process.exitcode is None and process.pid:
        os.killpg(process.pid, signal.SIGKILL)
        process.join()
        return None
    return process.exitcode


def _pytest(copy: str, tests: str) -> None:
    os.setsid()
    silence = os.open(os.devnull, os.O_RDWR)
    for descriptor in range(3):
        os.dup2(silence, descriptor)
    # The command that plants was imported from the checkout; what is tested comes from the copy.
    ours = {path.stem for path in Path(copy).iterdir()}
    for name in [name for name in sys.modules if name.partition(".")[0] in ours]:
        del sys.modules[name]
    sys.path.insert(0, copy)
    sys.dont_write_bytecode = True  # a fault must not be found compiled when it is gone
    os.environ |= {"PYTHONPATH": copy, "PYTHONDONTWRITEBYTECODE": "1"}
    os.chdir(copy)
    import pytest

    os._exit(pytest.main([*_OPTIONS, tests]))  # at once: what a test left running is not waited for


def _mirror(copy: Path, module: Path) -> str:
    """The test that mirrors a module: its own file, or where it has none, the folder that it stands in."""
    folder = Path("tests", module.parent)
    while not (copy / folder).is_dir():
        folder = folder.parent
    own = folder / f"test_{module.stem.strip('_')}.py"
    return str(own if (copy / own).exists() else folder)
