"""From a line to a record and back."""

from __future__ import annotations

import re
from typing import Any

import pytest

from runtimes.records import reading
from runtimes.records.kinds import FORMAT, Accuracy, Latency, Parity
from runtimes.undisturbed import RULE
from tests.runtimes.records.made import record

TABLE = reading.to_table(record(Latency, median_ms=5.0, settings={"a": "1"}, format=FORMAT))


def test_what_is_required_may_be_null_and_has_to_be_there() -> None:
    assert set(reading.REQUIRED) == {
        *("kind", "model", "precision", "runtime", "device", "artifact", "status", "reason", "effective", "command")
    }
    assert reading.from_table({**TABLE, "device": None, "artifact": None}).device is None
    for name in reading.REQUIRED:
        with pytest.raises(ValueError, match=f"^fields are missing: {name}$"):
            reading.from_table({key: value for key, value in TABLE.items() if key != name})
    with pytest.raises(ValueError, match="model"):
        reading.from_table({**TABLE, "model": None})


def test_a_null_elsewhere_is_what_the_field_is_without_it() -> None:
    found = reading.from_table({**TABLE, "settings": None, "samples_ms": None, "batch": None})
    assert isinstance(found, Latency)
    assert (found.settings, found.samples_ms, found.batch) == ({}, (), None)


@pytest.mark.parametrize(("kind", "words"), [("speed", "kind 'speed'"), (None, "kind None"), (["latency"], "kind ")])
def test_a_kind_that_is_none(kind: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        reading.from_table({**TABLE, "kind": kind})


@pytest.mark.parametrize("version", [0, -1, True, "2", 1.0, [2], None])
def test_a_format_that_never_was(version: Any) -> None:
    with pytest.raises(ValueError, match="there is none"):
        reading.from_table({**TABLE, "format": version})


def test_formats_up_to_todays_are_read() -> None:
    assert [reading.newer_format({"format": one}) for one in (1, 2)] == [None, None]
    assert reading.newer_format({}) is None
    assert "this vitbench reads up to 2: update it" in str(reading.newer_format({"format": 3}))


# As the version wrote it whose samples knew nothing of what they met, shortened.
EARLIER = {
    **{"kind": "latency", "format": 2, "model": "m", "precision": "fp32", "runtime": "ort-cpu", "device": "CPU"},
    **{"artifact": "a", "status": "ok", "reason": None, "effective": {"precision": "fp32", "device": "CPU"}},
    **{"command": "python -m runtimes.bench", "samples_ms": [4.0, 9.0, 6.0, 3.0], "count": 4, "median_ms": 5.0},
    **{"ci95_ms": [4.0, 6.0], "run_ci95_ms": [4.5, 5.5], "p90_ms": None, "cv": 0.1, "outliers": 0},
    **{"interval": {"method": "Student's t over processes, log scale", "between_cv": 0.01, "dof": 1, "processes": 2}},
    **{"disturbance": {"foreign_load": 0.01, "unmeasured": {"steal": "no counter"}}, "foreign_load": 0.01},
}


def test_a_record_of_an_earlier_version_is_read() -> None:
    found = reading.from_table(EARLIER)
    assert isinstance(found, Latency)
    assert (found.median_ms, found.samples_ms) == (5.0, (4.0, 9.0, 6.0, 3.0))
    assert (found.waited, found.foreign, found.turns) == ((), (), ())
    assert (found.undisturbed, found.seen_ms) == (None, None), "nobody knows"
    assert found.disturbance is not None
    assert found.disturbance.programs == {}
    assert reading.from_table(reading.to_table(found)) == found


def test_a_table_has_every_field_but_what_readers_add() -> None:
    """Also where the record was read from a line that lacked them."""
    short = reading.from_table({name: TABLE[name] for name in (*reading.REQUIRED, "median_ms")})
    assert set(reading.to_table(short)) == set(TABLE)
    assert TABLE["batch"] is None
    assert not {"machine", "run"} & set(TABLE)
    told = reading.to_table(record(Parity, machine="m", run="r"))
    assert (told["machine"], told["run"]) == ("m", "r")


ACCURACY = reading.to_table(record(Accuracy, images=4, top1=0.5, outcomes="110x--", format=FORMAT))
SAMPLES = {**TABLE, "samples_ms": [4.0, 9.0, 6.0, 3.0], "count": 4}
# Of these the three that hardly waited count.
BUSY = {
    **SAMPLES,
    "waited": [0.0, 0.5, 0.01, 0.05],
    "foreign": [0.0] * 4,
    "undisturbed": 3,
    "rule": RULE,
    "median_ms": 4.0,
}


@pytest.mark.parametrize(
    ("table", "changes", "words"),
    [
        (SAMPLES, {}, None),  # the median of an even number lies between two
        (SAMPLES, {"count": None}, None),
        (SAMPLES, {"status": "failed", "median_ms": None}, None),
        (SAMPLES, {"median_ms": 5.000001}, None),
        (SAMPLES, {"count": 3}, "count = 3, and it has 4 samples"),
        (SAMPLES, {"median_ms": 5.0001}, "median_ms = 5.0001, and that of its samples is 5.0"),
        (SAMPLES, {"status": "failed", "median_ms": 6.0}, "median_ms = 6.0, and"),
        (BUSY, {}, None),
        (BUSY, {"undisturbed": 0, "median_ms": 5.0}, None),
        (BUSY, {"undisturbed": None, "median_ms": 5.0}, None),
        (BUSY, {"median_ms": 5.0}, "median_ms = 5.0, and that of its samples is 4.0"),
        (BUSY, {"rule": RULE - 1, "undisturbed": 2}, None),
        (BUSY, {"undisturbed": 0}, "median_ms = 4.0, and that of its samples is 5.0"),
        (BUSY, {"undisturbed": 2}, "undisturbed = 2, and its median is of 3 samples"),
        (BUSY, {"waited": [], "foreign": []}, "undisturbed = 3, and waited and foreign are of 0 and 0 samples"),
        (BUSY, {"foreign": [0.0]}, "undisturbed = 3, and waited and foreign are of 4 and 1 samples"),
        (BUSY, {"waited": [0.9] * 4}, "undisturbed = 3, and its median is of 0 samples"),
        (ACCURACY, {}, None),
        (ACCURACY, {"images": None, "top1": None}, None),
        (ACCURACY, {"outcomes": None}, None),
        (ACCURACY, {"images": 6}, "images = 6, and its outcomes are of 4"),
        (ACCURACY, {"top1": 0.75}, "top1 = 0.75, and that of its outcomes is 0.5"),
        (ACCURACY, {"outcomes": "--", "images": 0}, "top1 = 0.5, and that of its outcomes is None"),
        (ACCURACY, {"outcomes": "--", "images": 0, "top1": None}, None),
    ],
)
def test_a_summary_follows_from_what_it_is_of(
    table: dict[str, Any], changes: dict[str, Any], words: str | None
) -> None:
    if words is None:
        assert reading.from_table({**table, **changes})
    else:
        with pytest.raises(ValueError, match=f"^{re.escape(words)}"):
            reading.from_table({**table, **changes})
