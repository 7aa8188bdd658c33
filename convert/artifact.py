"""An artifact: the folder with a converted model and the manifest that says what it is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from convert import manifest as manifests
from convert.common.disk import json_lines
from convert.common.disk.files import sha256_files, sha256_json, write_json
from convert.common.errors import InputError
from convert.families.base import ModelSpec, from_spec_table
from convert.families.spec import Preprocessing, sides
from convert.images.option import OPTION
from convert.manifest import FileEntry, Manifest
from convert.model_options import ModelOptions
from convert.precision.table import FP32

ARTIFACTS = Path("artifacts")  # the folder of all of them, where nobody names another one
MANIFEST = "manifest.json"
ONNX_FILE = "model.onnx"
OPENVINO_FILE, PROOF = "model.xml", "proof"  # of a folder to ship
PADDLE_PROGRAM = "paddle/inference.json"
ASSUMED = "assumed"  # the source of a preprocessing that nothing says
PADDLE_PARAMS = "paddle/inference.pdiparams"
# What stands in an artifact's folder beside the files of its manifest: all of it can be made again.
_KNOWN = (MANIFEST, ONNX_FILE, f"{ONNX_FILE}.data", PADDLE_PROGRAM, PADDLE_PARAMS, "parity.jsonl")
_KEPT_FOLDERS = ("cache/", "reference/")


class UnreadableError(InputError):
    """A folder is no artifact that can be read. what: what is wrong, where, without the advice."""

    def __init__(self, what: str, advice: str) -> None:
        super().__init__(f"{what}; {advice}")
        self.what = what


def root_option(root: Path) -> str | None:
    """The `--artifacts` that a command needs to find a folder of artifacts; None for the usual one."""
    return None if root.absolute() == ARTIFACTS.absolute() else str(root)


@dataclass(frozen=True)
class Artifact:
    """A converted model on disk. path: its folder."""

    path: Path
    manifest: Manifest

    @property
    def model(self) -> str:
        return self.manifest.model

    @property
    def precision(self) -> str:
        return self.manifest.precision

    @property
    def onnx(self) -> Path:
        return self.path / ONNX_FILE

    @property
    def form(self) -> str | None:
        """What the files of a folder to ship are for (`validate/ship/targets`); None for an artifact of `convert`."""
        return self.manifest.form

    @property
    def paddle_program(self) -> Path:
        return self.path / PADDLE_PROGRAM

    @property
    def paddle_params(self) -> Path:
        return self.path / PADDLE_PARAMS

    @property
    def sha256(self) -> str:
        """What records carry as `artifact`: one hash over the hashes of the artifact's files."""
        return sha256_json({name: entry.sha256 for name, entry in self.manifest.files.items()})

    @property
    def fp32(self) -> Artifact:
        """The artifact that has its graph in FP32: itself, also where its file is from elsewhere, or what a lower
        precision was made from. InputError as `base`."""
        return self if self.precision == FP32 else self.base

    @property
    def base(self) -> Artifact:
        """The artifact of the Paddle program that it is held against: of a lower precision and of a file from elsewhere
        another one, else itself.

        InputError when it is gone, or another one by now.
        """
        made_from = self.manifest.base
        if made_from is None:
            return self
        found = load(self.path / made_from.path)
        if found.sha256 != made_from.sha256:
            raise InputError(f"{self.path}: {found.path} is not what it was made from any more; convert it again")
        return found

    @property
    def spec(self) -> ModelSpec | None:
        """The architecture; None for a Paddle inference model, which says nothing of it."""
        return None if self.manifest.spec is None else from_spec_table(self.manifest.spec)

    @property
    def classes(self) -> int:
        return int(self.manifest.outputs[0].shape[-1])

    @property
    def image_shape(self) -> tuple[int, int]:
        """Height and width of the input in pixels."""
        height, width = map(int, self.manifest.inputs[0].shape[-2:])
        return height, width

    def fits(self, size: int | None) -> bool:
        """Whether `--image-size` asks for nothing that it is not. size: pixels; None where it was not given."""
        return size in (None, self.manifest.image_size) or (size, size) == self.image_shape

    @property
    def batch(self) -> int | None:
        """The one batch size that it was exported with; None where it takes any."""
        first = self.manifest.inputs[0].shape[0]
        return first if isinstance(first, int) else None

    def no_batch(self, *batches: int) -> str | None:
        """Why one of some batch sizes is not possible, in a clause; None where all of them are."""
        wrong = [batch for batch in batches if self.batch not in (None, batch)]
        if not wrong:
            return None
        words = f"exported with a fixed batch of {self.batch}: batch {', '.join(map(str, wrong))} is not possible"
        return f"{words}; export it with a free batch (None or -1 in its input's shape), or leave --batch out"

    def sizes(self, batches: Iterable[int]) -> tuple[int, ...]:
        """The batch sizes of a check: those asked for, and each image alone; the only one of a model that has it
        fixed."""
        return (self.batch,) if self.batch else tuple(sorted({1, *batches}))

    @property
    def onnx_files(self) -> tuple[str, ...]:
        """The names of its ONNX file and of that of its weights, where they are in another one."""
        return tuple(name for name in self.manifest.files if name.startswith(ONNX_FILE))

    def macs(self, images: int) -> int | None:
        """Multiply-accumulates of its graph for so many images; None where they were not counted."""
        computed = self.manifest.macs.computed
        return None if computed is None else computed * images

    @property
    def preprocessing(self) -> Preprocessing:
        return self.manifest.preprocessing

    @property
    def preprocessing_is_models(self) -> bool | None:
        """Whether the images go through the model's own; None where nothing says what that is."""
        source = self.manifest.preprocessing_source
        if source is None and self.spec:  # of an older vitbench, which had no other
            return self.preprocessing.agrees(self.spec.preprocessing)
        if self.manifest.own_preprocessing:
            return False
        return None if source is None or source == ASSUMED or source.startswith(OPTION) else True

    def weights_option(self, asked: str | None = None) -> str | None:
        """The `--weights` that mean these weights anywhere: what `auto` came to, or the file.

        asked: the `--weights` of a command, which are its user's words for a file. None for an inference model, which
        brings its own.
        """
        weights = self.manifest.weights
        if self.manifest.spec is None:
            return None
        if weights.kind == "file":
            return asked or weights.source
        return weights.source if weights.kind == "seeded" else "pretrained"

    def arguments(self, chosen: ModelOptions) -> dict[str, Any]:
        """The command-line options that mean this model anywhere. chosen: those that a command was given."""
        if self.form is not None:
            return {}  # its folder says it all
        said, _, text = (self.manifest.preprocessing_source or "").partition(" ")
        return {
            "artifacts": root_option(self.path.parents[1]),
            **chosen.arguments(),
            "weights": self.weights_option(chosen.weights),
            "weights_key": self.manifest.weights.key,
            "image_size": self.manifest.image_size,
            "preprocessing": chosen.preprocessing or (text if said == OPTION else None),
        }

    @property
    def seeded(self) -> bool:
        """True when the weights were drawn, not trained: speed and parity mean something, accuracy does not."""
        return self.manifest.weights.kind == "seeded"

    def damage(self) -> str | None:
        """What is wrong with the files, in a sentence; None when every byte is as it was written."""
        entries = self.manifest.files
        for name, entry in entries.items():
            file = self.path / name
            if not file.is_file():
                return f"{name} is missing"
            if file.stat().st_size != entry.bytes:
                return f"{name} has {file.stat().st_size} bytes instead of {entry.bytes}"
        hashes = sha256_files([self.path / name for name in entries])
        for (name, entry), found in zip(entries.items(), hashes, strict=True):
            if found != entry.sha256:
                return f"{name} is not what was written (its sha256 differs)"
        return None


