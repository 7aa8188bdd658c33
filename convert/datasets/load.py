"""Any labelled set that a user points at: recognised by looking, then read by its format."""

from __future__ import annotations

from pathlib import Path

from convert.common.errors import InputError
from convert.datasets.files import head, is_file, is_folder, refuse_pointer, scan, stat_of
from convert.datasets.formats.image_files import (
    class_folders,
    is_image_folder,
    load_flat,
    load_image_folder,
    load_list,
)
from convert.datasets.formats.parquet import SUFFIX, load_parquet, parquet_files
from convert.datasets.formats.tar import load_tar
from convert.datasets.image_lists import LIST_FILE
from convert.datasets.labelled_set import LabelledSet
from convert.datasets.labels.devkit import image_number
from convert.images.sources import is_image_name

TAR_FILE = "ILSVRC2012_img_val.tar"
KNOWN = (
    f"known are a list of `path label` lines or a folder with {LIST_FILE}, a tree with a folder for each class, the"
    " flat ILSVRC2012_img_val folder or its .tar with a ground truth, and parquet shards of the Hugging Face hub"
)


def load(
    path: Path,
    classes: int | None = None,
    limit: int | None = None,
    *,
    ground_truth: Path | None = None,
    synsets: Path | None = None,
    root: Path | None = None,
) -> LabelledSet:
    """Read what says which images and labels a set has, and check all of it; images are read when they are asked for.

    classes: labels must lie below; None takes any. limit: use only so many images, the first ones, or evenly spread
    where the set goes class by class. ground_truth: labels of a flat folder or an archive; None looks beside it.
    synsets: the classes in label order, where names or the devkit's numbers must be mapped. root: what the paths of a
    list are relative to. InputError in one line for whatever is wrong, an option that the format does not take with it.
    """
    if limit is not None and limit < 1:
        raise ValueError(f"limit {limit}: at least one image is needed")
    kind, found = recognise(path, ground_truth is not None)
    if root is not None and kind != "list":
        raise InputError(f"--root is for lists of `path label` lines; {path} is {_ARTICLE[kind]}")
    if ground_truth is not None and kind not in ("flat", "tar"):
        raise InputError(
            f"--ground-truth is for a flat folder or an archive; {path} is {_ARTICLE[kind]}, with labels in it"
        )
    if kind == "list":
        return load_list(found, classes, limit, root, synsets)
    if kind == "flat":
        return load_flat(found, classes, limit, ground_truth, synsets)
    if kind == "tar":
        return load_tar(found, classes, limit, ground_truth, synsets)
    if kind == "parquet":
        return load_parquet(found, classes, limit, synsets)
    return load_image_folder(found, classes, limit, synsets)


_ARTICLE = {
    "list": "a list",
    "flat": "a flat folder",
    "tar": "an archive",
    "parquet": "a parquet set",
    "image folder": "a tree of class folders",
}


def recognise(path: Path, has_truth: bool) -> tuple[str, Path]:
    """The format of what is there, and the file or folder to read. has_truth: labels were given apart from images."""
    if stat_of(path) is None:
        raise InputError(f"{path}: no such file or folder; {KNOWN}")
    if is_folder(path):
        return _recognise_folder(path, has_truth)
    if not is_file(path):
        raise InputError(f"{path}: neither a file nor a folder; {KNOWN}")
    start = head(path)
    refuse_pointer(path, start)
    suffixes = path.name.lower()
    if start.startswith(b"PAR1") or suffixes.endswith(SUFFIX):
        return "parquet", path
    if start[257:262] == b"ustar" or suffixes.endswith((".tar", ".tar.gz", ".tgz", ".tar.xz", ".tar.bz2", ".tar.zst")):
        return "tar", path
    if is_image_name(path.name):
        raise InputError(f"{path}: an image where a labelled set should be; {KNOWN}")
    return "list", path


def _recognise_folder(path: Path, has_truth: bool) -> tuple[str, Path]:
    if is_file(path / LIST_FILE) and not has_truth:
        return "list", path / LIST_FILE
    if parquet_files(path):
        return "parquet", path
    images = [entry.name for entry in scan(path) if is_image_name(entry.name)]
    if any(image_number(name) for name in images) or (images and has_truth):
        return "flat", path
    if is_file(path / TAR_FILE):
        return "tar", path / TAR_FILE
    if is_image_folder(path):
        return "image folder", path
    if images:
        raise InputError(
            f"{path}: {len(images)} images, and nothing that says their labels; give them with --ground-truth"
        )
    inside = sorted(class_folders(path), key=lambda name: "val" not in name)  # val/ rather than train/
    inner = next((name for name in inside if _is_set(path / name)), None)
    hint = f"did you mean {path / inner}?" if inner else KNOWN
    raise InputError(f"{path}: holds no {LIST_FILE} and no images in a known layout; {hint}")


def _is_set(path: Path) -> bool:
    try:
        _recognise_folder(path, has_truth=False)
    except InputError:
        return False
    return True
