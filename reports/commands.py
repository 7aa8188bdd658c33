"""Many commands as few: those that differ in one list are one command with the longer list."""

from __future__ import annotations

import shlex
from collections.abc import Iterable

from convert.common.commands import spellings

_LISTS = ("--runtime", "--batch", "--model", "--precision")
_BENCH = spellings("runtimes.bench")  # the one whose --batch is a list that can be longer


def together(commands: Iterable[str]) -> tuple[str, ...]:
    """Commands that make the same records as these and nothing else, in the order of the first of each.

    Two that are equal but for one of the lists (runtimes, batches, models, precisions) become one. A command stands for
    each combination of its lists, so only lists that are equal otherwise may be joined.
    """
    commands = list(dict.fromkeys(commands))
    split = {command: _words(command) for command in commands}
    found = list(split.values())
    for option in _LISTS:
        found = _joined(found, option)
    as_they_came = {tuple(words): command for command, words in split.items()}
    return tuple(as_they_came.get(tuple(words)) or shlex.join(words) for words in found)


def _words(command: str) -> list[str]:
    """A command taken apart; one that no shell would take is a single word, and stays as it is."""
    try:
        return shlex.split(command)
    except ValueError:
        return [command]


def _joined(commands: Iterable[list[str]], option: str) -> list[list[str]]:
    """Commands that differ only in the value of an option, as one each."""
    rest: dict[tuple[str, ...], list[str]] = {}
    for words in commands:
        place = _place(words, option)
        if place is None:
            rest.setdefault((*words, ""), words)  # "": no other command is equal to it, whatever its option is
            continue
        key = (*words[:place], "", *words[place + 1 :])
        first = rest.setdefault(key, list(words))
        values = dict.fromkeys([*first[place].split(","), *words[place].split(",")])
        first[place] = ",".join(values)
    return list(rest.values())


def _place(words: list[str], option: str) -> int | None:
    """Where the value of a list is, None where there is no such list."""
    if option == "--batch" and not any(words[: len(bench)] == bench for bench in _BENCH):
        return None
    if words.count(option) != 1 or words[-1] == option:
        return None
    return words.index(option) + 1
