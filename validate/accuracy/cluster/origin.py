"""Which machines gave the answers that a record counts: here, on the nodes, or where an earlier run was."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from convert.common.disk import json_lines
from runtimes.bench.cluster.merged import MergedFolder
from runtimes.records import store
from runtimes.records.kinds import Accuracy
from runtimes.system import environment
from validate.accuracy import top5_file
from validate.accuracy.evaluation import Evaluation

Description = Mapping[str, Any]  # of a machine, as environment.json has it


def attributed(record: Accuracy, folder: Path, images: Mapping[str, int], known: Iterable[Description]) -> Accuracy:
    """A record that says whose it is, where it is not of the machine of the folder's environment.json: `machine`, which
    the folder then describes; `machines` where there were several kinds, or one of which nobody knows more.

    images: how many each machine answered, as `environment.answering` names it. known: machines that may be among them.
    """
    if len(images) == 1:
        (name,) = images
        if environment.answered(name, _described(store.environment_of(folder, None))):
            return record
        kept = sorted(store.environment_of(folder, "").parent.glob("*.json"))
        for one in [*known, *map(_described, kept)]:
            if environment.answered(name, one):
                key = environment.setting_key(one)
                MergedFolder(folder).describe(key, one, None)
                return replace(record, machine=key)
    return replace(record, machines=dict(images)) if images else record


def strangers(record: Accuracy, evaluation: Evaluation, folder: Path, known: Sequence[Description]) -> list[str]:
    """The machines that gave a stored record's answers and are none of those known, in words."""
    images, classes = len(evaluation.dataset.labels), evaluation.artifact.classes
    ranked = top5_file.load(folder / record.ranked, images, classes) if record.ranked else None
    if names := (ranked and ranked.shares()) or record.machines:
        return [name for name in names if not any(environment.answered(name, one) for one in known)]
    stored = _described(store.environment_of(folder, record.machine))  # the file is gone, or older than such lines
    same = environment.setting(stored) in map(environment.setting, known)
    return [environment.label(stored)] if stored and not same else []


def _described(file: Path) -> Description:
    """What a results folder says of a machine; nothing where it does not, or is damaged."""
    try:
        found = json_lines.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
