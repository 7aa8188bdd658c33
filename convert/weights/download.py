"""Files downloaded once: into the user's cache, resumed where they broke off, held to the hash they had at first."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from convert.common.disk.files import sha256_file, write_text
from convert.common.disk.lock import alone
from convert.common.errors import InputError, WriteError, is_full
from convert.weights import transfer
from convert.weights.transfer import NotFetchedError, Source, shown

__all__ = ["Cached", "NotFetchedError", "cache_folder", "cached", "fetch", "pretrained_url"]

_PADDLECLAS = "https://paddle-imagenet-models-name.bj.bcebos.com/dygraph"


_ONE_THREAD = threading.Lock()  # the lock of a file is held by a process, with all its threads


@dataclass(frozen=True)
class Cached:
    """A downloaded file as it was recorded when it came."""

    path: Path
    url: str
    bytes: int
    sha256: str


def cache_folder() -> Path:
    """VITBENCH_CACHE, or the user's cache folder."""
    return Path(os.environ.get("VITBENCH_CACHE") or platformdirs.user_cache_dir("vitbench"))


def pretrained_url(model: str) -> str:
    """Where PaddleClas publishes a model's weights; VITBENCH_MIRROR replaces all of it but the file's name."""
    return f"{(os.environ.get('VITBENCH_MIRROR') or _PADDLECLAS).rstrip('/')}/{model}_pretrained.pdparams"


def cached(url: str, folder: Path) -> Cached | None:
    """The downloaded file, its size checked but not its hash; None when it is not there.

    A file that somebody put there by hand is hashed and recorded. InputError when the size is not the recorded one.
    """
    target = folder / _name(url)
    if not target.is_file():
        return None
    known = _recorded(target)
    if known is None:
        return _verified(url, target)
    if known.bytes != target.stat().st_size:
        raise _changed(target)
    return known


def fetch(
    url: str,
    folder: Path,
    *,
    check: Callable[[Path], object] = lambda path: None,
    expected: int | None = None,
    progress: bool = True,
) -> Cached:
    """The file behind `url` in `folder`, downloaded unless it is there, with the hash that it had at first.

    Tried once, resuming what an earlier try left of the same file from the same place; a second process waits for the
    first. check: raises InputError when a file is not what its name says; only what passes is kept. expected: about how
    many bytes it has: an answer of less than half or more than twice as many is not taken. progress: show a bar on
    standard error. NotFetchedError when nothing came; InputError when it broke off (what came is kept), is no such file
    (what came is removed) or not the file that was recorded.
    """
    target = folder / _name(url)
    if not target.is_file():
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with _ONE_THREAD, alone(target.with_name(f"{target.name}.lock"), str(target), wait=True):
                if not target.is_file():
                    transfer.download(Source(url, target, expected), check, progress)
        except OSError as error:
            if is_full(error):
                raise WriteError(target, error) from None
            raise NotFetchedError(f"{folder}: cannot be written to ({error.strerror or error})") from None
    found = _verified(url, target)
    try:
        check(target)
    except InputError as error:
        remove = shlex.join(["rm", str(target), str(_record(target))])
        reason = error.message.removeprefix(f"{target}: ")
        raise InputError(
            f"{target}: a wrong download in the cache ({reason}); remove it with `{remove}`, and run this again"
        ) from None
    return found


def _name(url: str) -> str:
    return url.rsplit("/", 1)[1]


def _record(target: Path) -> Path:
    return target.with_name(f"{target.name}.sha256")


def _recorded(target: Path) -> Cached | None:
    """What the record says: `sha256sum --check` reads it too, and skips the line with size and URL."""
    try:
        text = _record(target).read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError):
        raise _changed(target) from None
    match = re.match(r"# (\d+) bytes from (\S+)\n([0-9a-f]{64})  ", text)
    if not match:
        raise _changed(target)
    return Cached(target, shown(match[2]), int(match[1]), match[3])


def _verified(url: str, target: Path) -> Cached:
    """The file hashed: held against its record, or recorded when there is none yet."""
    found = Cached(target, shown(url), target.stat().st_size, sha256_file(target))
    known = _recorded(target)
    if known is None:
        with contextlib.suppress(OSError):  # a cache that cannot be written to is hashed anew each time
            write_text(_record(target), f"# {found.bytes} bytes from {found.url}\n{found.sha256}  {target.name}\n")
        return found
    if known.sha256 != found.sha256:
        raise _changed(target)
    return known


def _changed(target: Path) -> InputError:
    return InputError(
        f"{target}: not the file that was downloaded first, by {_record(target).name} beside it; "
        "remove both to download it again"
    )
