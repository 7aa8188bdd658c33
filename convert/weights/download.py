"""Files downloaded once: into the user's cache, resumed where they broke off, held to the hash they had at first."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import platformdirs
import requests
from filelock import FileLock, Timeout

from convert.common.console import say
from convert.common.errors import InputError
from convert.common.files import sha256_file, write_text
from convert.common.progress import bar

_PADDLECLAS = "https://paddle-imagenet-models-name.bj.bcebos.com/dygraph"
_CONNECT_S, _READ_S = 5, 30
_CHUNK = 1 << 16  # bytes; of a body that breaks off, what came since the last whole chunk is lost


class NotFetchedError(InputError):
    """Nothing came: no network, no such file there, no place to put it. What broke off half-way is an InputError."""


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


def fetch(url: str, folder: Path, *, progress: bool = True) -> Cached:
    """The file behind `url` in `folder`, downloaded unless it is there, with the hash that it had at first.

    Tried once, resuming what an earlier try left in NAME.part; a second process waits for the first.
    progress: show a bar on standard error. NotFetchedError when nothing came; InputError when it broke off (what came
    is kept) or is not the file that was recorded.
    """
    target = folder / _name(url)
    if not target.is_file():
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with _alone(target.with_name(f"{target.name}.lock"), f"{target.name}: another process is downloading it"):
                if not target.is_file():
                    _download(url, target, progress)
        except OSError as error:
            raise NotFetchedError(f"{folder}: cannot be written to ({error.strerror or error})") from None
    return _verified(url, target)


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
    return Cached(target, match[2], int(match[1]), match[3])


def _verified(url: str, target: Path) -> Cached:
    """The file hashed: held against its record, or recorded when there is none yet."""
    found = Cached(target, url, target.stat().st_size, sha256_file(target))
    known = _recorded(target)
    if known is None:
        with contextlib.suppress(OSError):  # a cache that cannot be written to is hashed anew each time
            write_text(_record(target), f"# {found.bytes} bytes from {url}\n{found.sha256}  {target.name}\n")
        return found
    if known.sha256 != found.sha256:
        raise _changed(target)
    return known


def _changed(target: Path) -> InputError:
    return InputError(
        f"{target}: not the file that was downloaded first, by {_record(target).name} beside it; "
        "remove both to download it again"
    )


def _download(url: str, target: Path, progress: bool) -> None:
    part, tag = target.with_name(f"{target.name}.part"), target.with_name(f"{target.name}.etag")
    have = part.stat().st_size if part.exists() else 0
    # Unencoded, so that lengths are those of the file.
    headers = {"Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
        if tag.exists():
            headers["If-Range"] = tag.read_text(encoding="utf-8")
    try:
        response = requests.get(url, headers=headers, stream=True, timeout=(_CONNECT_S, _READ_S))
    except requests.RequestException as error:
        raise NotFetchedError(f"{url}: {_reason(error)}") from None
    with response:
        start, total = _extent(response, have, part)
        if start == 0:
            _keep_tag(response, tag)
        if response.status_code != requests.codes.requested_range_not_satisfiable:
            _receive(response, part, start, total, progress)
    size = part.stat().st_size
    if total is not None and size > total:
        part.unlink()
        raise InputError(f"{url}: sent more than the {total} bytes it announced; try again")
    if total is not None and size < total:
        raise _broke_off(url, size, total)
    part.replace(target)
    tag.unlink(missing_ok=True)


def _extent(response: requests.Response, have: int, part: Path) -> tuple[int, int | None]:
    """Where in the file the answer's body begins, and how long the whole file is, None when the server does not say."""
    url, status = response.url, response.status_code
    span = re.fullmatch(r"bytes (?:(\d+)-\d+|\*)/(\d+)", response.headers.get("Content-Range", ""))
    if status == requests.codes.ok and not response.headers.get("Content-Type", "").startswith("text/html"):
        length = response.headers.get("Content-Length")
        return 0, int(length) if length and length.isdecimal() else None
    if status == requests.codes.partial_content and span and span[1] and int(span[1]) == have:
        return have, int(span[2])
    if status == requests.codes.requested_range_not_satisfiable and have:
        if span and int(span[2]) == have:  # an earlier try got everything and was stopped just then
            return have, have
        part.unlink()
        raise InputError(f"{url}: what an earlier try left does not belong to this file, and was removed; try again")
    if status in (requests.codes.ok, requests.codes.partial_content):
        raise NotFetchedError(f"{url}: answered with something else than the file")
    raise NotFetchedError(f"{url}: HTTP status {status}")


def _keep_tag(response: requests.Response, tag: Path) -> None:
    """What says at the next try that the file is still the same one. A weak tag does not (RFC 9110, 13.1.5)."""
    value = response.headers.get("ETag", "")
    if value.startswith('"'):
        write_text(tag, value)
    else:
        tag.unlink(missing_ok=True)


def _receive(response: requests.Response, part: Path, start: int, total: int | None, progress: bool) -> None:
    if progress:
        say(f"downloading {part.stem}")
    with bar(part.stem, total, "bytes", progress) as advance, part.open("ab" if start else "wb") as stream:
        advance(start)
        try:
            for chunk in response.iter_content(_CHUNK):
                stream.write(chunk)
                advance(len(chunk))
        except requests.RequestException:
            raise _broke_off(response.url, stream.tell(), total) from None


def _broke_off(url: str, size: int, total: int | None) -> InputError:
    whole = f" of {total}" if total is not None else ""
    return InputError(f"{url}: broke off after {size}{whole} bytes; run it again to resume")


def _reason(error: requests.RequestException) -> str:
    if isinstance(error, requests.ConnectTimeout):
        return f"no answer within {_CONNECT_S} s"
    if isinstance(error, requests.Timeout):
        return f"silent for {_READ_S} s"
    if isinstance(error, requests.exceptions.SSLError):
        return "no trusted TLS connection"
    if isinstance(error, requests.ConnectionError):
        return "no connection"
    return type(error).__name__


@contextlib.contextmanager
def _alone(path: Path, message: str) -> Iterator[None]:
    """Held by one process at a time, and let go by the system when that process dies. message: said while waiting."""
    lock = FileLock(path)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        say(message)
        lock.acquire(poll_interval=0.2)
    try:
        yield
    finally:
        lock.release()
