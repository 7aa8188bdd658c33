"""Which preprocessing an artifact has, and how its manifest says where that comes from.

What `--preprocessing` says, else what the model itself says (PaddleClas' zoo, its spec, the `inference.yml` beside it),
else what the artifact that is there had, else an assumption. Whatever is not the model's own word is in the notes,
which every command shows.
"""

from __future__ import annotations

import dataclasses
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from convert import inference_yml, zoo
from convert.artifact import ASSUMED, Artifact
from convert.common import typed
from convert.common.errors import InputError
from convert.families.base import ModelSpec
from convert.families.spec import Preprocessing, sides
from convert.images import option as options
from convert.images import stated
from convert.manifest import FEATURES, LOGITS, MULTI_LABEL, Manifest
from convert.models import Model

ZOO = "PaddleClas' zoo"
_RAW: dict[str, Any] = {"mean": (0.0,) * 3, "std": (1 / 255,) * 3, "pixel_scale": 1.0}  # pixels as they are
_HEAD = "the head is "
# How notes begin that speak of what this file settles: they are written anew with it.
_OURS = ("the preprocessing", "preprocessing ", "the class names", _HEAD)


@dataclass(frozen=True)
class SaidByModel:
    """What a model itself says. preprocessing: None where nothing does. reference: what it is held against, which is
    another one for a spec that is one of PaddleClas' models but for its preprocessing. head: what the outputs are,
    where what is done with them behind the model tells that they are no logits of one class. like: the model of the zoo
    that it is but for its classes, and so for the images that it was trained on."""

    preprocessing: Preprocessing | None = None
    source: str = ASSUMED
    reference: Preprocessing | None = None
    class_names: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()
    head: str | None = None
    like: str | None = None


def said_by(model: Model, argument: str) -> SaidByModel:
    """What a model says of its images and classes. argument: how the user named it. InputError: its inference.yml."""
    if isinstance(model, ModelSpec):
        if argument in zoo.MODELS and model.class_num != zoo.MODELS[argument].class_num:
            return SaidByModel(like=argument)
        if argument in zoo.MODELS:
            return SaidByModel(model.preprocessing, ZOO)
        known = zoo.MODELS.get(model.name)
        same = known and {**known.table(), "preprocessing": None} == {**model.table(), "preprocessing": None}
        reference = known.preprocessing if known and same else None
        return SaidByModel(model.preprocessing, f"spec {argument}", reference)
    found = inference_yml.read(model.program.parent)
    if found is None and argument in zoo.HOSTED:
        hosted = zoo.HOSTED[argument]
        lacking = f"the preprocessing of {ZOO} is not used: it has {hosted.lacks}, which vitbench does not do"
        return SaidByModel(hosted.preprocessing, ZOO, notes=(lacking,) if hosted.lacks else ())
    if found is None:
        return SaidByModel()
    head = MULTI_LABEL if found.multi_label else FEATURES if found.embedding else None
    return SaidByModel(found.preprocessing, found.file.name, None, found.class_names, found.notes, head)


def settled(manifest: Manifest, said: SaidByModel, option: str | None, earlier: Artifact | None) -> Manifest:
    """The manifest of an FP32 artifact with its preprocessing, where that comes from, and the names of its classes.

    option: `--preprocessing`, which changes what the model says, or what there was. earlier: the artifact that is
    there. InputError when the preprocessing does not fit the size of the model's input.
    """
    made = Artifact(Path(), manifest)
    shape, classes = made.image_shape, made.classes
    notes = list(said.notes)
    names = said.class_names
    before = earlier.manifest if earlier and earlier.manifest.weights.sha256 == manifest.weights.sha256 else None
    if said.preprocessing:
        used, source = said.preprocessing, said.source
    elif before and before.preprocessing_source not in (None, ASSUMED) and not option:
        used, source, names = before.preprocessing, str(before.preprocessing_source), before.class_names
    else:
        used, source = _assumed(manifest.model, shape, said.like)
    if manifest.raw_pixels:
        used = _raw(used, source if said.preprocessing else None, notes)
    if option:
        used, source = options.changed(used, option), f"{options.OPTION} {option}"
        used = _raw(used, source, notes) if manifest.raw_pixels else used
    if used.shape != shape:
        raise InputError(
            f"{source}: {manifest.model} takes {sides(shape)} pixels, and the crop has {sides(used.shape)}"
        )
    if source.startswith(ASSUMED):
        what = words(used, manifest.raw_pixels)
        way = f"set it with {options.OPTION} NAME, TABLE.toml or KEY=VALUE"
        notes.insert(0, f"the preprocessing is {source}: {what}; nothing beside the model says it: {way}")
        source = ASSUMED
    own = said.reference or said.preprocessing
    if own and manifest.raw_pixels:
        own = dataclasses.replace(own, **_RAW)
    if own and used.agrees(own):
        if option:  # the model's own in other words: what it says itself has the last bits
            used, source = own, said.source
        own = None
    if own:
        notes.insert(0, f"the preprocessing is not the model's: {differences(used, own)}")
    notes += [] if manifest.raw_pixels else stated.remarks(used)
    if names is not None and len(names) != classes:
        notes.append(
            f"the class names are not used: {said.source} has {len(names)} of them, and the model {classes} classes"
        )
        names = None
    # Where an earlier word on the head stands among the notes, the program itself has plain logits.
    head = LOGITS if any(note.startswith(_HEAD) for note in manifest.notes) else manifest.head
    if said.head and head == LOGITS:
        head = said.head
        notes.append(f"{_HEAD}{head}: the PostProcess of {said.source} is that of such a model")
    spec = manifest.spec
    if spec is not None and said.preprocessing:
        spec = {**spec, "preprocessing": typed.table(said.preprocessing)}
    return dataclasses.replace(
        manifest,
        spec=spec,
        preprocessing=used,
        preprocessing_source=source,
        own_preprocessing=own,
        class_names=names or None,
        head=head,
        notes=(*notes, *_others(manifest)),
        command=_with_option(manifest.command, source),
    )


