"""Which shared libraries a library needs, and which of them cannot be loaded here.

The library itself is not loaded: one that its own program must load first would be spoiled for it.
"""

from __future__ import annotations

import ctypes
from pathlib import Path

_ELF = b"\x7fELF"  # how a file of the format begins (System V ABI, "Object files")


def needed(library: Path) -> list[str]:
    """Names of the libraries that an ELF file says it needs, in its order; none for a file of another kind.

    ValueError when the file is damaged.
    """
    from elftools.elf.dynamic import DynamicSegment
    from elftools.elf.elffile import ELFFile

    with library.open("rb") as stream:
        if stream.read(len(_ELF)) != _ELF:
            return []
        try:
            segments = [one for one in ELFFile(stream).iter_segments() if isinstance(one, DynamicSegment)]
            return [str(tag.needed) for one in segments for tag in one.iter_tags("DT_NEEDED")]  # type: ignore[attr-defined]
        except Exception as error:  # what pyelftools raises on damage has no common type
            raise ValueError(f"{library} is a damaged ELF file ({type(error).__name__}: {error})") from None


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
