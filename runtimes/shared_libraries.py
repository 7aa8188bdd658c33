"""Which shared libraries a library needs, and which of them cannot be loaded here.

The library itself is not loaded: one that its own program must load first would be spoiled for it.
"""

from __future__ import annotations

import ctypes
import mmap
import struct
from pathlib import Path

# Numbers of the ELF format (System V ABI, "Object files" and "Dynamic linking"): 64-bit, little-endian.
_ELF64_LITTLE = b"\x7fELF\x02\x01"
_PT_LOAD, _PT_DYNAMIC = 1, 2
_DT_NULL, _DT_NEEDED, _DT_STRTAB = 0, 1, 5


def needed(library: Path) -> list[str]:
    """Names of the libraries that an ELF file says it needs, in its order; none for a file of another kind.

    ValueError when the file is damaged.
    """
    with library.open("rb") as stream:
        if not stream.read(64).startswith(_ELF64_LITTLE):
            return []
        with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
            try:
                return _needed(content)
            except (struct.error, OverflowError, KeyError, StopIteration, UnicodeDecodeError) as error:
                raise ValueError(f"{library} is a damaged ELF file ({type(error).__name__}: {error})") from None


def _needed(content: mmap.mmap) -> list[str]:
    table = struct.unpack_from("<Q", content, 32)[0]
    size, count = struct.unpack_from("<HH", content, 54)
    # Each: type, flags, offset in the file, address in memory, physical address, size in the file.
    segments = [struct.unpack_from("<IIQQQQ", content, table + index * size) for index in range(count)]
    dynamic = next(((segment[2], segment[5]) for segment in segments if segment[0] == _PT_DYNAMIC), None)
    if dynamic is None:
        return []
    entries = []
    for tag, value in struct.iter_unpack("<QQ", content[dynamic[0] : sum(dynamic)]):
        if tag == _DT_NULL:
            break
        entries.append((tag, value))
    address = dict(entries)[_DT_STRTAB]
    strings = next(
        address - start + offset
        for kind, _, offset, start, _, length in segments
        if kind == _PT_LOAD and start <= address < start + length
    )
    names = [content[strings + value : strings + value + 256] for tag, value in entries if tag == _DT_NEEDED]
    return [name.partition(b"\0")[0].decode() for name in names]


def missing(names: list[str]) -> list[str]:
    """Those of the libraries, or of what they need in turn, that the loader does not find. It loads the others."""
    found = []
    for name in names:
        try:
            # Global, so that whatever is loaded later finds their symbols too.
            ctypes.CDLL(name, mode=ctypes.RTLD_GLOBAL)
        except OSError as error:
            # `libcublas.so.13: cannot open shared object file: No such file or directory`
            culprit = str(error).partition(":")[0]
            found.append(culprit if ".so" in culprit else name)
    return list(dict.fromkeys(found))
