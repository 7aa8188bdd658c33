"""From a line to a record and back."""

from __future__ import annotations

from typing import Any

import pytest

from runtimes.records import reading
from runtimes.records.kinds import FORMAT, Latency, Parity
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


def test_a_table_has_every_field_but_what_readers_add() -> None:
    """Also where the record was read from a line that lacked them."""
    short = reading.from_table({name: TABLE[name] for name in (*reading.REQUIRED, "median_ms")})
    assert set(reading.to_table(short)) == set(TABLE)
    assert TABLE["batch"] is None
    assert not {"machine", "run"} & set(TABLE)
    told = reading.to_table(record(Parity, machine="m", run="r"))
    assert (told["machine"], told["run"]) == ("m", "r")
