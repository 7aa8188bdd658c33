"""`--paddleclas CHECKOUT`: a name and a file of weights become an inference folder by PaddleClas' own code."""

from __future__ import annotations

import difflib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from convert.common import typed, worker
from convert.common.console import say_log
from convert.common.disk.files import new_folder, sha256_file, sha256_json, write_json
from convert.common.errors import InputError
from convert.weights.checkpoints import SUFFIXES
from convert.weights.locate import locate

_RECORD = "exported.json"  # beside the model
_SECONDS = 900.0


@dataclass(frozen=True)
class Exported:
    """What a folder was exported from. code: a hash of PaddleClas' Python files and the configuration. notes: in
    clauses."""

    model: str
    weights: str
    sha256: str
    key: str | None
    checkout: str
    code: str
    notes: tuple[str, ...] = ()

    def alike(self, other: Exported) -> bool:
        """Whether both give the same model."""
        return (self.model, self.sha256, self.key, self.code) == (other.model, other.sha256, other.key, other.code)


def export(checkout: Path, model: str, weights: str | None, key: str | None, root: Path) -> Path:
    """The folder ROOT/paddleclas/MODEL, made unless it is there of the same weights and the same code.

    weights: a file. InputError: no checkout, no such model in it, no file, a file that is not the model's, or its code
    fails, which is printed.
    """
    checkout = checkout.absolute()
    if not (checkout / "ppcls" / "engine").is_dir():
        raise InputError(f"--paddleclas {checkout}: no checkout of PaddleClas (it has no ppcls/engine)")
    config = _config(checkout, model)
    if weights is None:
        raise InputError(f"--paddleclas: name the weights of {model} with --weights, a .pdparams file")
    file = locate(weights, f"a file ending in {', '.join(one for each in SUFFIXES.values() for one in each)}").path
    wanted = Exported(model, str(file.absolute()), sha256_file(file), key, str(checkout), _code(checkout, config))
    target = root / "paddleclas" / model
    present = read(target)
    if present and present.alike(wanted):
        return target
    with new_folder(target, _refuse_others) as folder:
        job = {
            "checkout": str(checkout),
            "config": str(config),
            "weights": wanted.weights,
            "key": key,
            "folder": str(folder.absolute()),
        }
        try:
            answer = worker.call("convert.paddleclas.child:run_job", job, _SECONDS, {"PYTHONDONTWRITEBYTECODE": "1"})
        except worker.JobError as error:
            say_log(error.log)
            raise InputError(f"--paddleclas {checkout}: its code fails on {model} ({error})") from None
        shutil.rmtree(folder / "log", ignore_errors=True)
        made = Exported(**{**vars(wanted), "notes": tuple(answer["notes"])})
        write_json(folder / _RECORD, typed.table(made))
    return target


def read(folder: Path) -> Exported | None:
    """What a folder was exported from; None where it was not exported here."""
    try:
        return typed.read(Exported, json.loads((folder / _RECORD).read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return None


def notes(folder: Path) -> tuple[str, ...]:
    """What an artifact's manifest says of a folder that was exported here; nothing of another one."""
    found = read(folder)
    if found is None:
        return ()
    of = f"{found.weights} (sha256 {found.sha256[:16]})"
    said = f"exported by PaddleClas' own code, that of {found.checkout} ({found.code[:16]}), of {of}"
    return ("; ".join([said, *found.notes]),)


def _refuse_others(folder: Path) -> None:
    if read(folder) is None:
        raise InputError(f"{folder}: is there, and no export of --paddleclas: move it away, or choose another --out")


def _config(checkout: Path, model: str) -> Path:
    found = {file.stem: file for file in sorted((checkout / "ppcls" / "configs" / "ImageNet").glob("*/*.yaml"))}
    if model not in found:
        close = difflib.get_close_matches(model, found, n=1, cutoff=0.5)
        hint = f"; did you mean {close[0]}?" if close else ""
        raise InputError(f"--paddleclas {checkout}: no ppcls/configs/ImageNet/*/{model}.yaml in it{hint}")
    return found[model]


def _code(checkout: Path, config: Path) -> str:
    """What of a checkout makes the model."""
    files = [config, *sorted((checkout / "ppcls").rglob("*.py"))]
    return sha256_json({str(file.relative_to(checkout)): sha256_file(file) for file in files if file.is_file()})
