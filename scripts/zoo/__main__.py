"""PaddleClas' zoo through vitbench: every family exported, converted and checked, and a table of it.

`PADDLECLAS=CHECKOUT python -m scripts.zoo [--only NAME,...] [--form json|pdmodel] [--again] [--table] [--out FOLDER]`:
first all models are exported with random weights and converted, then parity is checked at batch 1 and 4, each step in a
process of its own. What was seen is kept in FOLDER (zoo), so that the same command goes on where it was; `--again`
forgets what it says of the models of `--only`. PADDLE2 names the Python of an environment with Paddle 2.6, numpy<2,
OpenCV and PyYAML, which writes the older form (`.pdmodel`); without it Paddle 3's own old programs are tried.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from convert.common.console import say
from convert.common.disk import json_lines
from scripts.zoo import seen as kept
from scripts.zoo.commands import run
from scripts.zoo.families import FORMS, MODELS, PDMODEL, ZooModel
from scripts.zoo.seen import RUNTIMES, ZooParity, ZooSeen

_EXPORT_S, _CONVERT_S, _PARITY_S = 900.0, 900.0, 2400.0
_HOUSE = Path(__file__).resolve().parents[2]
_IMAGES = 1  # besides the edge cases
_PADDLE2ONNX = "from paddle2onnx.command import main; main()"


@dataclasses.dataclass(frozen=True)
class Place:
    """Where the work on a model in a form is: what is exported, the artifact, records, and what was seen."""

    root: Path
    model: ZooModel
    form: str

    @property
    def folder(self) -> Path:
        return self.root / "exported" / self.form / self.model.name

    @property
    def artifacts(self) -> Path:
        return self.root / "artifacts" / self.form

    @property
    def file(self) -> Path:
        return self.root / "seen" / f"{self.model.name}.{self.form}.json"

    @property
    def title(self) -> str:
        return f"{self.model.name} ({self.form})"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser("python -m scripts.zoo", description=__doc__)
    parser.add_argument("--only", default="", help="names of models or families, comma-separated")
    parser.add_argument("--form", choices=FORMS, help="only one of the forms")
    parser.add_argument("--again", action="store_true", help="forget what was seen of them")
    parser.add_argument("--table", action="store_true", help="print the table of what was seen, and do nothing")
    parser.add_argument("--out", type=Path, default=Path("zoo"), help="folder")
    options = parser.parse_args(arguments)
    every = _places(options.out, set(filter(None, options.only.split(","))))
    places = [place for place in every if options.form in (None, place.form)]
    if not places:
        parser.error(f"--only {options.only}: no such model or family")
    if options.table:
        print(kept.table({(one.model, one.form): found for one in places if (found := kept.load(one.file))}))
        return 0
    checkout = os.environ.get("PADDLECLAS")
    if not checkout:
        parser.error("PADDLECLAS names no checkout of PaddleClas")
    if options.again:
        for place in places:
            place.file.unlink(missing_ok=True)
    for place in places:
        if kept.load(place.file) is None:
            _keep(place, converted(place, Path(checkout).resolve()))
    for place in places:
        found = kept.load(place.file)
        if found and not (found.export or found.conversion or found.checks or found.parity):
            _keep(place, checked(place, found))
    print(kept.table({(one.model, one.form): found for one in places if (found := kept.load(one.file))}))
    return 0


def converted(place: Place, checkout: Path) -> ZooSeen:
    """Export a model and convert it, ours and by Paddle2ONNX' own command."""
    program = place.folder / ("inference.pdmodel" if place.form == PDMODEL else "inference.json")
    if not program.is_file():
        place.folder.mkdir(parents=True, exist_ok=True)
        python = os.environ.get("PADDLE2", sys.executable) if place.form == PDMODEL else sys.executable
        model = place.model
        numbers = map(str, (model.batch, model.height, model.width))
        words = [str(checkout), model.name, *numbers, place.form, str(place.folder)]
        old = {"FLAGS_enable_pir_api": "0"} if place.form == PDMODEL else {}
        # PYTHONPATH: the other Python finds this file without an installation, and of the house nothing but it.
        exported = run(
            [python, str(_HOUSE / "scripts" / "zoo" / "export.py"), *words], _EXPORT_S, {**old, "PYTHONPATH": ""}
        )
        if exported.status or not program.is_file():
            return ZooSeen(export=exported.reason)
    theirs = run(
        [
            *(sys.executable, "-c", _PADDLE2ONNX, "--model_dir", str(place.folder)),
            *("--model_filename", program.name, "--params_filename", "inference.pdiparams"),
            *("--save_file", str(place.root / "paddle2onnx.onnx"), "--opset_version", "17", "--optimize_tool", "None"),
        ],
        _CONVERT_S,
    )
    command = [sys.executable, "-m", "convert", str(place.folder), "--out", str(place.artifacts), "--json"]
    ours = run(command, _CONVERT_S)
    seconds = None if theirs.status else theirs.seconds
    if ours.status:
        return ZooSeen(conversion=ours.reason.replace(f"{place.folder}/", ""), ours=ours.seconds, theirs=seconds)
    return ZooSeen(ours=ours.seconds, theirs=seconds, notes=json_lines.loads(ours.printed)["notes"])


def checked(place: Place, found: ZooSeen) -> ZooSeen:
    """Parity of what was converted."""
    command = [
        *(sys.executable, "-m", "validate.parity", "--model", str(place.folder), "--artifacts", str(place.artifacts)),
        *(
            "--batch",
            str(place.model.batch or "1,4"),
            "--limit",
            str(_IMAGES),
            "--runtime",
            ",".join(RUNTIMES),
            "--json",
        ),
        *("--out", str(place.root / "results" / f"{place.model.name}.{place.form}")),
    ]
    ended = run(command, _PARITY_S)
    try:
        records = json_lines.loads(ended.printed)["records"]
    except ValueError:
        return dataclasses.replace(found, checks=ended.reason)
    parity = [
        ZooParity(
            " ".join([one["runtime"], *(f"{key}={value}" for key, value in (one.get("settings") or {}).items())]),
            bool(one["passed"]),
            (one.get("tolerance") or {}).get("needed"),
            one.get("reason"),
        )
        for one in records
    ]
    return dataclasses.replace(found, parity=parity)


def _places(root: Path, only: set[str]) -> Iterator[Place]:
    for model in MODELS:
        if not only or only & {model.name, model.family}:
            yield from (Place(root, model, form) for form in model.forms)


def _keep(place: Place, found: ZooSeen) -> None:
    place.file.parent.mkdir(parents=True, exist_ok=True)
    kept.save(place.file, found)
    verdicts = [f"{one.runtime} {'passed' if one.passed else 'FAILED'}" for one in found.parity]
    say(f"{place.title}: {found.export or found.conversion or found.checks or ', '.join(verdicts) or 'converted'}")


if __name__ == "__main__":
    sys.exit(main())
