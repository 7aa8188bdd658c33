"""The language in which a user is spoken to, and finished English lines in it.

Code says what it has to say in English, and records keep it so. Where a line is shown, it is looked for in a catalogue
(locale/LANGUAGE.po) whose entries are the texts of the source with names for what is filled in: `{path}: converted`. So
nothing but the places that show lines knows of languages, and a reason that is stored is translated too.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from pathlib import Path
from string import Formatter
from typing import NamedTuple

LANGUAGES = ("en", "zh")
ALONE = "alone"  # the context (msgctxt) of words that are translated only where nothing else stands: some are typed too
_LONGEST = 4000  # characters of a line; a longer one is no line of ours
_DEEPEST = 8  # of texts that are filled into texts
_NUMBER = re.compile(r"[0-9][0-9.,e+-]*( ?%)?")
_chosen: ContextVar[str | None] = ContextVar("language", default=None)


class _Entry(NamedTuple):
    """fixed: what stands before, between and after the places, one more than there are names."""

    fixed: tuple[str, ...]
    names: tuple[str, ...]
    said: str


def choose(language: str | None) -> None:
    """Speak a language of LANGUAGES from here on; None leaves it to the locale. ValueError when it is none of them."""
    if language not in (None, *LANGUAGES):
        raise ValueError(f"{language!r} is none of {', '.join(LANGUAGES)}")
    _chosen.set(language)


@contextmanager
def speaking(language: str) -> Iterator[None]:
    """Speak a language of LANGUAGES while the context lasts. ValueError when it is none of them."""
    before = _chosen.get()
    choose(language)
    try:
        yield
    finally:
        _chosen.set(before)


def chosen() -> str | None:
    """The language that somebody chose; None where nobody did."""
    return _chosen.get()


def spoken() -> str:
    """The language of messages: the one that was chosen, else that of the locale (LC_ALL, LC_MESSAGES, LANG)."""
    found = next((value for name in ("LC_ALL", "LC_MESSAGES", "LANG") if (value := os.environ.get(name))), "")
    return chosen() or next((one for one in LANGUAGES if found.lower().startswith(one)), LANGUAGES[0])


@lru_cache
def catalogue(file: Path, context: str | None = None) -> dict[str, str]:
    """The entries of a catalogue of gettext in a context: English, translated."""
    from babel.messages.pofile import read_po  # late: English needs none

    with file.open("rb") as stream:
        found = [one for one in read_po(stream, abort_invalid=True) if one.id and one.context == context]
    return {str(one.id): str(one.string) for one in found}


@lru_cache(4096)
def translated(text: str, language: str) -> str:
    """A line, or a clause of one, in a language; what the catalogue does not know stays English."""
    if language == LANGUAGES[0] or len(text) > _LONGEST:
        return text
    return catalogue(_file(language), ALONE).get(text) or _said(text, language, _DEEPEST)


def _said(text: str, language: str, deep: int) -> str:
    known = _of_an_entry(text, language, deep)
    if known is not None:
        return known
    return _by_clauses(text, language, deep - 1) if deep else text


def _of_an_entry(text: str, language: str, deep: int) -> str | None:
    """What an entry makes of a text; None where none knows it as a whole."""
    for entry in _entries(language) if text and deep else ():
        found = _places(entry.fixed, text)
        if found is not None and _fit(entry, found):
            values = [_said(one, language, deep - 1) for one in found]
            return entry.said.format(**dict(zip(entry.names, values, strict=True)))
    return None


def _by_clauses(text: str, language: str, deep: int) -> str:
    """What no entry knows as a whole: `this; that`, `subject: what of it`, `what came of it, status`, `this (why)`."""
    subject, colon, rest = text.partition(": ")
    known = _of_an_entry(rest, language, deep) if colon and "; " not in subject else None
    if known is not None:
        return f"{_said(subject, language, deep)}：{known}"
    for mark, said in (("; ", "；"), (": ", "：")):
        parts = text.split(mark) if mark == "; " else text.split(mark, 1)
        if len(parts) > 1 and (new := [_said(one, language, deep) for one in parts]) != parts:
            return said.join(new)
    before, _, after = text.rpartition(", ")
    said = _said(after, language, deep) if before else after
    if said != after:
        return f"{_said(before, language, deep)}，{said}"
    before, bracket, inner = text[:-1].rpartition(" (") if text.endswith(")") else ("", "", "")
    new = [_said(one, language, deep) for one in (before, inner)] if bracket else []
    # A word alone before it may be a name, or one that is typed.
    known_as_text = new and (new[1] != inner or (new[0] != before and " " in before))
    return "{}（{}）".format(*new) if known_as_text else text


def _fit(entry: _Entry, found: Sequence[str]) -> bool:
    """Whether the places of an entry may hold what was found: one that is called `number` or `number_...` holds one,
    `plural` its `s`, and a clause does not begin inside another one, nor inside what it is said of."""
    subject = not entry.fixed[0] and found and ": " in found[0]
    clauses = subject or (not entry.fixed[0] and found and "; " in found[0])
    own = any(mark in part for part in entry.fixed for mark in ("; ", ". "))
    return (own or not clauses) and all(map(_may_be, entry.names, found))


def _may_be(name: str, value: str) -> bool:
    if re.match("number(_|$)", name):
        return bool(_NUMBER.fullmatch(value))
    return name != "plural" or value in ("", "s")


def _places(fixed: Sequence[str], text: str) -> list[str] | None:
    """What stands between the fixed parts in a text, the first of each; None where it has not all of them."""
    if len(fixed) == 1:
        return [] if text == fixed[0] else None
    if not text.startswith(fixed[0]) or not text.endswith(fixed[-1]):
        return None
    at, end, found = len(fixed[0]), len(text) - len(fixed[-1]), []
    for part in fixed[1:-1]:
        place = text.find(part, at, end)
        if place < 0:
            return None
        found.append(text[at:place])
        at = place + len(part)
    return [*found, text[at:end]] if at <= end else None


def _file(language: str) -> Path:
    return Path(__file__).parent / "locale" / f"{language}.po"


def fixed_parts(text: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The parts of an entry that do not change, one more than there are places, and the names of the places."""
    fixed, names = [""], []
    for literal, name, _, _ in Formatter().parse(text):
        fixed[-1] += literal
        if name is not None:
            names.append(name)
            fixed.append("")
    return tuple(fixed), tuple(names)


@lru_cache
def _entries(language: str) -> list[_Entry]:
    """Those whose beginning is known come first, and of these the one that says the most."""
    entries = [_Entry(*fixed_parts(text), said) for text, said in catalogue(_file(language)).items()]
    return sorted(entries, key=lambda one: (not one.fixed[0], -len("".join(one.fixed))))
