"""Each command on a disk that is full after so many bytes: never exit 0 with less than all, never a damaged file.

`python -m scripts.full_disk [--step KB] [--most KB]` runs convert, parity, bench, accuracy, report and export of a toy
on a small file system in memory, with 0, step, 2 step, ... kilobytes of room. It must be allowed to mount one (as root,
or after `unshare --user --map-root-user --mount`). Exit status 1 when a promise is broken.
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
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np

from convert import artifact as artifacts
from convert.common import json_lines
from scripts.common import vit_toml

_PAGE = 4096
_SIZE = 64 << 20
_IMAGES = 12


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


def commands(spec: Path, images: Path, ready: Path, disk: Path) -> dict[str, list[str]]:
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
        "export": ["reports.export", str(ready / "results"), "--out", str(disk / "results" / "run.vitbench.json.gz")],
    }


def run(words: Sequence[str], temporary: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **({"TMPDIR": str(temporary)} if temporary else {})}
    return subprocess.run(
        [sys.executable, "-m", *words], capture_output=True, text=True, check=False, env=environment, timeout=600
    )


def hashes(place: Path) -> dict[str, str]:
    files = (path for path in place.rglob("*") if path.is_file() and path.name != "ballast")
    return {str(path.relative_to(place)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def faults(place: Path, before: Sequence[bytes], done: subprocess.CompletedProcess[str], whole: set[str]) -> list[str]:
    """What was promised and is not so. before: the records' lines that were there. whole: files of a run with room."""
    found = []
    if "Traceback" in done.stderr + done.stdout:
        found.append("a traceback")
    lacking = whole - set(hashes(place))
    if done.returncode == 0 and lacking:
        found.append(f"exit 0 without {sorted(lacking)[0]}")
    if done.returncode != 0 and "no space left" not in done.stderr.lower():
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


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--step", type=int, default=20, help="kilobytes between two tries")
    parser.add_argument("--most", type=int, default=200, help="kilobytes of room at the last try")
    parser.add_argument("--only", default="", help="comma-separated commands")
    options = parser.parse_args(arguments)
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(prefix="vitbench-") as name, small_disk(Path(name)) as disk:
        here = Path(name)
        spec, images, ready = here / "toy.toml", here / "images", here / "ready"
        spec.write_text(vit_toml("toy", size=32, width=16, blocks=1, heads=2), encoding="utf-8")
        images.mkdir()
        pixels = np.random.default_rng(0).integers(0, 255, (_IMAGES, 40, 40, 3), np.uint8)
        for i, image in enumerate(pixels):
            cv2.imwrite(str(images / f"{i}.png"), image)
        (images / "val_list.txt").write_text("".join(f"{i}.png {i}\n" for i in range(_IMAGES)), encoding="utf-8")
        for words in list(commands(spec, images / "val_list.txt", ready, ready).values())[:4]:
            done = run(words)
            assert done.returncode in (0, 1), done.stderr
        stored = (ready / "results" / "results.jsonl").read_bytes().splitlines()
        for command, words in commands(spec, images / "val_list.txt", ready, disk).items():
            if options.only and command not in options.only.split(","):
                continue
            whole: set[str] = set()
            for room in (None, *range(0, options.most + 1, options.step)):
                for path in disk.iterdir():
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
                (disk / "tmp").mkdir()
                (disk / "results").mkdir()
                (disk / "results" / "results.jsonl").write_bytes(b"".join(line + b"\n" for line in stored))
                if room is None:
                    run(words)
                    whole = {path for path in hashes(disk) if "failures" not in path}
                    continue
                leave(disk, room * 1000)
                done = run(words, disk / "tmp")
                (disk / "ballast").unlink()
                broken = faults(disk, stored, done, whole)
                counts["broken" if broken else f"exit {done.returncode}"] += 1
                print(f"{command:9} {room:4} kB  exit {done.returncode}  {'; '.join(broken) or 'ok'}", flush=True)
    print(dict(counts))
    return 1 if counts["broken"] else 0


if __name__ == "__main__":
    sys.exit(main())
