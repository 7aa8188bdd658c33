"""Which file a path means: the file, PaddleClas' name without its suffix, or a folder with one checkpoint."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from convert.common.errors import InputError, listing
from convert.weights.checkpoints import SUFFIXES

KNOWN = tuple(suffix for each in SUFFIXES.values() for suffix in each)

# What stands beside weights and is none. PaddleClas writes the first two at each epoch.
_NO_WEIGHTS = {
    ".pdopt": "the state of an optimizer, no weights; PaddleClas writes those to the .pdparams beside it",
    ".pdstates": "the metrics of a training, no weights; PaddleClas writes those to the .pdparams beside it",
    ".pdmodel": "the program of an inference model: give its folder as MODEL",
    ".pdiparams": "the parameters of an inference model: give its folder as MODEL",
    ".onnx": "an ONNX model: vitbench makes that of a Paddle model and its weights",
    ".index.json": "the list of the parts of a checkpoint: only one that is in one file is read",
}

# ppcls/utils/save_load.py, `save_model`: the other way round than the name has it.
_PDEMA = "PaddleClas writes the averaged weights to .pdparams and those that are not averaged to .pdema"


@dataclass(frozen=True)
class Located:
    """A file, and what is to be said of how it was found; empty where it was named."""

    path: Path
    said: str = ""


def locate(weights: str, choices: str) -> Located:
    """The file that `--weights` means. InputError when there is none, several, or one that is known to hold no weights.

    choices: what may be given, for the message.
    """
    path = Path(weights)
    try:
        found = (Located(path) if path.is_file() else _beside(path) or _inside(path)) if weights else None
    except OSError as error:
        raise InputError(f"--weights {weights[:200]}: cannot be read ({error.strerror or error})") from None
    if found is None:
        if weights.lower().endswith((*KNOWN, *_NO_WEIGHTS)) or "/" in weights:
            raise InputError(f"--weights {weights}: there is no such file")
        raise InputError(f"--weights {weights}: not understood; allowed: {choices}")
    for suffix, words in _NO_WEIGHTS.items():
        if found.path.name.lower().endswith(suffix):
            raise InputError(f"--weights {weights}: {words}")
    if found.path.suffix.lower() == ".pdema":
        return Located(found.path, "; ".join(filter(None, [found.said, _PDEMA])))
    return found


def _beside(path: Path) -> Located | None:
    """PaddleClas' `best_model`, which means best_model.pdparams, also where a folder is called so too."""
    for suffix in (".pdparams", *(suffix for suffix in KNOWN if suffix != ".pdparams" and not path.is_dir())):
        file = path.with_name(path.name + suffix) if path.name else path
        if file.is_file():
            return Located(file, f"{file.name} was taken for {path.name}")
    return None


def _inside(path: Path) -> Located | None:
    if not path.is_dir():
        return None
    files = sorted(file for file in path.iterdir() if file.name.lower().endswith(KNOWN) and file.is_file())
    if len(files) == 1:
        return Located(files[0], f"it is the one file of weights in {path.name or path}")
    if not files:
        raise InputError(f"--weights {path}: a folder without a file of weights ({', '.join(KNOWN)})")
    names = listing([file.name for file in files], 8)
    raise InputError(f"--weights {path}: a folder with several files of weights: name one of {names}")
