"""Results without names of users, hosts and paths.

Two nets, one behind the other. A field that its declaration calls private stays behind (`runtimes/records`); and in
every text that is taken, paths, addresses and the names of this machine and its users are replaced. The second net is
coarse on purpose: it would rather replace the name of an operator (`/blocks.0/attn`) than leave the name of a folder.
"""

from __future__ import annotations

import getpass
import os
import platform
import pwd
import re
import socket
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from convert.common import typed
from reports.load.reading import without_nulls
from runtimes.records.kinds import Accuracy, Record
from runtimes.records.reading import REQUIRED

PATH, NAME, ADDRESS = "PATH", "NAME", "ADDRESS"

# Vocabularies of vitbench, numbers as text and hashes: nothing in them was named by a user.
_VERBATIM = ("kind", "status", "precision", "artifact", "time_utc", "key", "outcomes")
_HASHES = re.compile(r"[0-9a-f]{12,64}")
_ENVIRONMENT = ("time_utc", "machine", "gpus", "unmeasured", "os", "python", "packages", "vitbench", "ceiling", "probe")
# Where numbers with dots are versions, not addresses.
_VERSIONS = ("packages", "runtime_version", "python", "os", "vitbench", "loadgen")
# Inside what is taken, these name somebody by their very meaning.
_LEFT_OUT = (
    *("host", "hostname", "node_name", "user", "username", "login", "owner"),
    *("home", "cwd", "path", "folder", "file"),
)
# Options whose values are vitbench's own words or numbers.
_OPTIONS = (
    *("--model", "--runtime", "--precision", "--batch", "--threads", "--streams", "--device", "--mode", "--processes"),
    *("--min-seconds", "--min-count", "--max-seconds", "--target", "--patience", "--repeats", "--limit"),
    *("--percentile", "--latency-bound", "--format", "--seed", "--factor", "--keep", "--option", "--weights"),
    *("--count", "--images"),
)
_FLAGS = re.compile(r"--[a-z][a-z0-9-]*")
_PUBLIC = re.compile(r"https://paddle-imagenet-models-name\.bj\.bcebos\.com/[\w./-]+")
_UNITS = re.compile(r"\d*(?:images|[GM]i?B|queries|G?FLOP|MAC|B)/(?:s|byte)|[Ii]/[Oo]|and/or|n/a", re.ASCII)
# A path ends at a blank or a quotation mark; inside quotation marks it may have blanks.
# Separators are also what a URL makes of them: %2F, and %252F where it was done twice.
_PART = r"(?:[/\\]|%(?:25)*(?:2[Ff]|5[Cc]))"
_QUOTED = re.compile(rf"""(["'`])(?=[^"'`\n]*{_PART})([^"'`\n]+)\1""")
# Each word is looked at from its beginning alone: from every letter of it, a long one would take minutes.
_LETTER = r"""[^\s"'`,;()\[\]{}<>=|]"""
_WORD = re.compile(rf"(?<!{_LETTER}){_LETTER}*{_PART}{_LETTER}*|~\w*")
# A file without its folder: what a user names. In quotation marks it may have blanks.
_SUFFIX = (
    r"\.(?:jpe?g|png|bmp|webp|tiff?|gif|heic|pd(?:params|iparams|model|opt|ema|\w{3,})|np[yz]|pth?|ckpt|bin|h5|pkl|pickle"
    r"|safetensors|onnx|mnn|engine|plan|toml|ya?ml|jsonl?|txt|csv|tsv|lst|parquet|arrow|mat|zip|tar|t?gz|log|top5)(?:\.\w{1,4})?"
)
_NAMES = r"""[^\s"'`,;:()\[\]{}<>=|]"""
_FILE = re.compile(
    rf"""(["'`])(?P<quoted>[^"'`\n]+{_SUFFIX})\1|(?<!{_NAMES})(?:{_NAMES})+{_SUFFIX}(?![\w-])""", re.IGNORECASE
)
# Files of vitbench's and Paddle's own: everybody has them.
_OWN_FILES = re.compile(
    r"model\.onnx(?:\.data)?|inference\.(?:json|pdmodel|pdiparams|yml)|manifest\.json|environment\.json|results\.jsonl"
    r"|visits\.jsonl|parity\.jsonl|val_list\.txt|train_list\.txt|labels\.txt"
)
_MAIL = re.compile(r"[\w.+-]{1,256}@[\w-]+(?:\.[\w-]+)*")
_IPV4 = re.compile(r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?::\d+)?(?![\d.])")
_IPV6 = re.compile(
    r"(?<![\w:])(?:(?:[0-9a-fA-F]{0,4}:){3,7}[0-9a-fA-F]{0,4}"  # also what is none: the address of a card
    r"|(?:[0-9a-fA-F]{1,4}:){1,2}:[0-9a-fA-F]{0,4}|::[0-9a-fA-F]{1,4})"
    r"(?:(?:\.\d{1,3}){3})?(?:%\w+)?(?![\w:])"
)
# Names inside paths: whoever has a home folder has a name that may stand elsewhere too.
_HOME = re.compile(rf"""(?:{_PART}(?:home|Users){_PART}+|(?<![\w/])~)([^\s/\\"'`:,;%]+)""")
_PROGRAM = re.compile(r"python|-m|(?:validate|runtimes|convert|reports)(?:\.\w+)*")
# As user or host names these say nothing, and as words they mean something else.
_COMMON = (
    *("root", "user", "users", "admin", "ubuntu", "debian", "localhost", "runner", "home", "vitbench"),
    *("linux", "cpu"),
)


