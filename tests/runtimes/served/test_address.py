"""Where a server listens, and which processes of this machine those are."""

from __future__ import annotations

import subprocess
import sys

import pytest

from runtimes.served import address
from runtimes.served.address import Address, parse

_LISTENS = """
import socket, subprocess, sys
listening = socket.create_server(("127.0.0.1", 0))
child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
print(listening.getsockname()[1], child.pid, flush=True)
input()
child.kill()
"""


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("http://127.0.0.1:8000", Address("http", "127.0.0.1", 8000)),
        ("http://host/prefix/", Address("http", "host", 80, "/prefix")),
        ("https://[::1]/", Address("https", "::1", 443)),
    ],
)
def test_parts_of_a_url(url: str, found: Address) -> None:
    assert parse(url) == found
    assert parse(str(found)) == found


def test_a_server_on_this_machine_is_found_with_what_it_started() -> None:
    command = [sys.executable, "-c", _LISTENS]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout
        port, child = map(int, process.stdout.readline().split())
        for host in ("127.0.0.1", "localhost"):
            assert address.processes(Address("http", host, port)) == tuple(sorted((process.pid, child)))
        assert address.processes(Address("http", "192.0.2.1", port)) == (), "an address for documentation: no machine"
        process.stdin.write("\n")
    assert address.processes(Address("http", "127.0.0.1", port)) == ()
