"""A running Ray cluster as somewhere to work. Nothing is started here: who starts Ray decides what listens where."""

from __future__ import annotations

import importlib.util
import os
import re
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from convert.common import commands
from convert.common.errors import InputError, shown

AUTO = "auto"
CLUSTER = "--cluster"
HELP = (
    "Measure on the machines of a Ray cluster: auto (the one that runs here) or the HOST:PORT of its head."
    " [default: on this machine]"
)
# A head is asked for a connection so long; Ray itself would wait for minutes.
_REACH_S = 5.0
# Ray's own: how long a driver waits for a head that it does not reach, before it ends the process. A network that is
# cut for a minute costs nothing.
_SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_gcs_rpc_server_reconnect_timeout_s": "300",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}


def install() -> str:
    """How Ray is installed, in a checkout or beside an installed vitbench."""
    in_checkout = commands.module("runtimes") == "runtimes"
    return "pip install -e '.[cluster]'" if in_checkout else "pip install 'vitbench[cluster]'"


def need() -> None:
    """InputError, in a sentence with how to install it, where Ray is missing."""
    if importlib.util.find_spec("ray") is None:
        raise InputError(f"{CLUSTER} needs Ray, which is not installed here: {install()}")


@contextmanager
def connected(address: str) -> Iterator[Any]:
    """Be connected to a cluster while the block lasts; yields the package `ray`.

    address: `auto` or HOST:PORT. Ray says nothing on the console, sends no statistics and leaves signals alone.
    InputError where there is no Ray or no cluster.
    """
    need()
    _check(address)
    os.environ.update({name: os.environ.get(name, value) for name, value in _SETTINGS.items()})
    import ray

    # Ray prints the end of a dead node's log on standard output, where results are, whatever it is told of logs.
    ray._private.worker.print_to_stdstream = lambda *_, **__: None
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        ray.init(address=address, logging_level="CRITICAL", log_to_driver=False, include_dashboard=False)
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        reason = shown(str(error).strip().split("\n", 1)[0])
        raise InputError(f"{CLUSTER} {address}: no Ray cluster answers ({reason}): {_ADVICE}") from None
    finally:
        if threading.current_thread() is threading.main_thread():
            for number, handler in handlers.items():  # Ray's own would end the process without a word of ours
                signal.signal(number, handler)
    try:
        yield ray
    finally:
        ray.shutdown()


_ADVICE = "start one with `ray start --head` (docs/cluster.md), and give its address"


def _check(address: str) -> None:
    """InputError for an address that is none, or that nobody listens at."""
    if address == AUTO:
        return
    found = re.fullmatch(r"(?P<host>\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+):(?P<port>[0-9]{1,5})", address)
    if not found or not 0 < int(found["port"]) < 65536:
        raise InputError(f"{CLUSTER} {address!r}: auto or HOST:PORT is needed, as in {CLUSTER} 10.0.0.1:6379")
    try:
        socket.create_connection((found["host"].strip("[]"), int(found["port"])), _REACH_S).close()
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(f"{CLUSTER} {address}: no Ray cluster answers ({reason}): {_ADVICE}") from None
