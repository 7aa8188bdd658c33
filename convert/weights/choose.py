"""Which of the tensors in a checkpoint are the model: the state dict, the prefix of its names, the layout.

All three are recognised from names and shapes and held against them, not read off the file's suffix, and whatever was
chosen is said.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from convert.common.errors import InputError, listing
from convert.families.base import Layout, ModelSpec, NamedLayout
from convert.weights import checkpoints
from convert.weights.checkpoints import Checkpoint, StateTable
from convert.weights.tensors import Shape, Stored

FLOATS = ("float16", "bfloat16", "float32", "float64")
_BFLOAT16 = "uint16"  # as Paddle writes it

# A state dict called so is an average over the training of the one beside it.
_AVERAGE = re.compile(r"(^|[._])(ema|swa|averaged?)([._]|$)", re.IGNORECASE)


@dataclass(frozen=True)
class ChosenTensors:
    """The layout and the tensors by its names. said: clauses on what was chosen and what was not read."""

    layout: Layout
    tensors: Mapping[str, Stored]
    said: tuple[str, ...]


@dataclass(frozen=True)
class _Place:
    """A place in a file where all names of some layouts are. prefix: what stands before each of them."""

    table: StateTable
    prefix: str
    layouts: tuple[NamedLayout, ...]

    @property
    def label(self) -> str:
        """What `--weights-key` calls it: the entry, then the prefix; empty for the file itself."""
        return ".".join(filter(None, (self.table.key, self.prefix.rstrip("./"))))

    @property
    def names(self) -> set[str]:
        return {self.prefix + name for name in _names(self.layouts)}


def choose(file: Checkpoint, spec: ModelSpec, key: str | None = None) -> ChosenTensors:
    """The model in a file. key: `--weights-key`, which of several.

    InputError when there is none, when several could be meant, or when what is there is not exactly the spec's tensors:
    it names them.
    """
    groups = _groups(spec)
    places = [place for table in file.tables for group in groups for place in _complete(table, group)]
    meant = _meant(file, places, key)
    place = meant or _nearest(file, groups, key)
    tensors = {
        name.removeprefix(place.prefix): tensor
        for name, tensor in place.table.tensors.items()
        if name.startswith(place.prefix)
    }
    named, how = _orientation(file, place, tensors)
    held = tensors.keys() & named.parts.keys()
    bfloat16 = [name for name in held if file.kind == "pickle" and tensors[name].dtype == _BFLOAT16]
    tensors |= {name: tensors[name].as_bfloat16() for name in bfloat16}
    unread = _leave_out(place, places, tensors, spec)
    _check(file, spec, named.layout, tensors)
    said = [
        checkpoints.misnamed(file.path, file.kind),
        _which(place, places) if meant else "",
        f"its names are those of {named.names}" if named.names else "",
        how,
        f"{len(bfloat16)} of its tensors are bfloat16, which Paddle writes as uint16" if bfloat16 else "",
        *_not_read(file, place, places, unread),
    ]
    return ChosenTensors(named.layout, tensors, tuple(filter(None, said)))


def _names(layouts: tuple[NamedLayout, ...]) -> set[str]:
    return set(layouts[0].parts)


def _groups(spec: ModelSpec) -> list[tuple[NamedLayout, ...]]:
    """Layouts of the same names, which only shapes tell apart."""
    groups: dict[frozenset[str], list[NamedLayout]] = {}
    for one in spec.layouts():
        groups.setdefault(frozenset(one.parts), []).append(one)
    return [tuple(group) for group in groups.values()]


def _prefixes(names: Mapping[str, object], expected: set[str]) -> Counter[str]:
    """How many of the expected names there are behind each prefix."""
    votes: Counter[str] = Counter()
    for name in names:
        cuts = [0, *(match.end() for match in re.finditer(r"[./]", name))]
        votes.update(name[:cut] for cut in cuts if name[cut:] in expected)
    return votes


def _complete(table: StateTable, group: tuple[NamedLayout, ...]) -> Iterator[_Place]:
    expected = _names(group)
    for prefix, count in _prefixes(table.tensors, expected).items():
        if count == len(expected):
            yield _Place(table, prefix, group)


def _nearest(file: Checkpoint, groups: list[tuple[NamedLayout, ...]], key: str | None) -> _Place:
    """Where most of the names are, to say what is missing; the usual layout of the file's kind where none is."""
    usual = [group for group in groups if any(file.kind in layout.kinds for layout in group)] or groups
    best, most = _Place(file.tables[0], "", usual[0]), 0
    for table in file.tables:
        for group in groups:
            for prefix, count in _prefixes(table.tensors, _names(group)).items():
                place = _Place(table, prefix, group)
                if count > most and (key is None or _is_called(place, key)):
                    best, most = place, count
    if key is not None and not most:
        raise InputError(f"{file.path}: --weights-key {key}: no tensors of the model are there{_offered(file)}")
    return best


