"""What a command's options say of a model beside its name: which weights, and what it is called."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

WEIGHTS_HELP = (
    "auto (the pretrained file, else seeded weights, said loudly), pretrained, seeded or seeded:N, or a .pdparams,"
    " .safetensors, .pth or .npz file."
)


@dataclass(frozen=True)
class ModelOptions:
    """The options as they were given; None leaves it to the artifact that is there, else to the model.

    weights: `--weights`. weights_key: `--weights-key`, which of several state dicts in the file. name: `--name`, what
    the model is called. image_size: `--image-size`, pixels, of a model that leaves its input's size open.
    preprocessing: `--preprocessing`, another than the model's own, or the one that it does not say. onnx: `--onnx`, a
    file from elsewhere that is taken instead of what vitbench converts, and held against the model.
    """

    weights: str | None = None
    weights_key: str | None = None
    name: str | None = None
    image_size: int | None = None
    preprocessing: str | None = None
    onnx: str | None = None

    def arguments(self) -> dict[str, Any]:
        """By the names of the command-line options, with `_` for `-`."""
        return dataclasses.asdict(self)
