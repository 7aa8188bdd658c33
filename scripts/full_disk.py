"""Each command on a disk that is full after so many bytes: never exit 0 with less than all, never a damaged file.

`python -m scripts.full_disk [--step KB] [--most KB]` runs each command on a toy, on a small file system in memory with
0, step, 2 step, ... kilobytes of room, and once on one that is read-only. It must be allowed to mount one (as root, or
after `unshare --user --map-root-user --mount`). Exit status 1 when a promise is broken.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np

from convert import artifact as artifacts
from convert.common.disk import json_lines
from scripts.common import vit_toml

_PAGE = 4096
_SIZE = 64 << 20
_IMAGES = 12
_READ_ONLY = -1  # in place of a room
_WORDS = {False: ("no space left",), True: ("read-only file system", "cannot be written")}  # by whether it is read-only


@contextmanager
def small_disk(parent: Path) -> Iterator[Path]:
    """A file system of 64 MiB in memory."""
    place = parent / "disk"
    place.mkdir()
    subprocess.run(["/bin/mount", "-t", "tmpfs", "-o", f"size={_SIZE}", "tmpfs", str(place)], check=True)
    try:
        yield place
    finally:
        subprocess.run(["/bin/umount", "--lazy", str(place)], check=True)


@contextmanager
def read_only(place: Path) -> Iterator[None]:
    """Nothing can be written there while the block lasts."""
    subprocess.run(["/bin/mount", "-o", "remount,ro", str(place)], check=True)
    try:
        yield
    finally:
        subprocess.run(["/bin/mount", "-o", "remount,rw", str(place)], check=True)


def leave(place: Path, room: int) -> None:
    """Fill a disk up to so many bytes."""
    ballast = place / "ballast"
    ballast.unlink(missing_ok=True)
    found = os.statvfs(place)
    with ballast.open("wb") as stream:
        os.posix_fallocate(
            stream.fileno(), 0, max(1, found.f_bavail * found.f_frsize - max(room, _PAGE) // _PAGE * _PAGE)
        )
        while room < _PAGE:  # to the last page
            try:
                os.posix_fallocate(stream.fileno(), os.fstat(stream.fileno()).st_size, _PAGE)
            except OSError:
                break


def commands(spec: Path, images: Path, photos: Path, ready: Path, disk: Path) -> dict[str, list[str]]:
    """The commands by name. ready: artifacts and results on a disk with room. disk: the full one."""
    model, out = ["--model", str(spec), "--weights", "seeded:1"], ["--out", str(disk / "results")]
    on_ready = [*model, "--artifacts", str(ready / "artifacts"), "--runtime", "ort-cpu", *out]
    bench = [
        "--batch",
        "1",
        "--min-count",
        "6",
        "--min-seconds",
        "0.2",
        "--max-seconds",
        "1",
        "--target",
        "50%",
        "--patience",
        "0",
    ]
    return {
        "convert": ["convert", str(spec), "--weights", "seeded:1", "--out", str(disk / "artifacts")],
        "parity": ["validate.parity", *on_ready, "--batch", "1"],
        "bench": ["runtimes.bench", *on_ready, *bench],
        "accuracy": ["validate.accuracy", *on_ready, "--images", str(images), "--cache-images", str(disk / "crops")],
        "report": [
            "reports",
            str(ready / "results"),
            "--format",
            "md,html,csv,json,latex",
            "--out",
            str(disk / "results"),
        ],
        "bisect": ["validate.bisect", *on_ready, "--limit", "1"],
        "search": [
            *("validate.search", *on_ready, "--images", str(images), "--calibration", str(photos)),
            *("--keep", "0.01", "--evaluations", "1"),
        ],
        "compare": ["reports.compare", *[str(ready / "results")] * 2, "--markdown", str(disk / "results" / "c.md")],
        "export": ["reports.export", str(ready / "results"), "--out", str(disk / "results" / "run.vitbench.json.gz")],
    }


def run(words: Sequence[str], temporary: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "LC_ALL": "C.UTF-8", **({"TMPDIR": str(temporary)} if temporary else {})}
    return subprocess.run(
        [sys.executable, "-m", *words], capture_output=True, text=True, check=False, env=environment, timeout=600
    )


def hashes(place: Path) -> dict[str, str]:
    files = (path for path in place.rglob("*") if path.is_file() and path.name != "ballast")
    return {str(path.relative_to(place)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def faults(
    place: Path, before: Sequence[bytes], done: subprocess.CompletedProcess[str], whole: set[str], words: Sequence[str]
) -> list[str]:
    """What was promised and is not so.

    before: the records' lines that were there. whole: files of a run with room. words: one of them is in a refusal.
    """
    found = []
    if "Traceback" in done.stderr + done.stdout:
        found.append("a traceback")
    lacking = whole - set(hashes(place))
    if done.returncode == 0 and lacking:
        found.append(f"exit 0 without {sorted(lacking)[0]}")
    if done.returncode != 0 and not any(one in done.stderr.lower() for one in words):
        found.append(f"exit {done.returncode}: {(done.stderr.strip().splitlines() or ['nothing'])[-1]}")
    elif done.returncode not in (0, 2):
        found.append(f"exit {done.returncode}")
    for file in place.rglob("*"):
        if "~" in file.name or file.name == ".lock":
            found.append(f"{file.name} is left")
        if file.suffix == ".json" and not _is_json(file):
            found.append(f"{file.name} is damaged")
        if file.suffix == ".jsonl" and any(json_lines.parse(line) is None for line in _lines(file)):
            found.append(f"{file.name} has a damaged line")
    records = place / "results" / "results.jsonl"
    if before and (not records.exists() or records.read_bytes().splitlines()[: len(before)] != list(before)):
        found.append("records are lost")
    for manifest in place.glob("artifacts/*/*/manifest.json"):
        if damage := artifacts.load(manifest.parent).damage():
            found.append(damage)
    return found


def _is_json(file: Path) -> bool:
    try:
        json.loads(file.read_bytes())
    except ValueError:
        return False
    return True


def _lines(file: Path) -> list[str]:
    text = file.read_text(encoding="utf-8")
    return text.split("\n")[:-1] if text.endswith("\n") or not text else text.split("\n")


def toy(here: Path) -> tuple[Path, Path, Path]:
    """A spec, a list of images with labels, and a folder of others to calibrate on."""
    spec, pictures, photos = here / "toy.toml", here / "images", here / "photos"
    spec.write_text(vit_toml("toy", size=32, width=16, blocks=1, heads=2), encoding="utf-8")
    for place, folder in enumerate((pictures, photos)):
        folder.mkdir()
        for i, image in enumerate(np.random.default_rng(place).integers(0, 255, (_IMAGES, 40, 40, 3), np.uint8)):
            cv2.imwrite(str(folder / f"{i}.png"), image)
    images = pictures / "val_list.txt"
    images.write_text("".join(f"{i}.png {i}\n" for i in range(_IMAGES)), encoding="utf-8")
    return spec, images, photos


def attempt(words: Sequence[str], disk: Path, room: int | None) -> subprocess.CompletedProcess[str]:
    """Run a command with so many kilobytes of room on the disk; None: enough."""
    if room is None:
        return run(words)
    if room == _READ_ONLY:
        with read_only(disk):
            return run(words)
    leave(disk, room * 1000)
    done = run(words, disk / "tmp")
    (disk / "ballast").unlink()
    return done


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--step", type=int, default=20, help="kilobytes between two tries")
    parser.add_argument("--most", type=int, default=200, help="kilobytes of room at the last try")
    parser.add_argument("--only", default="", help="comma-separated commands")
    parser.add_argument("--read-only", action="store_true", help="only on a disk that is read-only")
    options = parser.parse_args(arguments)
    rooms = [_READ_ONLY] if options.read_only else [_READ_ONLY, *range(0, options.most + 1, options.step)]
    statuses: dict[str, list[str]] = {}
    with tempfile.TemporaryDirectory(prefix="vitbench-") as name, small_disk(Path(name)) as disk:
        ready = Path(name) / "ready"
        files = toy(Path(name))
        for words in list(commands(*files, ready, ready).values())[:4]:
            done = run(words)
            assert done.returncode in (0, 1), done.stderr
        stored = (ready / "results" / "results.jsonl").read_bytes().splitlines()
        for command, words in commands(*files, ready, disk).items():
            if options.only and command not in options.only.split(","):
                continue
            whole: set[str] = set()
            for room in (None, *rooms):
                for path in disk.iterdir():
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
                (disk / "tmp").mkdir()
                (disk / "results").mkdir()
                (disk / "results" / "results.jsonl").write_bytes(b"".join(line + b"\n" for line in stored))
                done = attempt(words, disk, room)
                if room is None:
                    whole = {path for path in hashes(disk) if "failures" not in path}
                    assert done.returncode in (0, 1), done.stderr
                    continue
                broken = faults(disk, stored, done, whole, _WORDS[room == _READ_ONLY])
                statuses.setdefault(command, []).append("broken" if broken else str(done.returncode))
                where = "read-only" if room == _READ_ONLY else f"{room:6} kB"
                print(f"{command:9} {where}  exit {done.returncode}  {'; '.join(broken) or 'ok'}", flush=True)
    print("\nexit status", *("read-only" if room == _READ_ONLY else room for room in rooms))
    for command, found in statuses.items():
        print(f"{command:11}", *found)
    return 1 if any("broken" in found for found in statuses.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
