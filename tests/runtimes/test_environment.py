from __future__ import annotations

import getpass
import json
import socket
from pathlib import Path

from runtimes import environment


def test_it_says_what_can_change_a_number_and_not_whose_machine_it_is() -> None:
    described = environment.describe()
    assert described["machine"]["cores_usable"] >= 1
    assert described["machine"]["memory_bytes"] > 1 << 28
    assert described["packages"]["onnxruntime"]
    assert described["vitbench"]["version"]
    text = json.dumps(described)
    assert socket.gethostname() not in text or len(socket.gethostname()) < 4
    assert str(Path.home()) not in text
    assert f'"{getpass.getuser()}"' not in text
