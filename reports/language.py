"""The report's language: English as it stands in the source, or a catalogue of translations (locale/LANGUAGE.po)."""

from __future__ import annotations

from pathlib import Path

from convert.common import language
from convert.common.language import LANGUAGES, speaking

__all__ = ["LANGUAGES", "current", "html_lang", "mark", "say", "speaking", "stored"]
_CATALOGUES = Path(__file__).parent / "locale"


def say(text: str, /, **places: object) -> str:
    """The text in the language that is spoken; `{name}` in it is filled with the place of that name.

    What the catalogue lacks stays English.
    """
    known = language.catalogue(_CATALOGUES / f"{current()}.po") if current() != LANGUAGES[0] else {}
    said = known.get(text, text)
    return said.format(**places) if places else said


def stored(text: str) -> str:
    """A sentence of a record, as a reason, in the language that is spoken, as far as it is one of ours."""
    return language.translated(text, current())


def mark(text: str) -> str:
    """The text itself. It marks what is translated where it is used, as constants are."""
    return text


# Words of records that tables show: statuses, verdicts and kinds.
WORDS = (
    *(mark("ok"), mark("failed"), mark("refused"), mark("unavailable"), mark("unstable"), mark("unproven")),
    mark("slower than fp32"),
    *(mark("passed"), mark("not measured")),
    *(mark("fastest"), mark("tie"), mark("the only one"), mark("cannot tell"), mark("none"), mark("highest")),
    *(mark("fastest, on a busy machine"), mark("tie, on a busy machine")),
    *(mark("unvouched: fastest"), mark("unvouched: fastest, on a busy machine"), mark("agrees")),
    mark("ONNX Runtime's plain FP32 error"),
    *(mark("unvouched: tie"), mark("unvouched: tie, on a busy machine")),
    *(mark("latency"), mark("throughput"), mark("server"), mark("parity"), mark("accuracy")),
    *(mark("choice"), mark("made"), mark("look"), mark("part of the images"), mark("final"), mark("chosen")),
)


def current() -> str:
    """The language that is spoken: English unless another one was chosen, whatever the locale, since reports travel."""
    return language.chosen() or LANGUAGES[0]


def html_lang() -> str:
    """The language as HTML's lang attribute wants it (BCP 47)."""
    return {"zh": "zh-Hans"}.get(current(), current())
