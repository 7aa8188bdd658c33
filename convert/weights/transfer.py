"""One file over HTTP: resumed only where the server proves that it is the same file, and kept only where it is read."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from convert.common import typed
from convert.common.console import say
from convert.common.disk.files import sha256_json, write_text
from convert.common.errors import InputError
from convert.common.progress import bar

if TYPE_CHECKING:
    import requests  # late below: it takes long to import, and most commands download nothing

_CONNECT_S, _READ_S = 5, 30
_MOST, _ROOM = 1 << 34, 1 << 20  # bytes: of a file of unknown size; of names and the like beside the numbers
_CHUNK = 1 << 16  # bytes; of a body that breaks off, what came since the last whole chunk is lost


class NotFetchedError(InputError):
    """Nothing came: no network, no such file there, no place to put it. What broke off half-way is an InputError."""


@dataclass(frozen=True)
class Source:
    """A file to download. expected: about how many bytes it has."""

    url: str
    target: Path
    expected: int | None

    @property
    def shown(self) -> str:
        return shown(self.url)

    @property
    def part(self) -> Path:
        """What came of it. It has the suffix of the whole, which readers go by."""
        return self.target.with_name(f"{self.target.stem}.part{self.target.suffix}")

    @property
    def about(self) -> Path:
        return self.target.with_name(f"{self.target.name}.part.json")

    @property
    def most(self) -> int:
        """The most bytes that are taken for the file."""
        return _MOST if self.expected is None else 2 * self.expected + _ROOM

    def begin_anew(self) -> None:
        """Forget what came, and what an earlier vitbench left, which did not know from where."""
        names = [self.part, self.about, *(self.target.with_name(self.target.name + end) for end in (".part", ".etag"))]
        for file in names:
            file.unlink(missing_ok=True)


@dataclass(frozen=True)
class _Begun:
    """Of which file a part is: where it is from, the server's ETag or date for it, and its length; None where the
    server does not say. A hash of the URL, since that may have a password in it."""

    url_sha256: str
    validator: str | None
    total: int | None


def _begun(source: Source) -> _Begun | None:
    """What an earlier try left and can be gone on with; what cannot be is removed."""
    try:
        begun = typed.read(_Begun, json.loads(source.about.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        begun = None
    if begun and begun.url_sha256 == sha256_json(source.url) and begun.validator and source.part.is_file():
        return begun
    source.begin_anew()
    return None


def download(source: Source, check: Callable[[Path], object], progress: bool) -> None:
    """Download a file, or what is lacking of it, into its place. check, progress and errors as for `fetch`."""
    begun = _begun(source)
    if begun is None or begun.total != source.part.stat().st_size:
        total = _ask(source, begun, progress)
        if total is None:  # there is another file by now
            source.begin_anew()
            total = _ask(source, None, progress)
    try:
        check(source.part)
    except InputError as error:
        source.begin_anew()
        reason = error.message.removeprefix(f"{source.part}: ")
        raise InputError(
            f"{source.shown}: what came is not the file that it should be ({reason}); it is removed: run this again, "
            "or name another place in VITBENCH_MIRROR"
        ) from None
    source.part.replace(source.target)
    source.begin_anew()


def _ask(source: Source, begun: _Begun | None, progress: bool) -> int | None:
    """Have the file, or its rest, come into the part. Returns its size; None when the part is of another file."""
    import requests

    have = source.part.stat().st_size if begun else 0
    headers = {"Accept-Encoding": "identity"}  # so that lengths are those of the file
    if begun and begun.validator:
        headers |= {"Range": f"bytes={have}-", "If-Range": begun.validator}
    try:
        response = requests.get(source.url, headers=headers, stream=True, timeout=(_CONNECT_S, _READ_S))
    except (requests.RequestException, ValueError) as error:  # ValueError: a redirection to what is no address
        raise NotFetchedError(f"{source.shown}: {_reason(error)}") from None
    with response:
        if begun and not _goes_on(response, begun, have):
            if response.status_code in (HTTPStatus.PARTIAL_CONTENT, HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE):
                return None
            begun, have = None, 0
        now = begun or _Begun(sha256_json(source.url), _validator(response), _length(response))
        _refuse_others(source, response, now.total)
        if begun is None:
            source.begin_anew()
            write_text(source.about, json.dumps(typed.table(now)))
        _receive(source, response, have, now.total, progress)
    size = source.part.stat().st_size
    if now.total is not None and size < now.total:
        raise _broke_off(source, size, now.total)
    return size


def _goes_on(response: requests.Response, begun: _Begun, have: int) -> bool:
    """Whether the body is what follows on the part, of the same file by all that the server says."""
    span = re.fullmatch(r"bytes ([0-9]{1,15})-[0-9]{1,15}/([0-9]{1,15})", response.headers.get("Content-Range", ""))
    if response.status_code != HTTPStatus.PARTIAL_CONTENT or not span or int(span[1]) != have:
        return False
    return _validator(response) in (begun.validator, None) and begun.total in (int(span[2]), None)


def _length(response: requests.Response) -> int | None:
    length = response.headers.get("Content-Length", "")
    return int(length) if re.fullmatch("[0-9]{1,15}", length) else None


def _validator(response: requests.Response) -> str | None:
    """What says at the next try that the file is still the same one. A weak tag does not (RFC 9110, 13.1.5)."""
    tag = response.headers.get("ETag", "")
    return tag if tag.startswith('"') else response.headers.get("Last-Modified")


def _refuse_others(source: Source, response: requests.Response, total: int | None) -> None:
    """NotFetchedError when an answer, by its head, is not the file."""
    if response.status_code not in (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT):
        raise NotFetchedError(f"{source.shown}: HTTP status {response.status_code}")
    reason = None
    if "html" in response.headers.get("Content-Type", "").lower():
        reason = "a web page"
    elif response.headers.get("Content-Encoding", "identity").lower() != "identity":
        reason = "an encoded body, which was not asked for"
    elif total == 0:
        reason = "an empty body"
    elif total is not None and source.expected and not source.expected / 2 <= total <= source.most:
        reason = f"{total} bytes, where about {source.expected} are expected"
    elif total is not None and total > source.most:
        reason = f"{total} bytes"
    if reason:
        raise NotFetchedError(f"{source.shown}: answered with something else than the file: {reason}")


def _receive(source: Source, response: requests.Response, start: int, total: int | None, progress: bool) -> None:
    """Write the body behind the part. What is longer than announced, or a page, is removed."""
    import requests

    name, most = source.target.name, source.most if total is None else total
    if progress:
        say(f"downloading {name}")
    with bar(name, total, "bytes", progress) as advance, source.part.open("ab" if start else "wb") as stream:
        advance(start)
        try:
            for chunk in response.iter_content(_CHUNK):
                page = stream.tell() == 0 and chunk.lstrip()[:1] == b"<"
                if page or stream.tell() + len(chunk) > most:
                    source.begin_anew()
                    what = "a web page" if page else f"more than {most} bytes"
                    raise NotFetchedError(f"{source.shown}: answered with something else than the file: {what}")
                stream.write(chunk)
                advance(len(chunk))
        except requests.RequestException:
            raise _broke_off(source, stream.tell(), total) from None


def _broke_off(source: Source, size: int, total: int | None) -> InputError:
    whole = f" of {total}" if total is not None else ""
    return InputError(f"{source.shown}: broke off after {size}{whole} bytes; run it again to resume")


def shown(url: str) -> str:
    """A URL without what may be secret: the user and the password, and what follows a question mark.

    A password with characters that it may not have in a URL (`/`, `#`, `?`) makes of the rest what it is not: then only
    what follows the last `@` is shown.
    """
    try:
        parts = urlsplit(url)
        port = parts.port  # ValueError where a password is taken for it
    except ValueError:
        return _behind_login(url)
    if not parts.netloc or (port is not None and "@" not in parts.netloc and "@" in url):
        return _behind_login(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _behind_login(url: str) -> str:
    return re.split("[?#]", url.rpartition("@")[2], maxsplit=1)[0] or "(no URL)"


def _reason(error: Exception) -> str:
    import requests

    if isinstance(error, requests.ConnectTimeout):
        return f"no answer within {_CONNECT_S} s"
    if isinstance(error, requests.Timeout):
        return f"silent for {_READ_S} s"
    if isinstance(error, requests.exceptions.SSLError):
        return "no trusted TLS connection"
    if isinstance(error, requests.ConnectionError):
        return "no connection"
    return f"it cannot be asked ({type(error).__name__})"
