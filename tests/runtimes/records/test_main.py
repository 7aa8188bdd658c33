"""What is published of the records is what is declared."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from typing import Any

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


def test_every_field_of_every_kind_is_documented() -> None:
    text = published.FORMATS.read_text(encoding="utf-8")
    for kind in KINDS.values():
        for one in (kind, *typed.parts(kind)):
            assert all(f"| `{field.name}` |" in text for field in fields(one))


def test_the_schema_tells_kinds_apart_by_a_constant() -> None:
    schema = json.loads(CliRunner().invoke(published.main, ["--schema"]).output)
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
