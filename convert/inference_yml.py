"""`inference.yml` beside an exported model: what PaddleClas and PaddleX 3 say of its images and of its classes.

The keys and their defaults are those of PaddleClas (snapshot of 2024-10-18): `deploy/python/preprocess.py` and
`postprocess.py` read them, `dump_infer_config` in `ppcls/utils/config.py` writes them at export. The file is a user's:
it stays data, and whatever it says of the images that vitbench cannot do is an InputError. `Global` and `Hpi` speak of
the deployment and are passed over, but for the model's name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from convert.common.errors import InputError, shown
from convert.families.spec import Preprocessing, is_number
from convert.images import transforms
from convert.images.transforms import Table, known_keys, short, table

NAMES = ("inference.yml", "inference.yaml")
_MOST_BYTES = 16 << 20  # the names of a thousand classes are 30 kB
_WAY_OUT = "correct it, or take the file away and give --preprocessing"

# Several answers for one image, each with a threshold of its own.
_MULTI_LABEL = ("MultiLabelThreshOutput", "PersonAttribute", "FaceAttribute", "VehicleAttribute", "TableAttribute")
# What is done with the answers, by the keys that it has; the values of those that name no classes are not vitbench's.
_LABELS = ("class_id_map_file", "delimiter", "label_list")
_OF_TABLES = ("source", "number", "color", "clarity", "obstruction", "angle")
_POST = {
    "Topk": ("topk", *_LABELS),
    "ThreshOutput": ("threshold", "default_label_index", "label_0", "label_1", *_LABELS),
    "MultiLabelThreshOutput": ("threshold", *_LABELS),
    "PersonAttribute": ("threshold", "glasses_threshold", "hold_threshold", *_LABELS),
    "FaceAttribute": ("threshold", "convert_cn", *_LABELS),
    "VehicleAttribute": ("color_threshold", "type_threshold", *_LABELS),
    "TableAttribute": (*(f"{one}_threshold" for one in _OF_TABLES), *_LABELS),
    "ScoreOutput": ("decimal_places",),
    "SavePreLabel": ("save_dir",),
    "NormalizeFeatures": (),
    "Binarize": ("method",),
}


@dataclass(frozen=True)
class InferenceYml:
    """What the file says.

    class_names: by the number of the class. multi_label: an image may be of several classes, each that is above a
    threshold. embedding: the output is a vector of features, without classes. notes: what could not be read, in
    sentences.
    """

    file: Path
    preprocessing: Preprocessing
    class_names: tuple[str, ...] | None = None
    multi_label: bool = False
    embedding: bool = False
    model_name: str | None = None
    notes: tuple[str, ...] = ()


def read(folder: Path) -> InferenceYml | None:
    """What stands beside the model in a folder; None where there is no such file. InputError as said above."""
    file = _find(folder)
    if file is None:
        return None
    try:
        return _document(file, _load(file))
    except (ValueError, OverflowError) as error:
        raise InputError(f"{file}: {error}; {_WAY_OUT}") from None


def model_name(folder: Path) -> str | None:
    """The model's name (`Global.model_name`); None where there is none, or no file that `read` takes."""
    try:
        file = _find(folder)
        return _name(_load(file)) if file else None
    except (InputError, ValueError, OverflowError):
        return None


def _find(folder: Path) -> Path | None:
    found = [folder / name for name in NAMES if (folder / name).is_file()]
    if len(found) > 1:
        raise InputError(f"{folder}: both {' and '.join(NAMES)}; keep the one that is the model's")
    return found[0] if found else None


def _load(file: Path) -> Table:
    """The document. ValueError when it is no table."""
    import yaml

    try:
        if file.stat().st_size > _MOST_BYTES:
            raise ValueError(f"larger than {_MOST_BYTES >> 20} MiB, so no description of a model")
        data = file.read_bytes()
        if b"<<" in data:  # merged tables of merged tables of ... would fill the memory
            raise ValueError("has a merge key (<<), which vitbench does not read")
        document = yaml.safe_load(data)
    except OSError as error:
        raise ValueError(f"cannot be read ({error.strerror})") from None
    except yaml.MarkedYAMLError as error:
        line = f" in line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise ValueError(f"is no YAML that can be read as data ({error.problem}{line})") from None
    except yaml.YAMLError as error:
        raise ValueError(f"is no YAML ({' '.join(str(error).split())[:200]})") from None
    except RecursionError:
        raise ValueError("is nested too deep") from None
    return table(document, "the file")


