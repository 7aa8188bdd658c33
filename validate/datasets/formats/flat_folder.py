"""The flat folder `ILSVRC2012_img_val/`: images side by side, their labels in a ground truth."""

from __future__ import annotations

from pathlib import Path

from validate.datasets.files import check_images, is_image_name, read_image, scan, short_name
from validate.datasets.labelled_set import LabelledSet, index_sha256, limited
from validate.datasets.labels.ground_truth import find_truth, pair


def load_flat(
    folder: Path, classes: int | None, limit: int | None, ground_truth: Path | None = None, synsets: Path | None = None
) -> LabelledSet:
    """The images of a folder with their labels, in the order of the ground truth.

    ground_truth: None looks for one in the folder and beside it. InputError as of `ground_truth.pair`.
    """
    truth = find_truth(folder, ground_truth, synsets)
    available = [entry.name for entry in scan(folder) if is_image_name(entry.name)]
    pairs = pair(available, folder, truth, classes, synsets)
    images = [folder / name for name in pairs.names]
    check_images(images, lambda _: str(folder), "the folder has changed")
    whole = LabelledSet(
        name=f"{short_name(folder)} with {truth.path.name}",
        labels=tuple(pairs.labels),
        names=tuple(pairs.names),
        read=lambda index: read_image(images[index]),
        listed=pairs.listed,
        sha256=index_sha256(pairs.names, pairs.labels),
        format="flat",
    )
    return limited(whole, limit)
