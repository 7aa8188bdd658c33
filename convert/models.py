"""What the user means by MODEL: a name of the zoo or of an artifact, a `.toml` spec, or a Paddle inference model."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from convert import artifact as artifacts
from convert import inference_yml
from convert.artifact import Artifact
from convert.common import names
from convert.common.errors import InputError
from convert.families.base import ModelSpec, from_spec_table, load_spec
from convert.identity import architecture
from convert.manifest import Manifest
from convert.precision.table import CONVERTED, FP32
from convert.zoo import HOSTED, MODELS, SEVEN, HostedModel

# Folders that many exports are in, whatever the model is: the folder that they are in is asked instead.
_SAY_NOTHING = frozenset(
    {
        *(
            "best",
            "best_accuracy",
            "best_model",
            "checkpoint",
            "checkpoints",
            "deploy",
            "export",
            "exported",
            "exports",
        ),
        *("final", "infer", "inference", "inference_model", "latest", "model", "models", "output", "outputs", "paddle"),
        *("paddle_model", "pretrained", "result", "results", "saved_model", "static", "tmp", "weights"),
    }
)


@dataclass(frozen=True)
class InferenceFolder:
    """A Paddle inference model on disk: program (`.json`, or `.pdmodel` of Paddle before 3) and its parameters."""

    name: str
    program: Path
    params: Path

    @property
    def folder(self) -> Path:
        return self.program.parent


@dataclass(frozen=True)
class OnnxFile:
    """An ONNX file from elsewhere with nothing beside it: no Paddle program says whether it is right."""

    path: Path

    @property
    def name(self) -> str:
        return names.fitted(self.path.stem) or "onnx"


@dataclass(frozen=True)
class ShippedFolder:
    """A folder of `vitbench export`, which is an artifact already: it is taken as it is."""

    artifact: Artifact

    @property
    def name(self) -> str:
        return self.artifact.model


Model = ModelSpec | InferenceFolder  # of which an artifact is made


@dataclass(frozen=True)
class ConvertedModel:
    """A model that is known by its name because it was converted under it.

    model: as it was converted; None for an inference model whose folder is not here. argument: the MODEL that it was,
    its own name where that cannot be told. classes: `--classes` of a model of the zoo. remark: what has to be said.
    """

    name: str
    model: Model | None
    argument: str
    classes: int | None = None
    remark: str = ""


Named = Model | HostedModel | OnnxFile | ShippedFolder | ConvertedModel


def find(model: str, root: Path | None = None) -> Named:
    """The model that a command was given. InputError says what would have been understood.

    root: folder of artifacts; a model that was converted into it is known by its name.
    """
    if model in MODELS:
        return MODELS[model]
    if model in HOSTED:
        return HOSTED[model]
    path = Path(model)
    if path.suffix == ".toml":
        return load_spec(path)
    if path.suffix == ".onnx":
        return OnnxFile(path)
    found = _converted(model, root) if root is not None else None
    if path.is_dir():
        if artifacts.is_shipped(path):
            return ShippedFolder(artifacts.load(path))
        try:
            return inference_folder(path)
        except InputError:
            if found is None:  # else it is a folder that happens to have that name
                raise
    if found:
        return found
    if path.exists():
        raise InputError(
            f"model {model}: a file, but neither a .toml model spec nor an .onnx file nor a folder with an inference"
            " model"
        )
    close = difflib.get_close_matches(model, [*MODELS, *HOSTED], n=1, cutoff=0.5)
    hint = f"did you mean {close[0]}? " if close else ""
    raise InputError(
        f"unknown model {model}: {hint}`python -m convert --list` shows the names; a .toml spec, a folder with a"
        " Paddle inference model and the name of an artifact that is there are understood too"
    )


def _converted(name: str, root: Path) -> ConvertedModel | None:
    """The model of that name in a folder of artifacts."""
    if names.fault(name):
        return None
    for precision in (FP32, *CONVERTED):
        folder = root / names.normal(name) / precision
        if not (folder / artifacts.MANIFEST).is_file():
            continue
        manifest = artifacts.load(folder).manifest
        if manifest.model != names.normal(name):
            raise InputError(f"{folder}: its manifest calls it {manifest.model}: name that, or rename the folder")
        return _of_manifest(manifest)
    return None


def _of_manifest(manifest: Manifest) -> ConvertedModel:
    name, source = manifest.model, manifest.defined_in
    if manifest.spec is None:
        there = source is not None and Path(source).is_dir()
        return ConvertedModel(name, inference_folder(Path(str(source))) if there else None, source or name)
    spec = from_spec_table(manifest.spec)
    if source is None:
        for argument, known in MODELS.items():
            # With its preprocessing, by which models of one architecture are told apart: a ViT and a DeiT.
            if dataclasses.replace(known, name=spec.name, class_num=spec.class_num) == spec:
                classes = None if spec.class_num == known.class_num else spec.class_num
                return ConvertedModel(name, spec, argument, classes)
        return ConvertedModel(name, spec, name)
    if not Path(source).is_file() or architecture(load_spec(Path(source))) == architecture(spec):
        return ConvertedModel(name, spec, source)
    remark = f"{source} says another model by now; this is the one that was converted (name the file for the other)"
    return ConvertedModel(name, spec, source, remark=remark)


def with_classes(model: Named, argument: str, classes: int, name: str | None) -> ModelSpec:
    """A model of the zoo with a head of so many classes. InputError for another, and for one without a name."""
    if argument not in MODELS or not isinstance(model, ModelSpec):
        raise InputError(f"--classes: {argument} says itself how many classes it has; only a model of the zoo has 1000")
    if name is None and classes != model.class_num:
        raise InputError(f"--classes {classes}: that is another model than {argument}: name it with --name")
    return dataclasses.replace(model, name=name or model.name, class_num=classes)


def called(model: Named, name: str | None) -> str:
    """What a model is called: as `--name` says, else its own name. InputError for a name that it cannot have."""
    if isinstance(model, OnnxFile) and names.normal(name or model.name) in (MODELS | HOSTED):
        raise InputError(f"{model.path}: a model of PaddleClas has that name: give the file another one with --name")
    if name is None:
        return model.name
    if fault := names.fault(name):
        raise InputError(f"--name {name!r}: {fault}; choose another")
    name = names.normal(name)
    if name in MODELS and isinstance(model, ModelSpec) and dataclasses.replace(model, name=name) != MODELS[name]:
        raise InputError(
            f"--name {name}: that is a model of PaddleClas, and {model.name} differs from it; choose another"
        )
    return name


def all_called(models: Mapping[str, Named], name: str | None) -> dict[str, str]:
    """What each of several models is called. InputError where two have one name, and so one folder."""
    if name is not None and len(models) > 1:
        raise InputError(f"--name {name}: one name for {len(models)} models; name them one at a time")
    found: dict[str, str] = {}
    for argument, model in models.items():
        other = found.setdefault(called(model, name), argument)
        if other != argument:
            raise InputError(
                f"{other} and {argument} are both called {called(model, name)}: take them one at a time, and give one"
                " of them another name with --name"
            )
    return {argument: own for own, argument in found.items()}


def defined_in(argument: str) -> str | None:
    """The `.toml` or the folder that a MODEL argument means, absolute; None for a model that is known by name."""
    path = Path(argument)
    by_name = argument in MODELS or argument in HOSTED or not (path.suffix == ".toml" or path.is_dir())
    return None if by_name else str(path.absolute())


def find_all(models: str) -> list[str]:
    """The MODEL arguments in a comma-separated list; `all` stands for the seven. A path may have commas in it."""
    parts, names = models.split(","), list[str]()
    while parts:
        count = next((n for n in range(len(parts), 1, -1) if _is_path(",".join(parts[:n]).strip())), 1)
        names.append(",".join(parts[:count]).strip())
        del parts[:count]
    if not any(names):
        raise InputError("no model given: `python -m convert --list` shows the names")
    return list(dict.fromkeys(one for name in filter(None, names) for one in (SEVEN if name == "all" else [name])))


def onnx_alone(file: str) -> str:
    """The file of `--onnx` as MODEL, where none is named. InputError for one that would mean something else."""
    if Path(file).suffix != ".onnx":
        raise InputError(f"--onnx {file}: without --model an .onnx file is needed")
    return file


def _is_path(text: str) -> bool:
    try:
        return bool(text) and Path(text).exists()
    except (OSError, ValueError):  # longer than a name can be
        return False


def inference_folder(path: Path, name: str | None = None) -> InferenceFolder:
    """The inference model in a folder. name: None for its own. InputError where there is none, or several."""
    programs = [file for suffix in (".json", ".pdmodel") for file in sorted(path.glob(f"*{suffix}"))]
    pairs = [(file, file.with_suffix(".pdiparams")) for file in programs if file.with_suffix(".pdiparams").is_file()]
    if not pairs:
        raise InputError(
            f"{path}: no Paddle inference model in it (inference.json or inference.pdmodel, and inference.pdiparams)"
        )
    if len({file.stem for file, _ in pairs}) > 1:
        raise InputError(f"{path}: several inference models ({', '.join(file.name for file, _ in pairs)}); keep one")
    return InferenceFolder(name or _name_of(path), *pairs[0])


def _name_of(folder: Path) -> str:
    """What an inference folder's model is called: as its `inference.yml` says, else as the first folder upwards whose
    name says something."""
    written = names.fitted(inference_yml.model_name(folder) or "")
    if written:
        return written
    path = folder.resolve()
    home = Path("~").expanduser()
    for one in (path, *path.parents):
        name = names.fitted(one.name)
        if one == home:  # its name is a user's
            break
        if name and name.lower() not in _SAY_NOTHING:
            return name
    return names.fitted(path.name) or "model"
