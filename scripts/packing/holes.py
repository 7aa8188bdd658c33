"""Drawn weights need not travel: what a file holds of them is left out, and drawn again where it arrives.

The manifest's sha256 of the file says whether it became the same to the bit.
"""

from __future__ import annotations

import json
import mmap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from convert.artifact import Artifact
from convert.common import typed
from convert.common.disk.files import new_file, write_json
from convert.common.errors import InputError
from convert.weights import seeded

SUFFIX = ".holes"  # model.onnx.holes: what is left of model.onnx, and model.onnx.holes.json: where the holes are
_LEAST = 1 << 12  # bytes: smaller tensors travel


@dataclass(frozen=True)
class Hole:
    """A tensor that was left out. at: its offset in bytes, in the whole file."""

    tensor: str
    at: int
    bytes: int


def dig(artifact: Artifact, name: str, target: Path) -> bool:
    """Write a file of an artifact with drawn weights without them, into the folder `target`.

    False, and nothing is written, where the weights are not drawn or the file holds none of them.
    """
    found = list(_holes(artifact, name)) if artifact.seeded and artifact.spec else []
    if not found:
        return False
    end = 0
    with (artifact.path / name).open("rb") as source, (target / f"{name}{SUFFIX}").open("wb") as left:
        for hole in sorted(found, key=lambda one: one.at):
            source.seek(end)
            left.write(source.read(hole.at - end))
            end = hole.at + hole.bytes
        source.seek(end)
        left.write(source.read())
    write_json(target / f"{name}{SUFFIX}.json", {"holes": typed.table(found)})
    return True


def _holes(artifact: Artifact, name: str) -> Iterator[Hole]:
    """Where the drawn tensors lie in a file: each in its first place that no other one has."""
    taken: list[tuple[int, int]] = []
    with (artifact.path / name).open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        for tensor, content in _drawn(artifact):
            after = taken[-1][1] if taken else 0
            at = data.find(content, after)  # files have them in the order of the graph, more or less
            at = data.find(content) if at < 0 else at
            if at >= 0 and not any(start < at + len(content) and at < end for start, end in taken):
                taken.append((at, at + len(content)))
                yield Hole(tensor, at, len(content))


def _drawn(artifact: Artifact) -> Iterator[tuple[str, bytes]]:
    """Each tensor that is not small, as its bytes lie in a file: float32, little-endian."""
    assert artifact.spec
    seed = int(artifact.manifest.weights.source.partition(":")[2])
    for name, tensor in seeded.tensors(seed, artifact.spec).items():
        content = tensor.read().astype("<f4").tobytes()
        if len(content) >= _LEAST:
            yield name, content


def fill(artifact: Artifact) -> list[str]:
    """Draw what was left out of the files of a folder, whose names are returned; they are whole then.

    InputError when what came is not what was packed.
    """
    made = []
    for listed in sorted(artifact.path.glob(f"*{SUFFIX}.json")):
        left = listed.with_suffix("")
        whole = left.with_suffix("")
        try:
            table = json.loads(listed.read_text(encoding="utf-8"))
            holes = sorted((typed.read(Hole, one) for one in table["holes"]), key=lambda one: one.at)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(f"{listed}: damaged ({error}); unpack it again") from None
        wanted = {one.tensor for one in holes}
        drawn = {name: content for name, content in _drawn(artifact) if name in wanted}
        with left.open("rb") as source, new_file(whole) as work, work.open("wb") as target:
            for hole in holes:
                if hole.at < target.tell() or len(drawn.get(hole.tensor, b"")) != hole.bytes:
                    raise InputError(f"{listed}: {hole.tensor} is not as it was packed; unpack it again")
                target.write(source.read(hole.at - target.tell()))
                target.write(drawn[hole.tensor])
            target.write(source.read())
        made.append(whole.name)
    if made and (damage := artifact.damage()):
        raise InputError(f"{artifact.path}: {damage}, though its weights were drawn again; unpack it again")
    for name in made:
        (artifact.path / f"{name}{SUFFIX}").unlink()
        (artifact.path / f"{name}{SUFFIX}.json").unlink()
    return made
