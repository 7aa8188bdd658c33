"""A file changed at random: its bytes, the words of a text, the values of a JSON document."""

from __future__ import annotations

import copy
import json
import random
import re
import struct
from pathlib import Path
from typing import Any

_TEXTS = (".toml", ".yml", ".csv", ".txt", ".top5", ".json", ".jsonl")
_WORDS = (
    *("0", "-1", "1e308", "1e999", "nan", "9" * 40, "9" * 5000, "0.01", "true", "null", "''", '""', "[]", "{}", "~"),
    *(
        "../../etc/passwd",
        "/dev/zero",
        "\x1b[2J",
        "\ud800",
        "é",
        "\0",
        "[" * 3000,
        "a" * 70_000,
        "=1+1",
        "*a",
        "&a [*a]",
    ),
)
_VALUES: tuple[Any, ...] = (
    *(None, True, 0, -1, 1, 10**19, 10**400, -0.5, 1e308, 1e-320, float("nan"), float("inf"), "", "x", "\0", "\ud800"),
    *(
        "../../x",
        "/dev/zero",
        "a\nb",
        "\x1b[2J",
        "9" * 5000,
        "a" * 70_000,
        "ok",
        "0" * 64,
        [],
        {},
        [None],
        [[]],
        {"": 0},
    ),
    *([1, 2], [2, 1], {"a": {"b": [1]}}, "2026-13-45T99:99:99Z", [float("nan")] * 3, ["a"] * 10_000),
)
CHECKS = ("checksum", "crc")  # by which vitbench knows that a document was changed
_CHECK = re.compile(rb',\s*"(checksum|crc)": "[0-9a-f]*"')


def mutate(file: Path, chance: random.Random) -> None:
    """Change a file; in some other way where its kind has one."""
    data = file.read_bytes()
    if file.suffix in (".json", ".jsonl") and chance.random() < 0.7:
        data = _document(data, chance)
    elif file.suffix in _TEXTS and chance.random() < 0.6:
        data = _words(data, chance)
    else:
        data = mutated(data, chance)
    if file.suffix in (".json", ".jsonl") and chance.random() < 0.5:
        data = _CHECK.sub(b"", data)  # as of an earlier version: so that the values themselves are looked at
    file.write_bytes(data)


def mutated(data: bytes, chance: random.Random) -> bytes:
    """A file with some bytes set, taken out, repeated or moved, or without its end."""
    content = bytearray(data)
    if not content or chance.random() < 0.05:
        return bytes(content[: chance.randrange(len(content) + 1)])
    for _ in range(chance.randint(1, 4)):
        at, other = (chance.randrange(len(content)) for _ in range(2))
        size = chance.choice((1, 2, 4, 8, 64))
        match chance.randrange(5):
            case 0:
                content[at] = chance.randrange(256)
            case 1:
                del content[at : at + size]
            case 2:
                content[at:at] = content[other : other + size]
            case 3:
                content[at : at + size] = struct.pack("<Q", chance.choice((0, 1, 1 << 31, 1 << 62, 2**64 - 1)))[:size]
            case _:
                content[at : at + size] = b"\xff" * min(size, len(content) - at)
        if not content:
            return b"\x80"
    return bytes(content)


def _words(data: bytes, chance: random.Random) -> bytes:
    """A text with one or two of its words replaced, or a line taken out or repeated."""
    text = data.decode("utf-8", "replace")
    for _ in range(chance.randint(1, 2)):
        if chance.random() < 0.3:
            lines = text.splitlines(keepends=True) or [""]
            at = chance.randrange(len(lines))
            lines[at : at + 1] = chance.choice(([], [lines[at]] * 2, ["\n", lines[at]]))
            text = "".join(lines)
        elif words := list(re.finditer(r"[\w.+-]+|\S", text)):
            word = chance.choice(words)
            text = text[: word.start()] + chance.choice(_WORDS) + text[word.end() :]
    return text.encode("utf-8", "surrogatepass")


def _document(data: bytes, chance: random.Random) -> bytes:
    """JSON, or a line of it, with some values replaced or taken out."""
    lines = data.decode("utf-8", "replace").split("\n")
    many = len(lines) > 1 and lines[0].endswith("}")
    at = chance.randrange(len(lines) - 1) if many else 0
    try:
        table = json.loads(lines[at] if many else data)
    except ValueError:
        return mutated(data, chance)
    for _ in range(chance.randint(1, 2)):
        _change(table, chance)
    text = json.dumps(table, ensure_ascii=chance.random() < 0.5)
    lines = [*lines[:at], text, *lines[at + 1 :]] if many else [text]
    return "\n".join(lines).encode("utf-8", "surrogatepass")


def _change(table: Any, chance: random.Random) -> None:
    """Replace or take out a value anywhere in a table."""
    while isinstance(table, (dict, list)) and table:
        key: Any = chance.choice(list(table)) if isinstance(table, dict) else chance.randrange(len(table))
        inside = table[key]
        if not isinstance(inside, (dict, list)) or not inside or chance.random() < 0.2:
            if chance.random() < 0.2:
                del table[key]
            else:
                table[key] = copy.deepcopy(chance.choice(_VALUES)) if chance.random() < 0.8 else _near(inside, chance)
            return
        table = inside


def _near(value: Any, chance: random.Random) -> Any:
    """Another value of the same kind."""
    if isinstance(value, (int, float)):
        return value + chance.choice((1, -1, 0.5, 50))
    return f"{value}x" if isinstance(value, str) else [value]
