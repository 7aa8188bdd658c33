"""The one interface behind which every way out stands: what a folder holds for those who ship on it.

`python -m validate.ship` does the rest: parity before, proof, hashes, README.md, manifest.json and labels.txt beside
what a target writes, and loading the folder again.
"""

from __future__ import annotations

import shutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from convert.artifact import Artifact
from convert.common.disk import scratch
from runtimes.base import Effective, Options, Setting, UnavailableError

# What stands in every folder beside the files of its target.
README, LABELS = "README.md", "labels.txt"  # and proof/
THREADS = Setting("0", "threads in README.md's lines of code; 0 leaves them to the runtime")


def threads_line(settings: Mapping[str, str], line: str) -> str:
    """README.md's line of code that sets threads, `{}` in it for their number; empty where the runtime is to choose."""
    return "" if settings["threads"] == "0" else line.format(settings["threads"]) + "\n"


def copy_onnx(artifact: Artifact, folder: Path) -> None:
    """Copy the artifact's ONNX file, and its weights where they are in another one."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in artifact.onnx_files:
        shutil.copyfile(artifact.path / name, folder / name)


def copy_form(folder: Path, converted: Callable[[Options], Path]) -> None:
    """Copy what an adapter keeps of a model in its runtime's own form, made anew. converted: makes it."""
    with scratch.folder(folder.parent) as cache:
        for file in converted(Options(cache=str(cache))).iterdir():
            shutil.copyfile(file, folder / file.name)


@dataclass(frozen=True)
class Serving:
    """A server that was started on a folder. settings: of the runtime that asks it; told: what it is, in words."""

    settings: Mapping[str, str]
    told: str


class Target(ABC):
    """A way out.

    name: as `--to` has it, and `form` in the folder's manifest; an adapter that loads such a folder has it in its
    `Runtime.loads`, and finds `artifact.form` to be it. purpose: what it is for, in a line. runtime: the vitbench
    runtime that loads the folder again, by default; None where there is none, and then why_none says so in a sentence.
    absent: why the folder was not loaded again, where its runtime was not there. check: the command that holds it
    against its proof.
    precisions: those that it can carry. settings: the keys of `--option NAME.KEY=VALUE`. order: its place in lists.
    """

    name: ClassVar[str]
    purpose: ClassVar[str]
    runtime: ClassVar[str | None] = None
    why_none: ClassVar[str] = ""
    absent: ClassVar[str] = "its runtime was not there when it was made"
    check: ClassVar[str] = "vitbench check ."
    precisions: ClassVar[tuple[str, ...]] = ("fp32",)
    settings: ClassVar[Mapping[str, Setting]] = {}
    order: ClassVar[int] = 100

    def refusal(self, artifact: Artifact, settings: Mapping[str, str]) -> str | None:
        """Why an artifact cannot be shipped this way or not here, in a sentence, before any work; None where it can."""
        return None

    def sizes(self, artifact: Artifact, settings: Mapping[str, str], batches: tuple[int, ...]) -> tuple[int, ...]:
        """The batch sizes on which the folder is proven. batches: those on which the artifact is."""
        return batches

    def serving(self, folder: Path, settings: Mapping[str, str]) -> AbstractContextManager[Serving]:
        """A server of this machine that has loaded what `write` wrote, until the end of the block.

        For targets whose runtime asks one. UnavailableError with the reason where there is none here; CheckFailed where
        it does not load the folder.
        """
        raise UnavailableError(self.absent)

    @abstractmethod
    def write(self, artifact: Artifact, folder: Path, settings: Mapping[str, str]) -> None:
        """Write the model's files into an empty folder. artifact: one from `convert`, which stays as it is.

        settings: every key of `settings`, with its default where none was given. Files of the names above, and
        `manifest.json`, are not the target's. UnavailableError or CheckFailed with the converter's own words.
        """

    def left_out(self, artifact: Artifact, options: Mapping[str, str], effective: Effective) -> list[str]:
        """What a session of the runtime had that README.md's lines of code do not set, `NAME=VALUE` each.

        options: the runtime's settings that were asked for and are not its defaults. effective: what it reported. How
        many threads there were is not asked here: README.md sets them.
        """
        return [f"{key}={value}" for key, value in sorted(options.items())]

    @abstractmethod
    def readme(self, artifact: Artifact, settings: Mapping[str, str]) -> str:
        """Markdown on how to load the folder: a few lines of code, threads, and what is to be known of this way out.

        artifact: the one that was shipped, whose manifest has names and shapes of input and output.
        """
