"""A visit's description."""

from __future__ import annotations

import json

from convert.common import typed
from runtimes.base import Options
from runtimes.bench.worker.job import Job


def test_a_session_is_told_its_own_batch_first_and_that_the_others_come() -> None:
    assert Job("toy", "ort-cpu", 4, Options(batches=(1, 4, 8))).session_options.batches == (4, 1, 8)
    assert Job("toy", "ort-cpu", 4).session_options.batches == (4,)


def test_it_survives_the_journey_through_json() -> None:
    job = Job("toy", "ort-cpu", 4, Options("int8", batches=(1, 4)), memory_limit_bytes=5)
    assert typed.read(Job, json.loads(json.dumps(typed.table(job)))) == job
