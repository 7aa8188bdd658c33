from __future__ import annotations

import importlib.util
import socket
import sys

import pytest

from convert.common import commands
from convert.common.errors import InputError
from runtimes.cluster import connect


def test_without_ray_a_sentence_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with (
        pytest.raises(InputError, match=r"--cluster needs Ray, which is not installed here: pip install -e '.\[clus"),
        connect.connected("auto"),
    ):
        pass


def test_an_installed_vitbench_says_it_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "module", lambda name: f"vitbench.floors.{name}")
    assert connect.install() == "pip install 'vitbench[cluster]'"


@pytest.mark.parametrize("address", ["", "local", "ray://there:1", "there", "there:0", "there:99999"])
def test_an_address_is_auto_or_host_and_port(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connect, "need", lambda: None)
    with pytest.raises(InputError, match="auto or HOST:PORT is needed"), connect.connected(address):
        pass
    assert "ray" not in sys.modules or address


def test_where_nobody_listens_one_is_told_how_to_start_a_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connect, "need", lambda: None)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{taken.getsockname()[1]}"  # bound, and nobody listens
        with pytest.raises(InputError, match=r"no Ray cluster answers.*`ray start --head`"), connect.connected(address):
            pass
