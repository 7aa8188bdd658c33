"""A reader of protobuf's text format, as far as `config.pbtxt` needs it; it refuses what it does not know."""

from __future__ import annotations

import re
from typing import Any

_TOKENS = re.compile(r'\s*("(?:[^"\\]|\\.)*"|[\w.-]+|[{}\[\]:,])')


def parsed(text: str) -> dict[str, Any]:
    """Fields by name: what is there several times, or in brackets, is a list."""
    tokens = _TOKENS.findall(text)
    assert not _TOKENS.sub("", text).strip(), "something was passed over"
    found = _message(tokens)
    assert not tokens
    return found


def _message(tokens: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    while tokens and tokens[0] != "}":
        name = tokens.pop(0)
        if tokens[0] == ":":
            tokens.pop(0)
        value = _value(tokens)
        found[name] = [*found[name], value] if name == "parameters" and name in found else value
        if name == "parameters" and isinstance(value, dict):
            found[name] = found[name] if isinstance(found[name], list) else [value]
    return found


def _value(tokens: list[str]) -> Any:
    first = tokens.pop(0)
    if first == "{":
        message = _message(tokens)
        assert tokens.pop(0) == "}"
        return message
    if first == "[":
        values = []
        while tokens[0] != "]":
            values.append(_value(tokens))
            if tokens[0] == ",":
                tokens.pop(0)
        tokens.pop(0)
        return values
    return first[1:-1] if first.startswith('"') else int(first) if first.lstrip("-").isdigit() else first
