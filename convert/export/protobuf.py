"""The little of protobuf's wire format that is needed to write a large message piece by piece.

Source: protobuf's "Encoding" page. The protobuf library itself builds a message in memory, serialises it into a second
copy and ends at 2 GiB.
"""

from __future__ import annotations

VARINT, LENGTH_DELIMITED = 0, 2


def varint(value: int) -> bytes:
    """A non-negative integer in seven-bit groups, least significant first. ValueError below zero."""
    if value < 0:
        raise ValueError(f"no varint for {value}")
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def key(field: int, wire_type: int) -> bytes:
    """What stands before a field's value."""
    return varint(field << 3 | wire_type)


def prefix(field: int, size: int) -> bytes:
    """What stands before `size` bytes of a length-delimited field (bytes, string or message)."""
    return key(field, LENGTH_DELIMITED) + varint(size)
