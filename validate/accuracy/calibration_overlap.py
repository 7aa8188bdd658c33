"""Whether a lower precision was calibrated on the images that its accuracy is about to be measured on."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from convert.artifact import Artifact
from convert.common.errors import InputError
from convert.common.progress import bar
from convert.datasets import LabelledSet
from convert.images.preprocess import UnreadableImage


def refuse(artifacts: Iterable[Artifact], dataset: LabelledSet) -> None:
    """InputError when images of the set are among those that an artifact was calibrated on, compared by their bytes.

    Reads the whole set once, and only where an artifact was calibrated on files.
    """
    calibrated = {
        digest: artifact
        for artifact in artifacts
        if artifact.manifest.calibration
        for digest in artifact.manifest.calibration.files_sha256
    }
    if not calibrated:
        return
    common: list[tuple[str, Artifact]] = []
    with bar("looking for calibration images", len(dataset.names)) as advance:
        for index, name in enumerate(dataset.names):
            advance(1)
            try:
                digest = hashlib.sha256(dataset.read(index)).hexdigest()
            except UnreadableImage:
                continue  # whoever measures says so
            if digest in calibrated:
                common.append((name, calibrated[digest]))
    if common:
        name, artifact = common[0]
        raise InputError(
            f"--images {dataset.name}: {artifact.model} {artifact.precision} was calibrated on {len(common)} of these "
            f"{len(dataset.names)} images ({name}), so its accuracy on them would flatter it: "
            "measure on others, or calibrate on others (python -m convert --calibration)"
        )
