"""Any labelled set that a user points at: recognised by looking, then read by its format."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from convert.common.errors import InputError, listing
from convert.datasets.files import head, is_file, is_folder, refuse_pointer, scan, stat_of
from convert.datasets.formats import archives, lists
from convert.datasets.formats.folders import flat_images, is_image_folder, load_flat, load_image_folder, wordnet_id
from convert.datasets.formats.lists import load_list
from convert.datasets.formats.parquet import SUFFIX, load_parquet, parquet_files
from convert.datasets.image_kinds import is_image, left_out
from convert.datasets.image_lists import LIST_FILE
from convert.datasets.labelled_set import LabelledSet
from convert.datasets.labels.imagenet import image_number
from convert.datasets.labels.settle import settled
from convert.datasets.request import SetRequest
from convert.datasets.tables import SUFFIXES as TABLES
from convert.datasets.tables import Columns
from convert.datasets.trees import DiskTree

TAR_FILE = "ILSVRC2012_img_val.tar"
KNOWN = (
    f"known are a list of `path label` lines or a folder with {LIST_FILE}, a csv, a tree with a folder for each class,"
    " the flat ILSVRC2012_img_val folder or its .tar with a ground truth, any of these in a .zip or .tar, WebDataset"
    " shards, and parquet shards of the Hugging Face hub"
)


def load(
    path: Path,
    classes: int | None = None,
    limit: int | None = None,
    *,
    ground_truth: Path | None = None,
    synsets: Path | None = None,
    root: Path | None = None,
    columns: str | None = None,
    own: Sequence[str] | None = None,
) -> LabelledSet:
    """Read what says which images and labels a set has, and check all of it; images are read when they are asked for.

    classes: labels must lie below; None takes any. limit: use only so many images, evenly over the classes.
    ground_truth: labels of a flat folder or an archive; None looks beside it. synsets: the classes in label order,
    where names or the devkit's numbers must be mapped. root: what the paths of a list are relative to. columns: of a
    table, see `tables.Columns`. own: the model's own names of its classes, by label. The labels are held against all
    that is known, see `settle.settled`. InputError in one line for whatever is wrong, an option that the format does
    not take with it.
    """
    if limit is not None and limit < 1:
        raise ValueError(f"limit {limit}: at least one image is needed")
    request = SetRequest(classes, limit, ground_truth, synsets, root, Columns.parse(columns), own)
    kind, found = recognise(path, ground_truth is not None)
    _refuse_options(path, kind, request)
    return settled(_load(kind, found, request), classes, own)


def _load(kind: str, found: Path, request: SetRequest) -> LabelledSet:
    if kind == "list":
        return load_list(found, request)
    if kind == "flat":
        return load_flat(DiskTree(found), flat_images(DiskTree(found))[0], request)
    if kind in _ARCHIVES:
        return archives.load_archive(found, kind, request)
    if kind == "shards":
        return archives.load_shards(found, archives.shards(found), request)
    if kind == "parquet":
        return load_parquet(found, request)
    return load_image_folder(DiskTree(found), request)


_ARTICLE = {
    "list": "a list",
    "flat": "a flat folder",
    "tar": "an archive",
    "zip": "an archive",
    "shards": "a folder of archives",
    "parquet": "a parquet set",
    "image folder": "a tree of class folders",
}
_ARCHIVES = ("tar", "zip")


def _refuse_options(path: Path, kind: str, request: SetRequest) -> None:
    """InputError for an option that means nothing to the format."""
    if request.root is not None and kind != "list":
        raise InputError(f"--root is for lists of `path label` lines; {path} is {_ARTICLE[kind]}")
    if request.ground_truth is not None and kind not in ("flat", *_ARCHIVES):
        raise InputError(
            f"--ground-truth is for a flat folder or an archive; {path} is {_ARTICLE[kind]}, with labels in it"
        )
    if request.columns and kind in ("flat", "image folder"):
        raise InputError(f"--columns is for csv, parquet and json; {path} is {_ARTICLE[kind]}")


def recognise(path: Path, has_truth: bool) -> tuple[str, Path]:
    """The format of what is there, and the file or folder to read. has_truth: labels were given apart from images."""
    if stat_of(path) is None:
        raise InputError(f"{path}: no such file or folder; {KNOWN}")
    if is_folder(path):
        return _recognise_folder(path, has_truth)
    kind = kind_of_file(path)
    if kind == "image":
        raise InputError(f"{path}: an image where a labelled set should be; {KNOWN}")
    return kind, path


def kind_of_file(path: Path) -> str:
    """parquet, tar, zip, image or list. InputError: no file, or a Git LFS pointer in its place."""
    if not is_file(path):
        raise InputError(f"{path}: neither a file nor a folder; {KNOWN}")
    start = head(path)
    refuse_pointer(path, start)
    if start.startswith(b"PAR1") or path.name.lower().endswith(SUFFIX):
        return "parquet"
    if kind := archives.kind_of(path, start):
        return kind
    return "image" if is_image(path.name.lstrip("."), lambda: start) else "list"


def _recognise_folder(path: Path, has_truth: bool) -> tuple[str, Path]:
    tree = DiskTree(path)
    if not has_truth:
        for name in lists.FILES:
            if is_file(path / name):
                return "list", path / name
    if parquet_files(path):
        return "parquet", path
    images, _ = flat_images(tree)
    if any(image_number(name) for name in images) or (images and (has_truth or all(map(wordnet_id, images)))):
        return "flat", path
    if is_file(path / TAR_FILE):
        return "tar", path / TAR_FILE
    if is_image_folder(tree):
        return "image folder", path
    if images:
        raise InputError(
            f"{path}: {len(images)} images, and nothing that says their labels; give them with --ground-truth"
        )
    if other := only_file(path):
        return other
    folders = tree.entries().folders
    inside = sorted(folders, key=lambda name: "val" not in name)  # val/ rather than train/
    inner = next((name for name in inside if _is_set(path / name)), None)
    hint = f"did you mean {path / inner}?" if inner else KNOWN
    files = left_out(tree.entries().files)
    raise InputError(f"{path}: holds no {LIST_FILE} and no images in a known layout; {'; '.join([*files, hint])}")


def only_file(path: Path) -> tuple[str, Path] | None:
    """What a folder without images is by the tables or archives in it. InputError: there are several tables or zips."""
    tables = [path / entry.name for entry in scan(path) if entry.name.lower().endswith(TABLES) and entry.is_file()]
    zips = [path / entry.name for entry in scan(path) if entry.name.lower().endswith(".zip") and entry.is_file()]
    tars = archives.shards(path)
    if len(found := [*tables, *zips]) > 1:
        raise InputError(f"{path}: holds {listing(one.name for one in found)}; give the one that is meant")
    if tables:
        return "list", tables[0]
    if zips:
        return "zip", zips[0]
    if len(tars) == 1:
        return "tar", tars[0]
    return ("shards", path) if tars else None


def _is_set(path: Path) -> bool:
    try:
        _recognise_folder(path, has_truth=False)
    except InputError:
        return False
    return True
