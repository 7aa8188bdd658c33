"""The photos on which runtimes disagree, as thumbnails for the page: where the user asks and the photos are there.

Which ones they are, and what each runtime said, is in the CSV file that an accuracy run leaves beside its records. The
photos are read from the set that the record's command names, where that is the same set still.
"""

from __future__ import annotations

import base64
import csv
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import cv2

from convert.common.console import cell
from convert.common.errors import InputError
from convert.datasets import LabelledSet
from convert.datasets.options import SetOptions
from convert.images.preprocess import UnreadableImage, decode
from reports.language import mark, say
from reports.load.results import Results, grouped
from reports.text import one_line
from runtimes import registry
from runtimes.records.kinds import Accuracy
from validate.accuracy.tables import disagreements_file

MOST = 24  # of one model on one set: a page that has them all would be as large as the photos
SIDE = 160  # pixels of the longer side
_QUALITY = 80  # of JPEG, of 100
_SET = ("images", "ground_truth", "synsets", "root", "columns")
_ELSEWHERE = mark("{where}: its photos cannot be shown: an exported file has none")
_LOST = mark("{where}: its photos cannot be shown: {reason}")
_ALTERED = mark("{where}: its photos are not shown: {set} is another set by now")


@dataclass(frozen=True)
class Picture:
    """uri: the thumbnail; empty where the photo cannot be read, and `why` says why. answers: who said what."""

    name: str
    label: str
    answers: tuple[tuple[str, str], ...]
    uri: str
    why: str = ""


@dataclass(frozen=True)
class PictureGroup:
    """Those of one model on one set.

    more: how many there are besides. lacking: runtimes that another command measured, so that nobody compared them.
    why: no photo can be shown, in a sentence.
    """

    model: str
    dataset: str
    pictures: tuple[Picture, ...] = ()
    more: int = 0
    lacking: tuple[str, ...] = ()
    why: str = ""


def gather(results: Results, sources: Iterable[Path]) -> list[PictureGroup]:
    """The photos on which runtimes disagree, of each model and set of images that several runtimes were measured on.

    sources: the results folders and exported files that were read.
    """
    folders = [source for source in dict.fromkeys(sources) if source.is_dir()]
    files = grouped(results.of(Accuracy), disagreements_file)
    found = []
    for name, records in files.items():
        place = next((folder / name for folder in folders if (folder / name).is_file()), None)
        # What belongs to one machine alone, as the file with the answers, is in no exported file.
        if place or all(record.ranked is None for record in records):
            found.append(_group(place, records))
    return found


def _group(file: Path | None, records: Sequence[Accuracy]) -> PictureGroup:
    first = records[0]
    group = PictureGroup(first.model, one_line(first.dataset or ""))
    where = f"{group.model}, {group.dataset}"
    if file is None:
        return replace(group, why=say(_ELSEWHERE, where=where))
    try:
        with file.open(newline="", encoding="utf-8") as stream:
            rows = list(csv.DictReader(stream, restkey="", restval=""))
        options = _options(first.command)
        found = options.load(None) if rows else None
    except (InputError, OSError, ValueError, csv.Error) as error:
        reason = one_line(getattr(error, "message", str(error)))
        return replace(group, why=say(_LOST, where=where, reason=reason))
    if found is None:
        return group
    if not {"image", "label"} <= set(rows[0]) or found.sha256 != first.dataset_sha256:
        return replace(group, why=say(_ALTERED, where=where, set=one_line(str(options.images))))
    places = {str(cell(name)): index for index, name in enumerate(found.names)}
    names = _names(found, [(places.get(row["image"]), row["label"]) for row in rows])
    pictures = tuple(_picture(row, found, places.get(row["image"]), names) for row in rows[:MOST])
    asked = dict.fromkeys(f"{record.runtime} {record.precision}" for record in records)
    return replace(
        group,
        pictures=pictures,
        more=len(rows) - len(pictures),
        lacking=tuple(name for name in asked if name not in rows[0]),
    )


def _options(command: str) -> SetOptions:
    """The set that a command of accuracy names. InputError where it names none."""
    words = shlex.split(command)
    options = {f"--{name.replace('_', '-')}": name for name in _SET}
    given = {options[word]: value for word, value in pairwise(words) if word in options}
    if "images" not in given:
        raise InputError(say("its command names no images"))
    paths = {name: Path(value) for name, value in given.items() if name != "columns"}
    return SetOptions(**{**paths, "columns": given.get("columns")})  # type: ignore[arg-type]


def _names(found: LabelledSet, rows: Sequence[tuple[int | None, str]]) -> dict[str, str]:
    """The set's names of classes by label, where its labels are those that the model was held against."""
    same = all(place is None or str(found.labels[place]) == label for place, label in rows)
    return {str(label): name for label, name in (found.class_names or {}).items()} if same else {}


def _picture(row: dict[str, str], found: LabelledSet, place: int | None, names: dict[str, str]) -> Picture:
    def called(label: str) -> str:
        return one_line(" ".join(filter(None, [label, names.get(label)]))) or say("not finite")

    answers = [(who, called(said)) for who, said in row.items() if who not in ("image", "label")]
    answers.sort(key=lambda answer: answer[0].split(" ")[0] != registry.reference().name)
    about = (one_line(row["image"]), called(row["label"]), tuple((one_line(who), said) for who, said in answers))
    if place is None:
        return Picture(*about, "", say("the photo is gone"))
    try:
        return Picture(*about, thumbnail(found.read(place)))
    except UnreadableImage as error:
        return Picture(*about, "", one_line(say("the photo {reason}", reason=error.reason)))


def thumbnail(data: bytes) -> str:
    """An encoded image as the data: URI of a JPEG of at most SIDE pixels, with nothing of what else its file says.

    UnreadableImage where it cannot be decoded.
    """
    pixels = decode(data)
    height, width = pixels.shape[:2]
    scale = min(1.0, SIDE / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    packed = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1]
    return f"data:image/jpeg;base64,{base64.b64encode(packed.tobytes()).decode()}"