def _document(file: Path, document: Table) -> InferenceYml:
    if "PreProcess" not in document:
        raise ValueError("has no PreProcess, so it is none that PaddleClas or PaddleX wrote beside a classifier")
    preprocess = table(document["PreProcess"], "PreProcess")
    known_keys(preprocess, ("transform_ops",), "PreProcess")
    operators = preprocess.get("transform_ops")
    if not isinstance(operators, list) or not operators:
        raise ValueError(f"PreProcess.transform_ops = {short(operators)} is no list of transforms")
    names, notes, post = _post(document.get("PostProcess"), file.parent)
    threshold = next((values["threshold"] for values in post.values() if "threshold" in values), None)
    if threshold is not None and not is_number(threshold):
        raise ValueError(f"PostProcess: threshold = {short(threshold)} is no number")
    return InferenceYml(
        file=file,
        preprocessing=transforms.preprocessing(operators),
        class_names=names,
        multi_label=any(name in _MULTI_LABEL for name in post),
        embedding=any(name in ("NormalizeFeatures", "Binarize") for name in post),
        model_name=_name(document),
        notes=notes,
    )


def _name(document: Table) -> str | None:
    name = table(document.get("Global"), "Global").get("model_name")
    if name is not None and not isinstance(name, str):
        raise ValueError(f"Global.model_name = {short(name)} is no text")
    return name or None


def _post(section: Any, folder: Path) -> tuple[tuple[str, ...] | None, tuple[str, ...], dict[str, Table]]:
    """The names of the classes, what is to be said of them, and the operators with their values."""
    inside = dict(table(section, "PostProcess"))
    inside.pop("main_indicator", None)  # which of several answers is printed
    if "name" in inside:  # as the section `Infer` of a training configuration has it
        inside = {str(inside.pop("name")): inside}
    operators = {str(name): table(values, str(name)) for name, values in inside.items()}
    names: tuple[str, ...] | None = None
    notes: list[str] = []
    for name, values in operators.items():
        if name not in _POST:
            raise ValueError(f"PostProcess has {short(name)}, which vitbench does not know ({', '.join(_POST)})")
        known_keys(values, _POST[name], name)
        listed, file = values.get("label_list"), values.get("class_id_map_file")
        if listed:
            names = _labels(listed, f"{name}: label_list")
        elif values.get("label_0") is not None and values.get("label_1") is not None:
            names = _labels([values["label_0"], values["label_1"]], f"{name}: label_0, label_1")
        elif file is not None:
            names = _mapped(folder, file, values.get("delimiter") or " ")
            if names is None:
                where = f"{shown(file, 200)}, which inference.yml names"
                notes.append(f"the class names are not known: {where}, is not in the folder")
    return names, tuple(notes), operators


def _labels(listed: Any, what: str) -> tuple[str, ...]:
    """Names by the number of the class, of a list or of a table {0: name, ...}."""
    if isinstance(listed, Mapping):
        if set(listed) != set(range(len(listed))):
            raise ValueError(f"{what}: the classes are not numbered from 0 to {len(listed) - 1}")
        listed = [listed[number] for number in range(len(listed))]
    if not isinstance(listed, list):
        raise ValueError(f"{what} = {short(listed)} is no list of names")
    for number, name in enumerate(listed):
        if not isinstance(name, (str, int)) or isinstance(name, bool):
            raise ValueError(f"{what}: the name of class {number} is {short(name)} and no text; put it in quotes")
    return tuple(map(str, listed))


def _mapped(folder: Path, file: Any, delimiter: str) -> tuple[str, ...] | None:
    """The names in a file of `number name` lines beside the model; None where it is not there."""
    if not isinstance(file, str) or not isinstance(delimiter, str):
        raise ValueError(f"PostProcess: class_id_map_file = {short(file)} is no file's name")
    path = folder / Path(file.replace("\\", "/")).name  # nothing outside of the folder is read
    if not path.is_file():
        return None
    try:
        pairs = [line.partition(delimiter) for line in path.read_text(encoding="utf-8-sig").splitlines() if line]
        return _labels({int(number): name for number, _, name in pairs}, path.name)
    except (OSError, ValueError) as error:
        raise ValueError(f"class_id_map_file {path.name}: {error}") from None