def like_base(manifest: Manifest, base: Manifest) -> Manifest:
    """The manifest of a lower precision with what the FP32 artifact's says."""
    ours = [note for note in base.notes if note.startswith(_OURS)]
    return dataclasses.replace(
        manifest,
        spec=base.spec,
        preprocessing=base.preprocessing,
        preprocessing_source=base.preprocessing_source,
        own_preprocessing=base.own_preprocessing,
        class_names=base.class_names,
        head=base.head,
        notes=(*ours, *_others(manifest)),
        command=_with_option(manifest.command, base.preprocessing_source or ""),
    )


def words(preprocessing: Preprocessing, raw: bool = False) -> str:
    """`resize_short 256, crop 224, mean [0.5, 0.5, 0.5], ...`, without what hardly any model sets.

    raw: of a model that takes pixels as they are.
    """
    shown = ("resize_short", "crop", "height", "interpolation", *(() if raw else ("mean", "std")))
    return ", ".join(
        f"{name} {value}" for name, value in typed.table(preprocessing).items() if name in shown and value is not None
    )


def differences(one: Preprocessing, other: Preprocessing) -> str:
    """`mean [0.485, 0.456, 0.406] instead of [0.5, 0.5, 0.5], ...`."""
    theirs = typed.table(other)
    return ", ".join(
        f"{key} {value} instead of {theirs[key]}"
        for key, value in typed.table(one).items()
        if value != theirs[key] and key != "pixel_scale"
    )


def _assumed(name: str, shape: tuple[int, int], like: str | None) -> tuple[Preprocessing, str]:
    """What is assumed, and of what model: the one that it is like, PaddleClas' of that name and size, else any of its
    ViTs."""
    if like:
        return zoo.MODELS[like].preprocessing, f"{ASSUMED} to be that of {like}, whose architecture it has"
    known = next((spec for one, spec in zoo.MODELS.items() if name.startswith(one)), None)
    if known and shape == (known.img_size,) * 2:
        return known.preprocessing, f"{ASSUMED} to be that of {known.name}, which the folder is named after"
    height, width = shape
    if height != width:  # as PaddleClas' own readers of text make their images: without regard to their form
        stretched = Preprocessing(width, width, keep_ratio=False, height=height)
        return stretched, f"{ASSUMED} to be that of PaddleClas' ViTs, of the whole image stretched to its size"
    return Preprocessing(256 if width == 224 else width, width), f"{ASSUMED} to be that of PaddleClas' ViTs"


def _raw(used: Preprocessing, source: str | None, notes: list[str]) -> Preprocessing:
    """Of a model that takes pixels as they are. source: who said other values than these, which is noted."""
    found = dataclasses.replace(used, **_RAW)
    if source and not found.agrees(used):
        notes.append(
            f"the preprocessing's mean and std of {source} are not used: the model takes pixels of 0 to 255 as they are"
            " and normalises them itself"
        )
    return found


def _others(manifest: Manifest) -> tuple[str, ...]:
    return tuple(note for note in manifest.notes if not note.startswith(_OURS))


def _with_option(command: str, source: str) -> str:
    """The command that makes the artifact again, with the `--preprocessing` that its source is, if it is one."""
    line = shlex.split(command)
    if options.OPTION in line:
        place = line.index(options.OPTION)
        del line[place : place + 2]
    option, _, text = source.partition(" ")
    return shlex.join([*line, options.OPTION, text] if option == options.OPTION and line else line)
