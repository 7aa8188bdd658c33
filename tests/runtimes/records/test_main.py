"""What is published of the records is what is declared."""

from __future__ import annotations

import json
import re
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from convert.artifact import Artifact
from convert.common import typed
from runtimes.base import Options
from runtimes.records import __main__ as published
from runtimes.records import reading
from runtimes.records.blank import start
from runtimes.records.kinds import KINDS, Latency
from tests.runtimes.bench.made_up import FAKES


def test_the_documents_are_up_to_date() -> None:
    """`python -m runtimes.records --write` brings them there."""
    text = published.FORMATS.read_text(encoding="utf-8")
    assert published.documented(text) == text
    assert published.SCHEMA.read_text(encoding="utf-8") == published.schema()


def test_documents_that_lag_behind_are_brought_up_to_date(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    today = published.FORMATS.read_text(encoding="utf-8")
    stale = re.sub(r"\| `(median_ms|files)` \|.*\n", "", today)
    assert stale != today
    for name, text in (("FORMATS", stale), ("SCHEMA", "{}")):
        (tmp_path / name).write_text(text, encoding="utf-8")
        monkeypatch.setattr(published, name, tmp_path / name)
    result = CliRunner().invoke(published.main, ["--write"])
    assert (result.exit_code, result.output) == (0, "")
    assert (tmp_path / "FORMATS").read_text(encoding="utf-8") == today
    assert (tmp_path / "SCHEMA").read_text(encoding="utf-8") == published.schema()


def test_a_field_stands_with_what_declares_it() -> None:
    """What all records have is not told again of each kind, nor what all speeds have of each speed."""
    common, timed, rest = re.split(r"\nWhat is measured .*|\nand each by its kind", published.markdown())
    assert "| `model` |" in common
    assert "| `threads` |" in timed
    assert "| `threads` |" not in common
    latency, parity = (re.split(rf"\*\*{name}\*\*: ", rest)[1].split("**")[0] for name in ("latency", "parity"))
    assert latency.startswith("One request at a time, from images in memory to logits in memory;")
    assert not any(f"| `{name}` |" in latency for name in ("model", "threads"))
    assert "| `max_abs` |" in parity


def test_every_field_of_every_kind_is_documented() -> None:
    text = published.FORMATS.read_text(encoding="utf-8")
    for kind in KINDS.values():
        for one in (kind, *typed.parts(kind)):
            assert all(f"| `{field.name}` |" in text for field in fields(one))


def test_the_schema_tells_kinds_apart_by_a_constant() -> None:
    printed = CliRunner().invoke(published.main, ["--schema"]).output
    assert printed == published.schema()
    schema = json.loads(printed)
    for name, kind in KINDS.items():
        definition = schema["$defs"][kind.__name__]
        assert definition["properties"]["kind"]["const"] == name
        assert set(definition["required"]) == set(reading.REQUIRED)


def test_tables_are_printed_by_default() -> None:
    output = CliRunner().invoke(published.main, []).output
    assert output == published.markdown()
    assert "| `median_ms` | number or null |" in output


def test_a_stored_record_has_the_types_of_the_schema(toy_artifact: Artifact) -> None:
    record = start(Latency, toy_artifact, FAKES["fake-a"], Options(), key="k", batch=1)
    table = reading.to_table(replace(record, status="ok", reason=None, median_ms=5.0, samples_ms=(5.0,)))
    definitions = json.loads(published.schema())["$defs"]
    assert set(table) <= set(definitions["Latency"]["properties"])
    for name, value in json.loads(json.dumps(table)).items():
        assert fits(value, definitions["Latency"]["properties"][name], definitions), name


def fits(value: Any, schema: dict[str, Any], definitions: dict[str, Any]) -> bool:
    """Whether a value has the type that a schema asks for; what is inside of it is not looked at."""
    if "anyOf" in schema:
        return any(fits(value, one, definitions) for one in schema["anyOf"])
    if "$ref" in schema:
        return fits(value, definitions[schema["$ref"].rpartition("/")[2]], definitions)
    if "const" in schema or "enum" in schema:
        return value in [schema.get("const"), *schema.get("enum", ())]
    types: dict[str, Any] = {
        "string": str,
        "integer": int,
        "number": (int, float),
        "array": list,
        "object": dict,
        "null": type(None),
    }
    return "type" not in schema or isinstance(value, types[schema["type"]])
