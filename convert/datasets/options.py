"""A labelled set as a command's options say it."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from convert.common.errors import InputError, listing
from convert.datasets.labelled_set import LabelledSet
from convert.datasets.labels.label_files import KNOWN as LABELS
from convert.datasets.load import KNOWN, load


@dataclass(frozen=True)
class SetOptions:
    """`--images`, `--ground-truth`, `--synsets`, `--root`, `--limit`, `--columns` as they were given (see `load`)."""

    images: Path
    ground_truth: Path | None = None
    synsets: Path | None = None
    root: Path | None = None
    limit: int | None = None
    columns: str | None = None

    def load(self, classes: int | None, own: Sequence[str] | None = None) -> LabelledSet:
        """The set, its labels checked against a number of classes where it is known. InputError as `load`.

        own: the model's own names of its classes, by label.
        """
        return load(
            self.images,
            classes,
            self.limit,
            ground_truth=self.ground_truth,
            synsets=self.synsets,
            root=self.root,
            columns=self.columns,
            own=own,
        )

    def arguments(self) -> dict[str, Any]:
        """The command-line options that mean the same set, for `runtimes.records.blank.command`."""
        return dataclasses.asdict(self)


def set_of(
    images: Path | None,
    ground_truth: Path | None,
    synsets: Path | None,
    root: Path | None,
    limit: int | None,
    columns: str | None,
) -> SetOptions | None:
    """The set of these options, `limit` 0 for all of it; None where there is none. InputError where something is said
    of images and there are none."""
    if images is not None:
        return SetOptions(images, ground_truth, synsets, root, limit or None, columns)
    said = {"ground-truth": ground_truth, "synsets": synsets, "root": root, "limit": limit, "columns": columns}
    given = [f"--{name}" for name, value in said.items() if value is not None]
    if given:
        raise InputError(f"{listing(given)}: of the images of --images, and none are given: name them, or leave it out")
    return None


def set_options(command: Callable[..., Any], required: bool = True) -> Callable[..., Any]:
    """The options of a labelled set; the command gets what they came to as `labelled`, a SetOptions; None where images
    are not required and were not given."""

    @functools.wraps(command)
    def collected(
        images: Path | None,
        ground_truth: Path | None,
        synsets: Path | None,
        images_root: Path | None,
        limit: int | None,
        columns: str | None,
        **rest: Any,
    ) -> Any:
        return command(labelled=set_of(images, ground_truth, synsets, images_root, limit, columns), **rest)

    options = [
        click.option(
            "--images",
            metavar="SET",
            required=required,
            callback=_given,
            help="A list of `path label` lines (0-based), a csv or a folder with val_list.txt, a tree with a folder for"
            " each class, the flat ILSVRC2012_img_val folder or its .tar, a .zip or .tar of these, WebDataset shards,"
            " or parquet shards of the Hugging Face hub.",
        ),
        click.option(
            "--ground-truth",
            metavar="FILE",
            callback=_given,
            help="Labels of a flat folder or a .tar: `name label` lines, or the devkit's own list, folder or .tar.gz."
            "  [default: looked for beside the images]",
        ),
        click.option(
            "--synsets",
            metavar="FILE",
            callback=_given,
            help="The model's classes in label order, for sets that name classes and for labels in the devkit's order:"
            f" {LABELS}.  [default: labels.txt and its like in the folder]",
        ),
        click.option(
            "--root",
            "images_root",
            metavar="FOLDER",
            callback=_given,
            help="What the paths of a list are relative to.  [default: its folder, or the one nearby that has them]",
        ),
        click.option(
            "--limit", type=click.IntRange(min=0), help="Only so many images, evenly over the classes; 0: all."
        ),
        click.option(
            "--columns",
            metavar="image=NAME,label=NAME",
            help="The columns of a csv or of parquet shards, the label's entry in WebDataset's json.  [default: found"
            " by their names]",
        ),
    ]
    found: Callable[..., Any] = collected
    for option in reversed(options):
        found = option(found)
    return found


def _given(context: click.Context, parameter: click.Parameter, value: str | None) -> Path | None:
    """An empty value would be the folder that one is in."""
    if value is None:
        return None
    if not value.strip():
        raise InputError(f"{parameter.opts[0]} is empty" + (f"; {KNOWN}" if parameter.name == "images" else ""))
    return Path(value)
