"""Command-line options of whatever reads a labelled set."""

from __future__ import annotations

from pathlib import Path

import click

from convert.cli import Command
from convert.common.errors import InputError
from validate.datasets.load import KNOWN


def dataset_options(command: Command) -> Command:
    """`--images`, `--ground-truth`, `--synsets`, `--root` and `--limit`, as what `load` takes.

    They come as images, ground_truth, synsets, images_root (Path or None) and limit (int or None).
    """
    options = [
        click.option(
            "--images",
            metavar="SET",
            required=True,
            callback=_given,
            help="A list of `path label` lines (0-based) or a folder with val_list.txt, a tree with a folder for each"
            " class, the flat ILSVRC2012_img_val folder or its .tar, or parquet shards of the Hugging Face hub.",
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
            help="The classes in label order (LOC_synset_mapping.txt, synset_words.txt, imagenet_class_index.json or"
            " the devkit's meta.mat), for a tree with a part of them and for labels in the devkit's order.",
        ),
        click.option(
            "--root",
            "images_root",
            metavar="FOLDER",
            callback=_given,
            help="What the paths of a list are relative to.  [default: its folder]",
        ),
        click.option(
            "--limit",
            type=click.IntRange(min=1),
            help="Only so many images: the first ones, or evenly spread where the set goes class by class.",
        ),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def _given(context: click.Context, parameter: click.Parameter, value: str | None) -> Path | None:
    """An empty value would be the folder that one is in."""
    if value is None:
        return None
    if not value.strip():
        raise InputError(f"{parameter.opts[0]} is empty" + (f"; {KNOWN}" if parameter.name == "images" else ""))
    return Path(value)