def names_here() -> set[str]:
    """Names of this machine and of the people who use it."""
    found = {platform.node(), socket.gethostname(), platform.node().split(".")[0], Path.home().name}
    found |= {os.environ.get(name, "") for name in ("USER", "LOGNAME", "SUDO_USER", "HOSTNAME")}
    with suppress(OSError, KeyError):
        found.add(getpass.getuser())
    found |= {entry.pw_name for entry in pwd.getpwall() if 1000 <= entry.pw_uid < 65534}
    return _worth_hiding(found)


def _worth_hiding(names: Iterable[str]) -> set[str]:
    return {name for name in names if len(name) > 1 and name.lower() not in _COMMON}


@dataclass(frozen=True)
class Cleaner:
    """Replaces what names somebody. names: words to replace wherever they stand, in any case."""

    names: frozenset[str]

    @classmethod
    def of(cls, everything: Any, names: Iterable[str]) -> Cleaner:
        """One that knows these names, and those of the home folders that are mentioned anywhere."""
        homes = {home for text in _texts(everything) for home in _HOME.findall(text)}
        return cls(frozenset(_worth_hiding({*names, *homes})))

    def record(self, record: Record, datasets: Mapping[str, str]) -> dict[str, Any]:
        """A record as JSON types, without its private fields. datasets: what stands for the name of each data set."""
        private = {one.name for one in typed.fields(type(record)) if one.private}
        table = dict.fromkeys(REQUIRED) | without_nulls(typed.public(record))
        cleaned = {name: self.field(name, table[name]) for name in sorted(table) if name not in private}
        cleaned["command"] = self.command(record.command)
        if isinstance(record, Accuracy) and record.dataset is not None:
            cleaned["dataset"] = datasets[record.dataset]
        return cleaned

    def environment(self, environment: Mapping[str, Any]) -> dict[str, Any]:
        """The sections that reports use. Variables of the environment are left out: most are paths."""
        return {name: self.field(name, environment[name]) for name in _ENVIRONMENT if name in environment}

    def field(self, name: str, value: Any) -> Any:
        """A value of a field of this name."""
        if name in _VERBATIM and isinstance(value, str):
            return value if self.names.isdisjoint(re.split(r"\W+", value)) else NAME
        if isinstance(value, str):
            return self.text(value, versions=name in _VERSIONS or name.endswith("version"))
        if isinstance(value, list):
            return [self.field(name, one) for one in value]
        if isinstance(value, dict):
            inside = name if name in _VERSIONS else ""
            return {
                self.text(str(key), versions=True): self.field(inside or str(key), one)
                for key, one in value.items()
                if str(key).lower() not in _LEFT_OUT or key in (PATH, NAME, ADDRESS)
            }
        return value

    def text(self, text: str, versions: bool = False) -> str:
        """A text without paths, addresses and names."""
        if _PUBLIC.fullmatch(text) or _HASHES.fullmatch(text):
            return text
        text = _QUOTED.sub(lambda found: found[0] if _is_unit(found[2]) else f"{found[1]}{PATH}{found[1]}", text)
        text = _MAIL.sub(ADDRESS, text)
        text = _WORD.sub(lambda found: found[0] if _is_unit(found[0]) else PATH, text)
        text = _FILE.sub(_without_file, text)
        if not versions:
            text = _IPV4.sub(ADDRESS, _IPV6.sub(lambda found: found[0] if _is_time(found[0]) else ADDRESS, text))
        for name in sorted(self.names, key=lambda name: (-len(name), name)):
            text = re.sub(rf"(?<![^\W_]){re.escape(name)}(?![^\W_])", NAME, text, flags=re.IGNORECASE)
        return text

    def command(self, text: str) -> str:
        """A command with the values of the options that are known to name nobody; other values are replaced."""
        words, cleaned, option = text.split(" "), [], ""
        for place, word in enumerate(words):
            if place < 3 and _PROGRAM.fullmatch(word):
                cleaned.append(word)
            elif _FLAGS.fullmatch(word):
                option = word
                cleaned.append(self.text(word))
            elif option in _OPTIONS and not re.search(rf"[~'\"@]|{_PART}|{_SUFFIX}$", word, re.IGNORECASE):
                cleaned.append(self.text(word))
            elif cleaned[-1:] != [PATH]:  # a quoted path with blanks is several words
                cleaned.append(PATH)
        return " ".join(cleaned)


def _without_file(found: re.Match[str]) -> str:
    name = found["quoted"] or found[0]
    return found[0] if _OWN_FILES.fullmatch(name) else f"{found[1]}{PATH}{found[1]}" if found["quoted"] else PATH


def _is_unit(text: str) -> bool:
    return bool(_UNITS.fullmatch(text.strip(".")))


def _is_time(text: str) -> bool:
    return bool(re.fullmatch(r"\d\d?:\d\d:\d\d(:\d\d)?", text))


def _texts(value: Any) -> Iterable[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, one in value.items():
            yield str(key)
            yield from _texts(one)
    elif isinstance(value, list):
        for one in value:
            yield from _texts(one)