def entries(folder: Path) -> dict[str, FileEntry]:
    """What a manifest says of the files in a folder: size and sha256 by name."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        path.relative_to(folder).as_posix(): FileEntry(path.stat().st_size, digest)
        for path, digest in zip(files, sha256_files(files), strict=True)
    }


def load(path: Path) -> Artifact:
    """Open an artifact folder. UnreadableError, an InputError, when it is none, or not as it was written."""
    try:
        table = json_lines.loads((path / MANIFEST).read_text(encoding="utf-8"))
        artifact = Artifact(path, manifests.from_table(table))
        _ = artifact.classes, artifact.spec
        _check(artifact)
    except FileNotFoundError:
        what = f"{path}: no artifact ({MANIFEST} is missing)"
        raise UnreadableError(what, "make one with `python -m convert`") from None
    except manifests.AlteredError as error:
        raise UnreadableError(f"{path / MANIFEST}: {error}", "convert the model again with --weights") from None
    except (OSError, ValueError, RecursionError) as error:
        what = f"{path / MANIFEST}: damaged ({type(error).__name__}: {error})"
        raise UnreadableError(what, "convert the model again") from None
    return artifact


def is_shipped(path: Path) -> bool:
    """Whether a folder looks like one to ship, whole or not."""
    return (path / MANIFEST).is_file() and (path / PROOF).is_dir()


def _check(artifact: Artifact) -> None:
    """ValueError says in a clause what of a manifest does not go together."""
    taken, made = artifact.image_shape, artifact.preprocessing.shape
    if taken != made:
        raise ValueError(f"preprocessing makes images of {sides(made)} pixels, and the input takes {sides(taken)}")
    if artifact.form is None and ONNX_FILE not in artifact.manifest.files:
        raise ValueError(f"files does not name {ONNX_FILE}")


def refuse_others_files(path: Path) -> None:
    """InputError when a folder holds something that vitbench did not write, and that must not be lost with it.

    A damaged artifact, and one whose manifest is damaged, holds nothing else.
    """
    try:
        known = {*_KNOWN, *load(path).manifest.files}
    except InputError:
        known = set(_KNOWN)
    for file in sorted(path.rglob("*")):
        name = file.relative_to(path).as_posix()
        if (file.is_symlink() or not file.is_dir()) and name not in known and not name.startswith(_KEPT_FOLDERS):
            raise InputError(
                f"{path}: it holds {name}, which is no part of an artifact, and is not replaced; "
                "move it away, or choose another --out"
            )


def save(folder: Path, manifest: Manifest) -> Artifact:
    """Write the manifest of the files in a folder, which is an artifact then."""
    write_json(folder / MANIFEST, manifests.to_table(manifest))
    return Artifact(folder, manifest)
