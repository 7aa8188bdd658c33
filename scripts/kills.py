"""Each command killed at random moments: nothing stored is lost, nothing is left behind, and the command goes on.

`python -m scripts.kills [--count N] [--seed N] [--command convert,bench,accuracy,search]` ends runs of a toy by
SIGKILL, SIGTERM and SIGINT, of the process group as a terminal does and of the command's process alone. Then it looks
at what is there, runs the command once more, and looks again. Exit status 1 when a promise is broken.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import psutil

from convert import artifact as artifacts
from convert.common.disk import scratch
from convert.common.errors import InputError
from runtimes.records import store
from scripts.common import vit_toml

KINDS = {
    "kill the group": (signal.SIGKILL, True),
    "kill the command": (signal.SIGKILL, False),
    "SIGTERM to the group": (signal.SIGTERM, True),
    "SIGTERM to the command": (signal.SIGTERM, False),
    "SIGINT to the group": (signal.SIGINT, True),
    "SIGINT to the command": (signal.SIGINT, False),
}
ROOT = Path(__file__).resolve().parents[1]
_PACKAGES = ("convert", "runtimes", "validate", "reports")
_MARK = "VITBENCH_KILLS"  # in the environment of a run's processes, with the run's place
_GONE_S = 2.0
_LONGEST_S = 300.0
_IMAGES = 12
_BENCH = (
    *("--batch", "1", "--min-count", "6", "--min-seconds", "0.1", "--max-seconds", "0.3"),
    *("--target", "50%", "--patience", "0"),
)


@dataclass(frozen=True)
class Toy:
    """What the commands work on. ready: a folder with the artifacts, made already."""

    spec: Path
    images: Path
    calibration: Path
    ready: Path

    def words(self, command: str, place: Path, resume: bool) -> list[str]:
        """A command line after `python -m`. place: the folder of this run."""
        weights = ["--weights", "seeded:1"]
        if command == "convert":
            return ["convert", str(self.spec), *weights, "--out", str(place / "artifacts")]
        common = ["--model", str(self.spec), *weights, "--artifacts", str(place / "artifacts"), "--runtime", "ort-cpu"]
        common += ["--out", str(place / "results"), *(["--resume"] if resume else [])]
        images = ["--images", str(self.images)]
        if command == "bench":
            return ["runtimes.bench", *common, *_BENCH]
        if command == "accuracy":
            return ["validate.accuracy", *common, *images, "--cache-images", str(place / "crops")]
        searching = ["--calibration", str(self.calibration), "--evaluations", "2"]
        return ["validate.search", *common, *images, *searching]


@dataclass(frozen=True)
class Try:
    """One kill. share: of an undisturbed run's time, when it comes."""

    number: int
    command: str
    kind: str
    share: float


COMMANDS = ("convert", "bench", "accuracy", "search")


def tries(count: int, seed: int, commands: Sequence[str]) -> list[Try]:
    """Every command and kind as often as any other, at moments that are drawn."""
    drawn = random.Random(seed)  # noqa: S311 - no secret
    kinds = list(KINDS)
    pairs = [(command, kind) for kind in kinds for command in commands]
    return [Try(i, *pairs[i % len(pairs)], drawn.random()) for i in range(count)]


def make_toy(here: Path) -> Toy:
    spec, ready = here / "toy.toml", here / "ready"
    spec.write_text(vit_toml("toy", size=32, width=16, blocks=1, heads=2), encoding="utf-8")
    drawn = np.random.default_rng(0)
    for name in ("images", "calibration"):
        (here / name).mkdir()
        for i in range(_IMAGES):
            cv2.imwrite(str(here / name / f"{i}.png"), drawn.integers(0, 255, (40, 40, 3), np.uint8))
        (here / name / "val_list.txt").write_text("".join(f"{i}.png {i}\n" for i in range(_IMAGES)), encoding="utf-8")
    toy = Toy(spec, here / "images" / "val_list.txt", here / "calibration", ready)
    ready.mkdir()
    done = run(toy.words("convert", ready, False), ready)
    assert done == 0, (ready / "said").read_text(encoding="utf-8")
    return toy


def prepare(toy: Toy, command: str, place: Path) -> None:
    (place / "tmp").mkdir(parents=True)
    if command != "convert":
        shutil.copytree(toy.ready / "artifacts", place / "artifacts")


def start(words: Sequence[str], place: Path) -> subprocess.Popen[bytes]:
    """A command as the leader of a process group of its own; what it prints goes to the file `said`."""
    (place / "tmp").mkdir(exist_ok=True)
    environment = {**os.environ, "LC_ALL": "C.UTF-8", "TMPDIR": str(place / "tmp"), _MARK: str(place)}
    with (place / "said").open("wb") as said:
        return subprocess.Popen(
            [sys.executable, "-m", *words],
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )


def run(words: Sequence[str], place: Path) -> int:
    process = start(words, place)
    try:
        return process.wait(_LONGEST_S)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def living(place: Path) -> list[str]:
    """The processes of a run that are alive."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.environ().get(_MARK) == str(place) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(" ".join(process.cmdline())[:120])
    return found


def stored(place: Path) -> dict[Path, bytes]:
    """The whole lines of each file to which lines are appended."""
    files = [file for file in place.glob("results/**/*.jsonl") if file.is_file()]
    return {file: content[: content.rfind(b"\n") + 1] for file in files for content in [file.read_bytes()]}


def cells(place: Path) -> set[tuple[str, ...]]:
    """What there are records of."""
    names = ("kind", "model", "precision", "runtime", "batch", "measured")
    return {tuple(str(getattr(one, name, "")) for name in names) for one in store.known(place / "results")}


def lacking(place: Path, whole: set[tuple[str, ...]]) -> list[str]:
    """What an undisturbed run makes, and is not there. whole: that run's records."""
    found = [f"lacks {one}" for one in sorted(whole - cells(place))]
    return found if list(place.glob("artifacts/toy/fp32/manifest.json")) else [*found, "lacks the artifact"]


