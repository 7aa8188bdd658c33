"""vitbench and a folder to ship as one archive in pieces of a size that a narrow door lets through."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

from convert.artifact import Artifact
from convert.common.disk import scratch
from convert.common.disk.files import new_folder, sha256_files, write_text
from convert.common.errors import InputError
from scripts.packing import holes

PIECE = 60 << 20  # bytes
NAME, SUMS = "vitbench.tar.gz", "SHA256SUMS"
_ROOT = Path(__file__).parents[2]
_SOURCES = ("vitbench", "convert", "runtimes", "validate", "reports", "scripts", "requirements")
_FILES = ("setup.py", "pyproject.toml", "README.md", "LICENSE", "Makefile")


class Pieces(io.RawIOBase):
    """A file to write to, which goes on in the next one whenever `most` bytes are in it."""

    def __init__(self, folder: Path, most: int) -> None:
        self._folder, self._most, self._count = folder, most, 0
        self._stream: io.BufferedWriter | None = None

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        view = memoryview(data).cast("B")  # type: ignore[arg-type]
        done = 0
        while done < len(view):
            if self._stream is None or self._stream.tell() >= self._most:
                self.close_piece()
                self._stream = (self._folder / f"{NAME}.{self._count:02d}").open("wb")
                self._count += 1
            done += self._stream.write(view[done : done + self._most - self._stream.tell()])
        return done

    def close_piece(self) -> None:
        """End the piece that is being written."""
        if self._stream:
            self._stream.close()


def pack(artifact: Artifact, out: Path, most: int = PIECE) -> list[Path]:
    """Write the pieces into a new folder, with their sha256 in SHA256SUMS as `sha256sum -c` reads it.

    artifact: a folder to ship, whole; drawn weights are left out of it. InputError where `out` holds something.
    """
    with new_folder(out, _refuse) as folder, scratch.folder(out.parent) as apart:
        pieces = Pieces(folder, most)
        with tarfile.open(fileobj=pieces, mode="w|gz") as archive:
            for file in _sources():
                archive.add(file, Path("vitbench", file.relative_to(_ROOT)), recursive=False)
            for file, name in _shipped(artifact, apart):
                archive.add(file, Path("vitbench", place(artifact), name), recursive=False)
        pieces.close_piece()
        made = sorted(folder.iterdir())
        lines = [f"{digest}  {file.name}\n" for file, digest in zip(made, sha256_files(made), strict=True)]
        write_text(folder / SUMS, "".join(lines))
    return [out / file.name for file in made]


def place(artifact: Artifact) -> Path:
    """Where the folder lies in the archive, from vitbench's own."""
    return Path("shipped", artifact.model, artifact.precision, str(artifact.form))


def _refuse(out: Path) -> None:
    others = [file.name for file in out.iterdir() if not file.name.startswith(NAME) and file.name != SUMS]
    if others:
        raise InputError(f"--pack {out}: it holds {others[0]}; choose another folder")


def _sources() -> Iterator[Path]:
    yield from (_ROOT / name for name in _FILES if (_ROOT / name).is_file())
    for name in _SOURCES:
        for file in sorted((_ROOT / name).rglob("*")):
            if file.is_file() and "__pycache__" not in file.parts:
                yield file


def _shipped(artifact: Artifact, apart: Path) -> Iterator[tuple[Path, str]]:
    """Each file that travels, and its name in the folder."""
    for name in ("manifest.json", *artifact.manifest.files):
        if "/" not in name and name.startswith("model.") and holes.dig(artifact, name, apart):
            for file in (f"{name}{holes.SUFFIX}", f"{name}{holes.SUFFIX}.json"):
                yield apart / file, file
        else:
            yield artifact.path / name, name
