"""Where a server listens: the one address that is asked, as it was given."""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

import psutil

from convert.common.errors import shown
from runtimes.base import UnavailableError

# Its value goes into the header `Authorization`, so that no password stands on a command line or in a record.
AUTHORIZATION = "VITBENCH_SERVED_AUTHORIZATION"
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Address:
    """Parts of `http://host:port/prefix`. prefix: empty, or with a slash before it and none behind."""

    scheme: str
    host: str
    port: int
    prefix: str = ""

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}{self.prefix}"


def parse(url: str) -> Address:
    """The address that a URL names. UnavailableError for one that is none, or has a login in it."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if host is None or parts.scheme not in _PORTS or parts.query or parts.fragment:
        raise UnavailableError(f"served.url={shown(url)}: http://HOST:PORT is needed, as in http://127.0.0.1:8000")
    if "@" in parts.netloc:
        raise UnavailableError(
            f"served.url={shown(url)}: leave user and password out; {AUTHORIZATION} in the environment takes what the"
            " header Authorization is to say"
        )
    return Address(parts.scheme, host, port or _PORTS[parts.scheme], parts.path.rstrip("/"))


def processes(address: Address) -> tuple[int, ...]:
    """Numbers of the processes of this machine that listen there, with those that they started; none where they cannot
    be seen: on another machine, of another user, or behind a container's network."""
    try:
        wanted = _local_addresses(address)
        listening = {
            one.pid
            for one in psutil.net_connections("tcp")
            if one.status == psutil.CONN_LISTEN and one.pid and one.laddr
            if one.laddr.port == address.port and one.laddr.ip in wanted
        }
        found = [psutil.Process(pid) for pid in listening] if wanted else []
        return tuple(sorted({one.pid for top in found for one in (top, *top.children(recursive=True))}))
    except (psutil.Error, OSError):
        return ()


def _local_addresses(address: Address) -> set[str]:
    """The addresses at which a process of this machine would listen for these requests; none for another machine."""
    ours = {one.address for found in psutil.net_if_addrs().values() for one in found}
    asked = {str(found[4][0]) for found in socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)}
    here = {one for one in asked if one in ours or ipaddress.ip_address(one).is_loopback}
    return here | {"0.0.0.0", "::"} if here else set()  # noqa: S104 - a server that listens everywhere