def lost(before: dict[Path, bytes], place: Path) -> list[str]:
    """What is damaged, or is there no more."""
    now = stored(place)
    found = [
        f"{file.name}: lines are lost" for file, lines in before.items() if not now.get(file, b"").startswith(lines)
    ]
    with suppress(FileNotFoundError):
        try:
            store.known(place / "results")
        except InputError as error:
            found.append(str(error))
    for manifest in place.glob("artifacts/*/*/manifest.json"):
        damage = artifacts.load(manifest.parent).damage()
        found += [damage] if damage else []
    return found


def left(place: Path) -> list[str]:
    """What is temporary, and is there still."""
    names = [path for path in place.rglob("*") if "~" in path.name or path.name.endswith(".lock")]
    return [f"{path.relative_to(place)} is left" for path in [*names, *(place / "tmp").iterdir()]]


def attempt(one: Try, toy: Toy, whole: set[tuple[str, ...]], seconds: float, here: Path) -> tuple[str, list[str]]:
    """How the killed run ended, and the promises that were broken. whole: the records of an undisturbed run."""
    place = here / f"run-{one.number}"
    prepare(toy, one.command, place)
    number, group = KINDS[one.kind]
    process = start(toy.words(one.command, place, False), place)
    time.sleep(one.share * seconds)
    before = stored(place)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number) if group else os.kill(process.pid, number)
    broken = []
    try:
        status = process.wait(_LONGEST_S if number != signal.SIGKILL else _GONE_S)
    except subprocess.TimeoutExpired:
        broken.append(f"alive after {_GONE_S:g} s")
        os.killpg(process.pid, signal.SIGKILL)
        status = process.wait()
    end = time.monotonic() + _GONE_S
    while (alive := living(place)) and time.monotonic() < end:
        time.sleep(0.05)
    broken += [f"a child is alive: {command}" for command in alive]
    said = (place / "said").read_text(encoding="utf-8", errors="replace")
    ended = "had ended" if status in (0, 1) else f"status {status}"
    if "Traceback" in said and not any(f'"{ROOT / name}' in said for name in _PACKAGES):
        ended = "in Python's own start"  # before the first line of ours: the words are Python's
    elif status not in (0, 1, -number, 128 + number) or "Traceback" in said:
        broken.append(f"ended with {status}: {said.strip()[-300:]}")
    elif status in (0, 1):
        broken += [f"status {status}, and it {one}" for one in lacking(place, whole)]
    broken += lost(before, place)
    before = stored(place)
    status = run(toy.words(one.command, place, True), place)  # as the line says that an interrupted one prints
    again = (place / "said").read_text(encoding="utf-8", errors="replace")
    if status not in (0, 1) or "Traceback" in again:
        broken.append(f"the next run ended with {status}: {again.strip()[-300:]}")
    broken += lost(before, place) + left(place) + lacking(place, whole)
    if not broken:
        shutil.rmtree(place)
    return ended, broken


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=200, help="kills in all")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--command", default=",".join(COMMANDS), help="comma-separated")
    parser.add_argument("--together", type=int, default=2, help="runs at a time")
    parser.add_argument("--keep", type=Path, help="an empty folder, in which runs with broken promises stay")
    options = parser.parse_args(arguments)
    commands = options.command.split(",")
    signal.signal(signal.SIGINT, signal.default_int_handler)  # in the background it is ignored, here and in the runs
    counts: dict[tuple[str, str], Counter[str]] = {}
    with scratch.folder(name="vitbench-kills-") as own:
        here = options.keep or own
        toy = make_toy(here)
        whole, seconds = {}, {}
        for command in commands:
            place = here / f"undisturbed-{command}"
            prepare(toy, command, place)
            began = time.monotonic()
            status = run(toy.words(command, place, False), place)
            seconds[command] = time.monotonic() - began
            assert status in (0, 1), (place / "said").read_text(encoding="utf-8")
            whole[command] = cells(place)
            print(f"{command}: {seconds[command]:.1f} s undisturbed, {len(whole[command])} records", flush=True)

        def go(one: Try) -> tuple[Try, str, list[str]]:
            return one, *attempt(one, toy, whole[one.command], seconds[one.command], here)

        with ThreadPoolExecutor(options.together) as pool, suppress(KeyboardInterrupt):
            try:
                for one, ended, broken in pool.map(go, tries(options.count, options.seed, commands)):
                    counts.setdefault((one.command, one.kind), Counter())["broken" if broken else ended] += 1
                    moment = f"{one.share * seconds[one.command]:.2f} s"
                    words = f"{one.number:3} {one.command:9}{one.kind:23}{moment:>8}  {ended}"
                    print(f"{words}  {'; '.join(broken) or 'ok'}", flush=True)
            finally:  # after Ctrl-C those that run are waited for, and those before are counted
                pool.shutdown(cancel_futures=True)
    for (command, kind), found in sorted(counts.items()):
        print(f"{command:9}{kind:23} {', '.join(f'{count} {what}' for what, count in sorted(found.items()))}")
    bad = sum(found["broken"] for found in counts.values())
    print(f"{sum(found.total() for found in counts.values())} kills, {bad} with a broken promise")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