def _offered(file: Checkpoint) -> str:
    keys = [table.key for table in file.tables if table.key]
    return f"; the file holds {listing(map(_shown, keys))}" if keys else ""


def _is_called(place: _Place, key: str) -> bool:
    key = key.rstrip("./")
    return key in (place.label, place.table.key, place.prefix.rstrip("./")) or place.label.startswith(f"{key}.")


def _meant(file: Checkpoint, places: list[_Place], key: str | None) -> _Place | None:
    """The one place that is meant; None when no place has all names. InputError when several could be."""
    if key is not None:
        exact = [place for place in places if place.label == key.rstrip("./")]
        found = exact or [place for place in places if _is_called(place, key)]
        others = [place.label for place in places if place not in found and place.label]
        if not found and places:
            raise InputError(
                f"{file.path}: --weights-key {key}: there is no such state dict of this model; "
                f"there is {listing(map(_shown, others)) or 'one, which needs no key'}"
            )
    else:
        found = places
    plain = [place for place in found if not _AVERAGE.search(place.label)] or found
    if len(plain) > 1:
        labels = listing(_shown(place.label) or "the file itself" for place in plain)
        raise InputError(
            f"{file.path}: holds several state dicts of this model: {labels}; "
            f"say which with --weights-key, as --weights-key {_shown(plain[-1].label)}"
        )
    return plain[0] if plain else None


def _which(place: _Place, places: list[_Place]) -> str:
    """The entry and the prefix that were taken, and what else could have been."""
    words = []
    if place.table.key:
        words.append(f"its entry {_shown(place.table.key)} was taken")
    if place.prefix:
        words.append(f"the prefix {_shown(place.prefix)} was taken off its names")
    others = [_shown(other.label) or "the names without a prefix" for other in places if other != place]
    if others:
        taken = "" if words else "the names without a prefix were taken; "
        words.append(f"{taken}{listing(others)} would fit too (--weights-key {_key_of(place, places)})")
    return ", ".join(words)


def _key_of(place: _Place, places: list[_Place]) -> str:
    return next((_shown(other.label) for other in places if other != place and other.label), "KEY")


def _orientation(file: Checkpoint, place: _Place, tensors: Mapping[str, Stored]) -> tuple[NamedLayout, str]:
    """The layout that the shapes prove, and what is to be said of it.

    A matrix that is not square lies in one of them only. InputError when some lie in one and some in another.
    """
    proofs: dict[str, list[str]] = {}
    for layout in place.layouts:
        others = [other for other in place.layouts if other is not layout]
        proofs[layout.linear] = [
            name
            for name, shape in layout.parts.items()
            if name in tensors and tensors[name].shape == shape and all(other.parts[name] != shape for other in others)
        ]
    usual = next((layout for layout in place.layouts if file.kind in layout.kinds), place.layouts[0])
    if len(place.layouts) == 1:
        return usual, ""
    proven = [layout for layout in place.layouts if proofs[layout.linear]]
    if len(proven) > 1:
        found = "; ".join(f"{listing(proofs[one.linear], 2)} {one.linear}" for one in proven)
        raise InputError(f"{file.path}: its Linear weights lie in two ways, so that none can be trusted: {found}")
    if not proven:
        square = all(shape == other.parts[name] for other in place.layouts for name, shape in usual.parts.items())
        return (
            usual,
            f"its Linear weights are all square: taken as they usually are here, {usual.linear}" if square else "",
        )
    if proven[0] is not usual:
        return proven[0], f"its Linear weights lie {proven[0].linear}, by their shapes"
    return usual, ""


