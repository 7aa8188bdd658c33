"""Names of models, which are names of folders too: letters of any script are kept as they are."""

from __future__ import annotations

import re
import unicodedata

_LONGEST = 150  # bytes of UTF-8: folders of failures add to it, and file systems end at 255
_RESERVED = '/\\<>:"|?*'  # the separators of paths, and what Windows has no files with


def normal(name: str) -> str:
    """The same letters in the one form (NFC) in which two spellings of a name are equal."""
    return unicodedata.normalize("NFC", name)


def fault(name: str) -> str | None:
    """Why a name cannot be a folder's, in a clause; None where it can."""
    unfit = [letter for letter in name if letter in _RESERVED or unicodedata.category(letter)[0] == "C"]
    if not name.strip():
        return "it is empty"
    if unfit:
        return f"no folder's name can have {unfit[0]!r}"
    if name.startswith("."):
        return "a folder whose name begins with '.' is hidden"
    if name != name.strip() or name.endswith("."):
        return "no folder's name can begin or end with a blank, or end with '.'"
    if len(normal(name).encode()) > _LONGEST:
        return f"it is longer than {_LONGEST} bytes"
    return None


def fitted(text: str) -> str:
    """A name made of a text: letters, digits, '.', '_' and '-' stay, the rest becomes '_'; empty where none is left."""
    kept = "".join(letter if _kept(letter) else " " for letter in normal(text))
    name = re.sub(" +", "_", kept).strip("._-").encode()[:_LONGEST].decode(errors="ignore")
    return name.strip("._-")


def _kept(letter: str) -> bool:
    return letter in "._-" or unicodedata.category(letter)[0] in "LMN"
