"""`meta.mat` of the ILSVRC 2012 devkit: which WordNet id each of its class numbers means."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from convert.common import worker
from convert.common.errors import InputError

META_FILE = "meta.mat"
META_BYTES = 16 << 20  # the original has less than a megabyte

WORDNET_ID = re.compile(r"n[0-9]{8}", re.ASCII)


def parse_meta(data: bytes, source: str) -> dict[int, str]:
    """WordNet ids by ILSVRC2012_ID, of the synsets that are classes: those without children, numbered from 1 on.

    Source: the devkit's readme.txt, section on `synsets`. InputError when it is no such file.
    """
    try:
        rows = _synsets(data)
    except worker.JobError as error:
        raise InputError(f"{source}: not the {META_FILE} of the ILSVRC 2012 devkit ({str(error)[:100]})") from None
    found = {number: synset for number, synset, children in rows if children == 0}
    sound = sorted(found) == list(range(1, len(found) + 1)) and len(set(found.values())) == len(found)
    if not found or not sound or not all(WORDNET_ID.fullmatch(synset) for synset in found.values()):
        raise InputError(f"{source}: its classes are not numbered 1 to N with one WordNet id each")
    return found


@lru_cache(maxsize=4)
def _synsets(data: bytes) -> Any:
    """The result of `read_synsets_job`, from a process of its own: SciPy 1.17 ends in SIGSEGV on some damaged files."""
    return worker.call("convert.datasets.labels.meta:read_synsets_job", {"data": base64.b64encode(data).decode()})


def read_synsets_job(job: Mapping[str, Any]) -> list[tuple[int, str, int]]:
    """ILSVRC2012_ID, WNID and num_children of every synset. data: the file, in base64."""
    from scipy.io import loadmat

    synsets = loadmat(io.BytesIO(base64.b64decode(job["data"])), variable_names=["synsets"])["synsets"]
    return [
        (int(row["ILSVRC2012_ID"].item()), str(row["WNID"].item()), int(row["num_children"].item()))
        for row in synsets.ravel()
    ]
