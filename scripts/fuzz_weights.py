"""Hostile and damaged weights files: each must end in one line or in tensors, within its budget, and run nothing.

`python -m scripts.fuzz_weights --seconds 300` writes the hostile files below and then mutated good ones until the time
is up, looked into as vitbench does (the mutated ones mostly in this process), and prints a table of what came of them.
It exits with 1 when one was a traceback or a crash, or took over 5 s of the processor or over 1.2 GB.
"""

from __future__ import annotations

import io
import os
import pickle
import random
import resource
import struct
import tempfile
import time
import traceback
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import numpy as np
from safetensors.numpy import save as safetensors_bytes

from convert.common.errors import InputError
from convert.weights import checkpoints
from convert.weights.files import scan

_ARRAY = pickle.dumps(np.ones(4, np.float32), 2)[2:-1]  # the instructions that make it, but for PROTO and STOP
_MANY = 200_000
_ISOLATED = 0.02  # of the mutated files; a process takes 0.2 s to start, and a crash would end this one too
_READ = 100  # tensors of a file, which is about what a model has


def _text(text: str) -> bytes:
    data = text.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def _file(*entries: tuple[bytes, bytes]) -> bytes:
    """A pickle of a dictionary with a tensor in it, and of entries (instructions for key and value)."""
    inside = b"".join(key + value for key, value in [(_text("weight"), _ARRAY), *entries])
    return b"\x80\x04}(" + inside + b"u."


def _shared(make: bytes) -> bytes:
    """A structure in which each level holds the one below twice, 40 levels high."""
    return b"N" + b"".join(b"q" + bytes([level + 99]) + b"h" + bytes([level + 99]) + make for level in range(40))


def _copies(function: bytes, items: bytes) -> bytes:
    return _file((b"K\x01", items + b"q\xff" + (b"c" + function + b"\nh\xff\x85R0") * 20_000))


