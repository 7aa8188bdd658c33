"""What the user means by MODEL: a name of the zoo, a `.toml` model spec, or a folder with a Paddle inference model."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from pathlib import Path

from convert.common.errors import InputError
from convert.families.base import ModelSpec, load_spec
from convert.zoo import MODELS, SEVEN


@dataclass(frozen=True)
class InferenceFolder:
    """A Paddle inference model on disk: program (`.json`, or `.pdmodel` of Paddle before 3) and its parameters."""

    name: str
    program: Path
    params: Path


def find(model: str) -> ModelSpec | InferenceFolder:
    """The model that a command was given. InputError says what would have been understood."""
    if model in MODELS:
        return MODELS[model]
    path = Path(model)
    if path.suffix == ".toml":
        return load_spec(path)
    if path.is_dir():
        return _inference_folder(path)
    if path.exists():
        raise InputError(f"model {model}: a file, but neither a .toml model spec nor a folder with an inference model")
    close = difflib.get_close_matches(model, MODELS, n=1, cutoff=0.5)
    hint = f"did you mean {close[0]}? " if close else ""
    raise InputError(
        f"unknown model {model}: {hint}`python -m convert --list` shows the names; a .toml spec or a folder with a"
        " Paddle inference model is understood too"
    )


def find_all(models: str) -> list[str]:
    """The MODEL arguments in a comma-separated list; `all` stands for the seven."""
    names = [name.strip() for name in models.split(",") if name.strip()]
    if not names:
        raise InputError("no model given: `python -m convert --list` shows the names")
    return list(dict.fromkeys(one for name in names for one in (SEVEN if name == "all" else [name])))


def _inference_folder(path: Path) -> InferenceFolder:
    programs = [file for suffix in (".json", ".pdmodel") for file in sorted(path.glob(f"*{suffix}"))]
    pairs = [(file, file.with_suffix(".pdiparams")) for file in programs if file.with_suffix(".pdiparams").is_file()]
    if not pairs:
        raise InputError(
            f"{path}: no Paddle inference model in it (inference.json or inference.pdmodel, and inference.pdiparams)"
        )
    if len({file.stem for file, _ in pairs}) > 1:
        raise InputError(f"{path}: several inference models ({', '.join(file.name for file, _ in pairs)}); keep one")
    name = re.sub(r"[^A-Za-z0-9._-]+", "_", path.resolve().name).strip("._-") or "model"
    return InferenceFolder(name, *pairs[0])
