"""The images that logits and tensors are compared on, as a command's options say it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from convert import other_onnx
from convert.artifact import Artifact
from convert.common.console import say
from convert.common.errors import InputError
from convert.images import inputs
from convert.images.inputs import COUNT, Inputs


@dataclass(frozen=True)
class InputOptions:
    """`--inputs` (None: seeded images) and `--limit`."""

    photos: Path | None = None
    limit: int = COUNT

    def load(self, artifact: Artifact, edge_cases: bool = False) -> Inputs:
        """The images, as the artifact's model takes them. edge_cases: black, white, one hot pixel and the like too."""
        preprocessing = artifact.preprocessing
        if self.photos:
            other_onnx.refuse_photos(artifact)
            chosen = inputs.photos(self.photos, preprocessing, self.limit, say=say)
        elif not self.limit:
            raise InputError("--limit 0: all of which photos? Give --inputs too")
        else:
            chosen = inputs.seeded(preprocessing, self.limit)
        return chosen + inputs.edge_cases(preprocessing) if edge_cases else chosen


def input_options(limit: int, limit_help: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """`--inputs` and `--limit`, which is `limit` by default; the command gets them as `images`, an InputOptions."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(command)
        def collected(photos: Path | None, limit: int, **rest: Any) -> Any:
            return command(images=InputOptions(photos, limit), **rest)

        counted = click.option(
            "--limit", type=click.IntRange(min=0), default=limit, show_default=True, help=f"{limit_help} 0: all."
        )(collected)
        return click.option(
            "--inputs",
            "photos",
            type=click.Path(path_type=Path),
            help="Photos: a folder, a list, one image, or any set that accuracy takes. [default: seeded images]",
        )(counted)

    return decorate
