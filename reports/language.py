"""The report's language: English as it stands in the source, or a catalogue of translations (locale/LANGUAGE.po)."""

from __future__ import annotations

import gettext
import io
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from pathlib import Path

CATALOGUES = Path(__file__).parent / "locale"
LANGUAGES = ("en", "zh")
_current: ContextVar[str] = ContextVar("language", default="en")


def say(text: str, /, **places: object) -> str:
    """The text in the language that is spoken; `{name}` in it is filled with the place of that name.

    What the catalogue lacks stays English.
    """
    said = _translations(_current.get()).gettext(text) if text else text
    return said.format(**places) if places else said


def mark(text: str) -> str:
    """The text itself. It marks what is translated where it is used, as constants are."""
    return text


# Words of records that tables show: statuses, verdicts and kinds.
WORDS = (
    *(mark("ok"), mark("failed"), mark("refused"), mark("unavailable"), mark("unstable"), mark("unproven")),
    *(mark("passed"), mark("not measured")),
    *(mark("fastest"), mark("tie"), mark("the only one"), mark("cannot tell"), mark("none"), mark("highest")),
    *(mark("fastest, on a busy machine"), mark("tie, on a busy machine")),
    *(mark("latency"), mark("throughput"), mark("server"), mark("parity"), mark("accuracy")),
)


def current() -> str:
    """The language that is spoken."""
    return _current.get()


def html_lang() -> str:
    """The language as HTML's lang attribute wants it (BCP 47)."""
    return {"zh": "zh-Hans"}.get(_current.get(), _current.get())


@contextmanager
def speaking(language: str) -> Iterator[None]:
    """Speak a language of LANGUAGES while the context lasts. ValueError when it is none of them."""
    if language not in LANGUAGES:
        raise ValueError(f"{language!r} is none of {', '.join(LANGUAGES)}")
    token = _current.set(language)
    try:
        yield
    finally:
        _current.reset(token)


@lru_cache
def _translations(language: str) -> gettext.NullTranslations:
    if language == "en":
        return gettext.NullTranslations()
    from babel.messages import mofile, pofile  # late: an English report needs neither

    with (CATALOGUES / f"{language}.po").open("rb") as stream:
        catalogue = pofile.read_po(stream, locale=language, abort_invalid=True)
    compiled = io.BytesIO()
    mofile.write_mo(compiled, catalogue)
    compiled.seek(0)
    return gettext.GNUTranslations(compiled)