def _with_shape(shape: bytes) -> bytes:
    state = b"(K\x01" + shape + b"cnumpy\ndtype\n" + _text("f4") + b"K\x00K\x01\x87R" + b"\x89C\x00tb"
    return _file((_text("a"), b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85C\x01b\x87R" + state))


def _zip(**members: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return stream.getvalue()


def _safetensors(header: bytes, length: int | None = None) -> bytes:
    return struct.pack("<Q", len(header) if length is None else length) + header


def _per_array() -> bytes:
    """One text of 0.7 MB that is the content of each of 13,000 arrays."""
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85C\x01b\x87R"
        b"(K\x01J\x60\xae\x0a\x00\x85cnumpy\ndtype\n" + _text("u1") + b"K\x00K\x01\x87R\x89c_codecs\nencode\nh\x00"
        + _text("latin1") + b"\x86Rtb"
    )  # fmt: skip
    entries = b"".join(_text(f"a{number}") + array for number in range(13_000))
    return b"\x80\x04" + _text("é" * 700_000) + b"\x940}(" + entries + b"u."


HOSTILE: dict[str, Callable[[], bytes]] = {
    "a deep tuple as a key": lambda: _file((b"N" + b"\x85" * _MANY, b"N")),
    "a deep frozenset as a key": lambda: _file((b"(" * _MANY + b"N" + b"\x91" * _MANY, b"N")),
    "a deep tuple in a set": lambda: _file((b"K\x01", b"\x8f(" + b"N" + b"\x85" * _MANY + b"\x90")),
    "deep lists": lambda: _file((_text("a"), b"]" * _MANY + b"a" * (_MANY - 1))),
    "a deep tuple as a name": lambda: _file((b"K\x01", b"N" + b"\x85" * _MANY + _text("x") + b"\x93")),
    "a deep tuple as a shape": lambda: _with_shape(b"N" + b"\x85" * _MANY),
    "a shared tuple as a key": lambda: _file((_shared(b"\x86"), b"N")),
    "a shared tuple as a codec": lambda: _file(
        (b"K\x01", b"c_codecs\nencode\n" + _text("a") + _shared(b"\x86") + b"\x86R")
    ),
    "a shared tuple as a shape": lambda: _with_shape(_shared(b"\x86")),
    "a list copied 20,000 times": lambda: _copies(b"builtins\ntuple", b"](" + b"N" * 20_000 + b"e"),
    "a dictionary made 20,000 times": lambda: _copies(
        b"collections\nOrderedDict", b"](" + b"K\x01K\x02\x86" * 20_000 + b"e"
    ),
    "a text that is every array's": _per_array,
    "numbers that collide as keys": lambda: _file(
        *((b"\x8a\x0a" + (n * (2**61 - 1)).to_bytes(10, "little", signed=True), b"N") for n in range(60_000))
    ),
    "a number of a million digits": lambda: _file((_text("a"), b"I" + b"9" * 1_000_000 + b"\n")),
    "a long of a million digits": lambda: _file((_text("a"), b"L" + b"9" * 1_000_000 + b"L\n")),
    "a shape of a million digits": lambda: _with_shape(
        b"\x8b" + struct.pack("<i", 1_000_000) + b"\x7f" * 1_000_000 + b"\x85"
    ),
    "millions of instructions": lambda: b"\x80\x04" + b"N0" * 4_000_000 + b"}.",
    "millions of texts": lambda: b"\x80\x04](" + (b"\x8c\x20" + b"x" * 32) * 1_500_000 + b"e.",
    "a memo that is far away": lambda: _file((_text("a"), b"Nr\xff\xff\xff\xff")),
    "a length that is a lie": lambda: _file((_text("a"), b"\x8e" + struct.pack("<Q", 1 << 62))),
    "itself": lambda: b"\x80\x04}\x94" + _text("a") + b"h\x00s" + _text("b") + _ARRAY + b"s.",
    "too many tensors": lambda: (
        b"\x80\x04" + _ARRAY + b"q\xff0}(" + b"".join(_text(f"a{n}") + b"h\xff" for n in range(60_000)) + b"u."
    ),
    "an npz header of 4 GiB": lambda: _zip(a=b"\x93NUMPY\x02\x00" + struct.pack("<I", 0xFFFFFFFF) + b" " * (64 << 20)),
    "an npz header of parentheses": lambda: _zip(a=b"\x93NUMPY\x01\x00" + struct.pack("<H", 9000) + b"(" * 9000),
    "an npz shape of many digits": lambda: _zip(
        a=b"\x93NUMPY\x01\x00" + struct.pack("<H", 9000) + (b"{'shape':(" + b"9" * 8000).ljust(9000)
    ),
    "a safetensors header of brackets": lambda: _safetensors(b'{"a":' + b"[" * 1_000_000),
    "a safetensors header of 2^60 bytes": lambda: _safetensors(b"{}", 1 << 60),
    "a safetensors number of many digits": lambda: _safetensors(
        b'{"a":{"dtype":"F32","shape":[' + b"9" * 100_000 + b'],"data_offsets":[0,4]}}'
    ),
}


def good() -> dict[str, bytes]:
    """Files of each kind, small."""
    arrays = {f"blocks.{n}.weight": np.arange(6, dtype=np.float32).reshape(2, 3) + n for n in range(4)}
    stream = io.BytesIO()
    np.savez(stream, **arrays)  # type: ignore[arg-type]
    pickles = {f"protocol{p}.pdparams": pickle.dumps({"model": arrays, "epoch": 3}, p) for p in (0, 2, 4, 5)}
    torch = {}
    folder = Path(__file__).parents[1] / "tests" / "convert" / "weights" / "files" / "data"
    if folder.is_dir():
        torch = {file.name: file.read_bytes() for file in sorted(folder.glob("torch_*.pth"))}
    return {**pickles, **torch, "a.npz": stream.getvalue(), "a.safetensors": safetensors_bytes(arrays)}


def mutated(data: bytes, chance: random.Random) -> bytes:
    """A file with some bytes set, taken out, repeated or moved."""
    content = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        at, other = (chance.randrange(len(content)) for _ in range(2))
        size = chance.choice((1, 2, 4, 8, 64))
        match chance.randrange(5):
            case 0:
                content[at] = chance.randrange(256)
            case 1:
                del content[at : at + size]
            case 2:
                content[at:at] = content[other : other + size]
            case 3:
                content[at : at + size] = struct.pack("<Q", chance.choice((0, 1, 1 << 31, 1 << 62, 2**64 - 1)))[:size]
            case _:
                content[at : at + size] = b"\xff" * min(size, len(content) - at)
        if not content:
            return b"\x80"
    return bytes(content)


def _near(path: Path) -> Any:
    return asdict(scan.index(path))


def outcome(path: Path, limit_s: float = 5, near: bool = False) -> str:
    """`tensors`, `refused`, or what should not have been, more seconds of the processor than the limit included."""
    start = _processor_s()
    try:
        for table in (checkpoints.read(path, _near) if near else checkpoints.read(path)).tables:
            for tensor in list(table.tensors.values())[:_READ]:
                try:
                    tensor.load()
                except MemoryError:
                    return "FAULT: memory of this process"
                except Exception as error:  # `resolve` makes one line of whatever it is
                    checkpoints.explain(error)
        result = "tensors"
    except InputError as error:
        result = "refused" if error.message.isprintable() else f"FAULT: {error.message!r}"
    except Exception:
        result = f"FAULT: {traceback.format_exc()}"
    seconds = _processor_s() - start
    return f"FAULT: {seconds:.1f} s" if seconds > limit_s else result


def _processor_s() -> float:
    """Of this process and of those that it started and that have ended."""
    return sum(os.times()[:4])


@click.command()
@click.option("--seconds", default=60, show_default=True, help="For the mutated files.")
@click.option("--seed", default=0, show_default=True)
def main(seconds: int, seed: int) -> None:
    """Try hostile and damaged weights files."""
    counts: Counter[tuple[str, str]] = Counter()
    faults = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.pdparams"
        for name, make in HOSTILE.items():
            path.write_bytes(make())
            found = outcome(path)
            counts["hostile", found.split(":")[0]] += 1
            faults += [f"{name}: {found}"] if found.startswith("FAULT") else []
        chance, files, end = random.Random(seed), list(good().items()), time.monotonic() + seconds  # noqa: S311
        while time.monotonic() < end:
            name, data = chance.choice(files)
            changed = mutated(data, chance)
            path.write_bytes(changed)
            found = outcome(path, near=chance.random() > _ISOLATED)
            counts[name, found.split(":")[0]] += 1
            if found.startswith("FAULT"):
                faults.append(f"{name}, {zlib.crc32(changed):08x}: {found}")
    for (target, result), count in sorted(counts.items()):
        click.echo(f"{target:24} {result:10} {count}")
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6
    click.echo(f"largest memory of a process that looked into a file: {peak:.2f} GB")
    if peak > 1.2:
        faults.append("too much memory")
    for fault in faults:
        click.echo(fault, err=True)
    raise SystemExit(bool(faults))


if __name__ == "__main__":
    main()
