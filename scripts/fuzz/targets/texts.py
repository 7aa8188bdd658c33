"""What users write by hand: model specs, and the `inference.yml` beside an exported model."""

from __future__ import annotations

import shutil
from pathlib import Path

from convert import inference_yml, preprocessing
from convert.families.base import ModelSpec
from convert.images import option
from convert.models import find, inference_folder
from convert.zoo import MODELS
from scripts.fuzz.target import Target
from scripts.fuzz.targets.artifacts import SPEC

_YML = """
Global:
  model_name: ViT_base
PreProcess:
  transform_ops:
  - ResizeImage: {resize_short: 36, interpolation: bicubic, backend: pil}
  - CropImage: {size: 32}
  - NormalizeImage:
      channel_num: 3
      mean: [0.5, 0.4, 0.3]
      order: ''
      scale: 0.00392157
      std: [0.5, 0.5, 0.5]
  - ToCHWImage: null
PostProcess:
  Topk:
    topk: 5
    label_list: [a, b, c]
"""
_DATA = Path(__file__).parents[3] / "tests" / "convert" / "data" / "pir"


def _make_specs(folder: Path) -> None:
    for name, text in {"vit": SPEC, "deit": SPEC.replace("[pre", 'family = "deit"\n[pre')}.items():
        (folder / name).mkdir()
        (folder / name / "toy.toml").write_text(text)


def _look_at_spec(folder: Path) -> None:
    found = find(str(folder / "toy.toml"))
    assert isinstance(found, ModelSpec)
    found.state_shapes(), found.graph_facts(), found.layouts(), found.widest(), found.table()
    preprocessing.said_by(found, str(folder / "toy.toml"))
    option.changed(MODELS["ViT_base_patch16_224"].preprocessing, str(folder / "toy.toml"))


def _make_folders(folder: Path) -> None:
    shutil.copytree(_DATA, folder / "export")
    (folder / "export" / "inference.yml").write_text(_YML)


def _look_at_folder(folder: Path) -> None:
    preprocessing.said_by(inference_folder(folder), str(folder))
    inference_yml.read(folder)


def _is_yml(file: Path) -> bool:
    return file.suffix == ".yml"


TARGETS = [
    Target("specs", _make_specs, _look_at_spec),
    Target("inference.yml", _make_folders, _look_at_folder, _is_yml),
]