@dataclass(frozen=True)
class _Unread:
    """Names of tensors that were left out: outside of the prefix, or of no use outside of training."""

    outside: list[str]
    unused: list[str]


def _leave_out(place: _Place, places: list[_Place], tensors: dict[str, Stored], spec: ModelSpec) -> _Unread:
    """Take from `tensors` what does not count. A tensor that is left there and not known is an error."""
    elsewhere = {name for other in places if other != place and other.table is place.table for name in other.names}
    elsewhere -= place.names
    outside = [n for n in place.table.tensors if not n.startswith(place.prefix) or n in elsewhere]
    known = _names(place.layouts)
    unused = [name for name in tensors if name not in known and name.endswith(spec.unused)]
    for name in [*unused, *(name.removeprefix(place.prefix) for name in outside if name.startswith(place.prefix))]:
        tensors.pop(name, None)
    return _Unread(outside, unused)


def _not_read(file: Checkpoint, place: _Place, places: list[_Place], unread: _Unread) -> Iterator[str]:
    known = {other.table.key.split(".")[0] for other in places}
    entries = [name for name in file.entries if name not in known] if place.table.key else []
    if entries:
        yield f"its entries {_few(entries)} were not read"
    if unread.outside:
        count = len(unread.outside)
        yield f"not read, {count} tensor{'s' * (count != 1)} beside the model: {_few(unread.outside)}"
    if unread.unused:
        yield f"not read, as it is of no use outside of training: {_few(unread.unused)}"
    inside = [f"{name} ({word})" for name, word in place.table.others.items()]
    if inside:
        yield f"not read, being no tensors: {_few(inside)}"
    if file.unread:
        yield f"Python objects were read past and not built: {_few(file.unread)}"


def _few(names: list[str] | tuple[str, ...]) -> str:
    return listing([_shown(name) for name in names], 3)


def _check(file: Checkpoint, spec: ModelSpec, layout: Layout, stored: Mapping[str, Stored]) -> None:
    """Every tensor there, none besides, each of its shape and of floats; else one InputError that names them."""
    expected = {key: shape for piece in layout.values() for key, shape in piece.parts.items()}
    missing = [f"{key} {shape}" for key, shape in expected.items() if key not in stored]
    unexpected = [f"{_shown(key)} {tensor.shape}" for key, tensor in stored.items() if key not in expected]
    held = {key: stored[key] for key in expected if key in stored}
    misshapen = {key: tensor.shape for key, tensor in held.items() if tensor.shape != expected[key]}
    no_floats = [f"{key} ({tensor.dtype})" for key, tensor in held.items() if tensor.dtype not in FLOATS]
    faults = []
    if missing:
        faults.append(f"missing {listing(missing)}")
    if unexpected:
        faults.append(f"unexpected {listing(unexpected)}")
    if misshapen:
        faults.append(listing(f"{key} is {shape} instead of {expected[key]}" for key, shape in misshapen.items()))
    if no_floats:
        faults.append(f"not of floating-point numbers: {listing(no_floats)}")
    if faults:
        hint = _hint(spec, layout, misshapen)
        raise InputError(f"{file.path}: not the weights of {spec.name}: {'; '.join(faults)}{hint}")


def _hint(spec: ModelSpec, layout: Layout, misshapen: Mapping[str, Shape]) -> str:
    """What the wrong shapes give away about the file."""
    ours = {name: misshapen[key] for name, piece in layout.items() for key in piece.parts if key in misshapen}
    hints = spec.hints(ours)
    return f" ({'; '.join(hints)})" if hints else ""


def _shown(name: str) -> str:
    """A name out of a file, fit for one line of an error."""
    return name if name.isprintable() and len(name) <= 80 else ascii(name[:80])
