"""What a file is by its first bytes, whatever its name says."""

from __future__ import annotations

import json
import re

from convert.weights.files.stand_ins import Dict

HEAD = 4096  # bytes to look at
_SMALL = 1 << 20  # a message of a server is no longer

_MAGIC = {
    b"\x1f\x8b": "a gzip archive",
    b"BZh": "a bzip2 archive",
    b"\xfd7zXZ\x00": "an xz archive",
    b"\x28\xb5\x2f\xfd": "a zstd archive",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive",
    b"Rar!\x1a\x07": "a rar archive",
}
_OTHER = {
    b"\x89HDF\r\n\x1a\n": "an HDF5 file, as Keras writes them",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
    b"%PDF": "a PDF document",
    b"GGUF": "a GGUF file",
}


def no_weights(head: bytes, size: int) -> str:
    """What a file is that is certainly no checkpoint, and what to do, in a clause; empty for one that may be."""
    if not size:
        return "empty: 0 bytes; get it anew"
    if not any(head):
        return "nothing but zeros where it should begin: a download that was not finished; get it anew"
    if head.startswith(b"version https://git-lfs.github.com/spec/"):
        return "a Git LFS pointer, not the file: run `git lfs pull` in its repository"
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if text.startswith((b"<!doctype html", b"<html", b"<head", b"<body", b"<script", b"<!--")):
        title = re.search(rb"<title[^>]*>\s*([^<]{1,80})", head.removeprefix(b"\xef\xbb\xbf"), re.IGNORECASE)
        shown = f" ({_quoted(title[1])})" if title else ""
        return f"a web page{shown}, not weights: a login or an error page was saved in their place; get it anew"
    if text.startswith((b"<?xml", b"<error")):
        return f"a server's message in XML, not weights ({_quoted(re.sub(rb'<[^>]*>', b' ', head))}); get it anew"
    if text.startswith((b"{", b"[")) and size < _SMALL and _is_json(head, size):
        return f"JSON, not weights ({_quoted(head)}); if it is a server's message, get the file anew"
    for magic, words in _MAGIC.items():
        if head.startswith(magic):
            return f"{words}, not weights: unpack it and give the file inside"
    if head[257:262] == b"ustar":
        return "a tar archive, not weights: unpack it and give the file inside"
    for magic, words in _OTHER.items():
        if head.startswith(magic):
            return f"{words}, which is not read"
    if _is_text(head) and not head.startswith((b"(", b"c", b"]", b"}")):  # as pickles of protocol 0 begin
        return f"a text, not weights ({_quoted(head)}); get it anew"
    return ""


def is_safetensors(head: bytes, size: int) -> bool:
    """Whether it begins with the length of a table, and then the table."""
    return len(head) > 8 and head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= size


def is_optimizer(content: object) -> bool:
    """Whether a pickle's object is what PaddleClas writes to .pdopt: moments by parameters' names, or a list of it."""
    one = content[0] if isinstance(content, list) and content else content
    if not isinstance(one, Dict):
        return False
    names = [key for key in one if isinstance(key, str)]
    return any(name in ("LR_Scheduler", "master_weights") or name.endswith(_MOMENTS) for name in names)


_MOMENTS = ("_moment1_0", "_moment2_0", "_beta1_pow_acc_0", "_beta2_pow_acc_0", "_velocity_0")


def _is_json(head: bytes, size: int) -> bool:
    if size > len(head):
        return _is_text(head)
    try:
        json.loads(head)
    except (ValueError, RecursionError):
        return False
    return True


def _is_text(head: bytes) -> bool:
    return all(32 <= byte < 127 or byte in b"\t\r\n" for byte in head)


def _quoted(data: bytes) -> str:
    text = " ".join(data[:400].decode("utf-8", "replace").split())
    return "".join(character if character.isprintable() else "?" for character in text[:80])
