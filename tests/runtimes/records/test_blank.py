"""What a record says before anything was measured, and the command that makes it again."""

from __future__ import annotations

import re
import shlex
import time

from convert.artifact import Artifact
from convert.model_options import ModelOptions
from runtimes.base import Options
from runtimes.records.blank import arguments, command, start
from runtimes.records.kinds import FORMAT, Latency
from tests.runtimes.bench.made_up import FAKES


def test_what_is_known_before_the_measurement(toy_artifact: Artifact) -> None:
    options = Options(precision="bf16", device="GPU.1", streams=3, extra={"a": "1"})
    found = start(Latency, toy_artifact, FAKES["fake-a"], options, batch=4, key="k")
    asked = (found.model, found.runtime, found.precision, found.device, found.streams, found.settings)
    assert asked == ("toy", "fake-a", "bf16", "GPU.1", 3, {"a": "1"})
    assert (found.status, found.reason, found.format, found.effective) == ("refused", "not measured yet", FORMAT, None)
    assert (found.artifact, found.runtime_version) == (toy_artifact.sha256, FAKES["fake-a"].version())
    assert (found.batch, found.key, found.command) == (4, "k", "")
    assert found.model_info
    assert found.model_info.weights
    assert found.model_info.weights.kind == "seeded"
    assert found.model_info.command == toy_artifact.manifest.command
    assert (found.model_info.calibration, found.model_info.kept_fp32) == (None, None)
    assert found.time_utc
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", found.time_utc)
    assert found.time_utc[:10] in {time.strftime("%Y-%m-%d", time.gmtime(time.time() - ago)) for ago in (0, 60)}
    assert start(Latency, toy_artifact, FAKES["fake-a"], options, status="failed").status == "failed"


def test_options_as_words() -> None:
    assert arguments({"batch_size": 4, "none": None, "runtime": ["a", "b"], "empty": [], "zero": 0}) == [
        *("--batch-size", "4", "--runtime", "a", "--runtime", "b", "--zero", "0")
    ]


def test_a_command_survives_a_shell(toy_artifact: Artifact) -> None:
    name = "a model's file.toml"
    line = command("runtimes.bench", name, toy_artifact, ModelOptions(), out="a b", threads=2)
    found = shlex.split(line)
    assert found[:5] == ["python", "-m", "runtimes.bench", "--model", name]
    assert found[-4:] == ["--out", "a b", "--threads", "2"]
    assert found[found.index("--weights") + 1] == "seeded:1"
