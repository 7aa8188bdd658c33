"""Dataclasses that are also what a JSON file holds: each field declared once, with its type and its meaning.

Reading, checking, the published JSON schema and docs/formats.md follow from the declaration. msgspec does the work: its
import takes 20 ms, so that a process that measures can afford it.
"""

from __future__ import annotations

import dataclasses
import re
import typing
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, TypeVar

import msgspec

T = TypeVar("T")

# A number of things, bytes or pixels: one that no 64 bits hold is damage, and none is below zero.
Count = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


def about(meaning: str, *, private: bool = False) -> msgspec.Meta:
    """What a field means, for its type's annotation: `Annotated[int, about("images in one request")]`.

    private: an export for others leaves the field out.
    """
    return msgspec.Meta(description=meaning, extra={"private": private})


def read(kind: type[T], table: Mapping[str, Any]) -> T:
    """The dataclass that a table of JSON types holds. Unknown keys are passed over.

    ValueError names the field and says what is wrong with it, in a clause.
    """
    try:
        return msgspec.convert(table, kind)
    except msgspec.ValidationError as error:
        raise ValueError(_clause(str(error))) from None


def table(value: Any) -> Any:
    """A dataclass, or a list or mapping of some, as JSON types: every field is there, also one that is null.

    `msgspec.to_builtins` would leave out the fields that were absent where a dataclass was read.
    """
    if dataclasses.is_dataclass(value):
        return {field.name: table(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {key: table(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [table(one) for one in value]
    return value


@dataclasses.dataclass(frozen=True)
class Field:
    """A declared field. type: as JSON has it, in words. private: an export for others leaves it out."""

    name: str
    type: str
    meaning: str
    private: bool


def fields(kind: type) -> list[Field]:
    """What a dataclass declares, in its order."""
    hints = typing.get_type_hints(kind, include_extras=True)
    return [_field(field.name, hints[field.name]) for field in dataclasses.fields(kind)]


def public(value: Any) -> Any:
    """A dataclass whose private fields, and those of what it holds, are as where nothing is known."""
    if isinstance(value, (list, tuple)):
        return type(value)(map(public, value))
    if not dataclasses.is_dataclass(value) or isinstance(value, type):
        return value
    private = {one.name for one in fields(type(value)) if one.private}
    kept = {one.name: public(getattr(value, one.name)) for one in dataclasses.fields(value) if one.name not in private}
    return type(value)(**kept)


def parts(kind: type) -> list[type]:
    """The dataclasses inside a dataclass, and inside those, each once, in the order of the fields."""
    found: dict[type, None] = {}

    def look(hint: Any) -> None:
        if isinstance(hint, type) and dataclasses.is_dataclass(hint) and hint not in found:
            found[hint] = None
            inside(hint)
        for argument in typing.get_args(hint):
            look(argument)

    def inside(one: type) -> None:
        for hint in typing.get_type_hints(one).values():
            look(hint)

    inside(kind)
    return list(found)


def markdown(kind: type, without: type | None = None) -> str:
    """What a dataclass declares, as a table in Markdown. without: one whose fields it has too and does not show."""
    known = {field.name for field in fields(without)} if without else set()
    rows = [field for field in fields(kind) if field.name not in known]
    return "\n".join(
        ["| field | type | what |", "| --- | --- | --- |", *(f"| `{r.name}` | {r.type} | {r.meaning} |" for r in rows)]
    )


def schema(kinds: Iterable[type]) -> dict[str, Any]:
    """The JSON schema (draft 2020-12) of a value that is one of these dataclasses."""
    kinds = tuple(kinds)
    one_of, definitions = msgspec.json.schema_components(kinds, ref_template="#/$defs/{name}")
    for definition in definitions.values():
        for name, field in definition.get("properties", {}).items():
            if len(field.get("enum", ())) == 1:  # what tells the dataclasses apart
                field["const"] = field.pop("enum")[0]
                definition["required"] = [name, *definition["required"]]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "oneOf": list(one_of), "$defs": definitions}


def _field(name: str, hint: Any) -> Field:
    metas = (one for one in getattr(hint, "__metadata__", ()) if isinstance(one, msgspec.Meta))
    meta = next((one for one in metas if one.description), None)
    meaning, extra = (meta.description or "", meta.extra or {}) if meta else ("", {})
    return Field(name, _words(hint), meaning, bool(extra.get("private")))


_PLAIN = {str: "text", int: "whole number", float: "number", bool: "true or false", type(None): "null", Any: "anything"}


def _words(hint: Any) -> str:
    """A type as JSON has it: `number or null`, `list of text`."""
    if hint in _PLAIN:
        return _PLAIN[hint]
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        return _words(arguments[0])
    if origin is typing.Literal:
        return " or ".join(f"`{one}`" for one in arguments)
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return f"table `{hint.__name__}`"
    if origin is tuple and Ellipsis not in arguments:
        return f"[{', '.join(map(_words, arguments))}]"
    if origin in (list, tuple):
        return f"list of {_words(arguments[0])}"
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return f"table of {_words(arguments[1])}"
    return " or ".join(map(_words, arguments))


def _clause(said: str) -> str:
    """msgspec's message, the field first: `batch: expected whole number, got text`."""
    what, _, place = said.partition(" - at `$")
    what = re.sub(r"`([\w| ]+)`", r"\1", what)
    return f"{place.rstrip('`').lstrip('.')}: {what[0].lower()}{what[1:]}" if place else f"{what[0].lower()}{what[1:]}"
