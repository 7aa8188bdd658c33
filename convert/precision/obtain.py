"""The artifact of a lower precision: found when it is there and whole, made from the FP32 one when it is not."""

from __future__ import annotations

import importlib.metadata
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from convert import artifact as artifacts
from convert.artifact import Artifact
from convert.common import isolate
from convert.common.errors import CheckFailed, InputError
from convert.common.files import new_folder, sha256_file, sha256_files, sha256_json, write_json
from convert.common.progress import bar
from convert.precision.recipe import INT8, Recipe, calibration_files

# What of the FP32 artifact is true of the variant too.
_SHARED = ("model", "opset", "weights", "inputs", "outputs", "preprocessing", "macs", "parameters", "spec")
_TOOLS = ("vitbench", "onnx", "onnxruntime", "onnxruntime-gpu", "numpy", "ml-dtypes")


def obtain(
    base: Artifact,
    recipe: Recipe,
    present: Artifact | None,
    target: Path,
    command: Callable[[int, str | None, list[str]], str],
    say: Callable[[str], None],
) -> tuple[Artifact, bool]:
    """The variant of an FP32 artifact and whether it was there already.

    present: what is in `target` now. What the recipe leaves open is taken from it. command: makes the command line from
    opset, `--weights` and further words. InputError: the calibration images or names of operators are wrong;
    CheckFailed: the graph cannot be lowered.
    """
    settled, hashes = _settled(recipe, present)
    key = _key(base, settled, hashes)
    if present and present.manifest.get("key") == key:
        damage = present.damage()
        if not damage:
            return present, True
        say(f"{target}: {damage}; converting again")
    if settled.calibration and not settled.calibration.exists():
        raise InputError(
            f"--calibration {settled.calibration}: there is no such file or folder any more, and {target} has to be "
            "made again: name the images with `python -m convert --precision int8 --calibration`"
        )
    job = {
        "base": str(base.path),
        "precision": settled.precision,
        "calibration": str(settled.calibration) if settled.calibration else None,
        "keep": settled.keep,
    }
    with new_folder(target) as folder:
        try:
            with bar(f"{base.model} to {settled.precision}", None):
                facts = isolate.call("convert.precision.make:run_job", {**job, "folder": str(folder)})
        except isolate.JobError as error:
            say(error.log.strip())
            raise CheckFailed(f"{base.model}: {settled.precision} failed: {error}") from None
        manifest = {name: base.manifest[name] for name in _SHARED} | {
            "precision": settled.precision,
            "base": {"path": os.path.relpath(base.path, target), "sha256": base.sha256},
            "recipe": {"calibration": job["calibration"], "keep_fp32": settled.keep},
            **facts,
            "notes": [*base.manifest["notes"], *_notes(facts)],
            "files": artifacts.entries(folder),
            "tools": _tools(),
            "key": _key(base, settled, facts.get("calibration", {}).get("files_sha256")),
            "command": command(base.manifest["opset"], base.weights_option(), _words(settled)),
        }
        write_json(folder / artifacts.MANIFEST, manifest)
    return artifacts.load(target), False


def _settled(recipe: Recipe, present: Artifact | None) -> tuple[Recipe, list[str] | None]:
    """The recipe with what it left open taken from the artifact that is there, and the calibration files' sha256."""
    earlier = present.manifest.get("recipe", {}) if present else {}
    keep = recipe.keep
    if keep is None and earlier.get("keep_fp32") is not None:
        keep = tuple(earlier["keep_fp32"])
    settled = replace(recipe, keep=keep)
    if recipe.precision != INT8:
        return settled, None
    if recipe.calibration is None:
        path = earlier.get("calibration")
        made = present.manifest.get("calibration", {}) if present else {}
        return replace(settled, calibration=Path(path) if path else None), made.get("files_sha256", [])
    return settled, sha256_files([path for _, path in calibration_files(recipe.calibration)])


def _key(base: Artifact, recipe: Recipe, hashes: Sequence[str] | None) -> str:
    """Hash of everything that can change the variant."""
    return sha256_json(
        {
            "base": base.sha256,
            "precision": recipe.precision,
            "keep": recipe.keep,
            "calibration": hashes,
            "tools": _tools(),
            "code": [sha256_file(file) for file in sorted(Path(__file__).parent.glob("*.py"))],
        }
    )


def _tools() -> dict[str, str]:
    found = {}
    for name in _TOOLS:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _words(recipe: Recipe) -> list[str]:
    words = ["--calibration", str(recipe.calibration)] if recipe.calibration else []
    return words + (["--keep-fp32", ",".join(recipe.keep) or "none"] if recipe.keep is not None else [])


def _notes(facts: Mapping[str, Any]) -> list[str]:
    """What the user must know of a variant."""
    kept = [f"{entry['operator']} ({entry['reason']})" for entry in facts["kept_fp32"]]
    notes = [f"kept in FP32: {', '.join(kept)}"] if kept else []
    if facts.get("calibration", {}).get("files_sha256") == []:
        notes.append(f"int8 was calibrated on {facts['calibration']['source']}: fine for speed, not for accuracy")
    return notes
