"""Official inference models: downloaded as they are published, an archive each, and unpacked without trusting it."""

from __future__ import annotations

import os
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from convert.common.disk.files import new_folder
from convert.common.errors import InputError
from convert.weights import download
from convert.weights.download import Cached, NotFetchedError
from convert.zoo import PLACES, HostedModel

_MOST_MEMBERS = 1000
_SUFFIXES = (".json", ".pdmodel", ".pdiparams")  # of a program and its parameters
_ALONGSIDE = ("inference.yml",)


def urls(model: HostedModel) -> list[str]:
    """Where a model may be, in the order in which it is asked for; VITBENCH_MIRROR replaces all of it but its name."""
    mirror = os.environ.get("VITBENCH_MIRROR")
    places = [mirror] if mirror else [PLACES["paddlex"]] * model.paddlex + [PLACES["paddleclas"]]
    return [f"{place.rstrip('/')}/{model.name}_infer.tar" for place in places]


def unpacked(model: HostedModel) -> tuple[Path, Cached] | None:
    """The folder of a model that was downloaded, and what was; None where it has to be. InputError: it was changed."""
    file = download.cached(urls(model)[0], download.cache_folder())
    if file is None:
        return None
    folder = _folder(model, file)
    return (folder, file) if folder.is_dir() else None


def fetch(model: HostedModel, *, progress: bool = True) -> tuple[Path, Cached]:
    """Likewise, downloaded and unpacked where it is not there.

    InputError where it cannot be had: what was asked, and what came of it; or it is no archive of an inference model.
    """
    refused, cache = [], download.cache_folder()
    expected = int(4e6 * model.published.mparams) if model.published else None
    for url in urls(model):
        try:
            file = download.fetch(url, cache, check=members, expected=expected, progress=progress)
        except NotFetchedError as error:
            refused.append(error.message)
            continue
        folder = _folder(model, file)
        if not folder.is_dir():
            with new_folder(folder) as work:
                _unpack(file.path, work)
        return folder, file
    raise InputError(
        f"{model.name}: its inference model cannot be had ({'; '.join(refused)}): put {model.name}_infer.tar into"
        f" {cache}, or give a folder that PaddleClas exported as MODEL, or its weights with --paddleclas"
    )


def members(file: Path) -> list[str]:
    """The files of an archive that are unpacked. InputError when it is no archive of an inference model, or a hostile
    one: it is held against that before anything is written."""
    with _opened(file) as archive:
        return [member.name for member in _wanted(file, archive)]


def _folder(model: HostedModel, file: Cached) -> Path:
    return download.cache_folder() / "inference" / f"{model.name}-{file.sha256[:16]}"


def _opened(file: Path) -> tarfile.TarFile:
    try:
        return tarfile.open(file, "r:")  # as it is: what is compressed may unfold to any size
    except (tarfile.TarError, OSError, EOFError, ValueError) as error:
        raise InputError(f"{file}: no tar archive ({error})") from None


def _wanted(file: Path, archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """Plain files of known kinds, whose folders in the archive do not count."""
    found: dict[str, tarfile.TarInfo] = {}
    room = file.stat().st_size
    try:
        for count, member in enumerate(archive):
            path = PurePosixPath(member.name)
            if count >= _MOST_MEMBERS:
                raise InputError(f"{file}: more than {_MOST_MEMBERS} files are in it, and a model has three")
            if path.is_absolute() or ".." in path.parts or "\\" in member.name:
                raise InputError(f"{file}: {member.name[:100]!r} leads out of the folder that it is unpacked to")
            if member.isdir():
                continue
            if member.type not in (tarfile.REGTYPE, tarfile.AREGTYPE):
                raise InputError(f"{file}: {member.name[:100]!r} is no plain file (a link, a device or a hole)")
            room -= member.size
            if room < 0:
                raise InputError(f"{file}: its files are larger than it is itself")
            if path.suffix in _SUFFIXES or path.name in _ALONGSIDE:
                if path.name in found:
                    raise InputError(f"{file}: {path.name} is in it twice")
                found[path.name] = member
    except (tarfile.TarError, OSError, EOFError, ValueError) as error:
        raise InputError(f"{file}: a damaged tar archive ({error})") from None
    suffixes = {PurePosixPath(name).suffix for name in found}
    if ".pdiparams" not in suffixes or not suffixes & {".json", ".pdmodel"}:
        raise InputError(f"{file}: no Paddle inference model is in it (a .json or .pdmodel, and a .pdiparams)")
    yield from found.values()


def _unpack(file: Path, folder: Path) -> None:
    with _opened(file) as archive:
        for member in _wanted(file, archive):
            source = archive.extractfile(member)
            assert source is not None  # a plain file
            with source, (folder / PurePosixPath(member.name).name).open("wb") as target:
                shutil.copyfileobj(source, target)
