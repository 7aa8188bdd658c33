"""Whether the data of a JPEG is damaged, where decoders go on with other pixels and at most print a warning.

OpenCV does not hand on libjpeg's warnings, so libjpeg-turbo is asked a second time, at an eighth of the size: about
half of what decoding takes. The pixels are OpenCV's in any case.
"""

from __future__ import annotations

import re

_MAGIC, _END = b"\xff\xd8", b"\xff\xd9"
# Of what this decoder cannot do, and says nothing of the data.
_INABILITY = re.compile(r"color conversion|data precision|too (big|large|wide)|memory|not supported|scaling")
_SURPLUS = re.compile(r"Corrupt JPEG data: ([0-9]+) extraneous bytes before marker 0xd9")


def damage(data: bytes) -> str | None:
    """What libjpeg says of the data of a JPEG, a warning included; None where it is sound, and for other formats.

    Bytes that fill up the end, as some cameras write them, are no damage. A changed bit that gives other pixels and no
    wrong code cannot be seen: a JPEG has no checksum.
    """
    if not data.startswith(_MAGIC):
        return None
    import simplejpeg

    try:
        simplejpeg.decode_jpeg(data, "Gray", min_height=1, min_width=1, strict=True)
    except ValueError as error:
        reason = str(error)
        return None if _INABILITY.search(reason) or _fills_up(data, reason) else reason
    return None


def _fills_up(data: bytes, reason: str) -> bool:
    surplus = _SURPLUS.fullmatch(reason)
    return surplus is not None and not data[: data.rfind(_END)][-int(surplus[1]) :].strip(b"\0\xff")
