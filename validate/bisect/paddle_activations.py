"""Intermediate values of the Paddle program, computed by Paddle itself in float64 and in its own float32.

The program's JSON is cut: values that are given become inputs, values that are asked for become outputs, and what
neither needs goes. So each operator can be given what a runtime's operator was given, and is judged by what it made of
that, not by what it inherited.
"""

from __future__ import annotations

import copy
import itertools
import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from convert.artifact import Artifact
from convert.common import typed, worker
from convert.common.errors import CheckFailed
from validate.bisect import paddle_program as programs
from validate.parity import float64
from validate.parity.reference import plain_predictor

_DTYPES = {"0.t_f32": "float32", "0.t_f64": "float64"}

Values = dict[int, np.ndarray]


@dataclass(frozen=True)
class ProgramRun:
    """A cut program with its parameters. given, wanted: .npy files by the names of its inputs and outputs."""

    program: str
    params: str
    dtype: str
    given: dict[str, str]
    wanted: dict[str, str]
    threads: int


@dataclass(frozen=True)
class PaddleActivations:
    """An artifact's Paddle program in both precisions. folder: existing, for files that live as long as it."""

    artifact: Artifact
    folder: Path
    threads: int

    @cached_property
    def _files(self) -> dict[str, tuple[Path, Path]]:
        """dtype -> program and parameters. InputError when the artifact's files are damaged."""
        wide = Path(tempfile.mkdtemp(dir=self.folder))
        own = self.artifact.paddle_program, self.artifact.paddle_params
        return {"float64": float64.write(self.artifact, wide), "float32": own}

    def compute(self, given: Mapping[int, Path], wanted: Sequence[int]) -> tuple[Values, Values]:
        """Values of the program, when others of its values are given: in float64, and in float32.

        given: value -> .npy file, the program's input among them; a given value that is wanted is computed all the
        same, from the other ones. Returns the wanted values, mapped from files in the folder. CheckFailed when Paddle
        does not run it.
        """
        if not wanted:
            return {}, {}
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        runs = []
        for dtype, (source, params) in self._files.items():
            program = folder / f"{dtype}.json"
            document = cut(json.loads(source.read_text(encoding="utf-8")), list(given), wanted)
            program.write_text(json.dumps(document), encoding="utf-8")
            inputs = {_given(value): str(file) for value, file in given.items()}
            outputs = {_wanted(value): str(folder / f"{dtype}-{value}.npy") for value in wanted}
            runs.append(ProgramRun(str(program), str(params), dtype, inputs, outputs, self.threads))
        try:
            worker.call("validate.bisect.paddle_activations:run_programs", {"runs": [typed.table(run) for run in runs]})
        except worker.JobError as error:
            raise CheckFailed(f"Paddle cannot run its own program: {error}") from None
        truth, paddle = (
            {value: np.load(run.wanted[_wanted(value)], mmap_mode="r") for value in wanted} for run in runs
        )
        return truth, paddle


def _mapped(files: Mapping[int, str]) -> Values:
    return {value: np.load(file, mmap_mode="r") for value, file in files.items()}


def run_programs(payload: dict[str, Any]) -> None:
    """The other side of `compute`: feeds, runs once with Paddle's plain kernels, writes what is wanted."""
    for run in (typed.read(ProgramRun, one) for one in payload["runs"]):
        predictor = plain_predictor(Path(run.program), Path(run.params), run.threads)
        for name in predictor.get_input_names():
            array = np.load(run.given[name], mmap_mode="r")
            predictor.get_input_handle(name).copy_from_cpu(np.ascontiguousarray(array, dtype=run.dtype))
        predictor.run()
        for name, file in run.wanted.items():
            np.save(file, predictor.get_output_handle(name).copy_to_cpu())
        del predictor


def cut(document: dict[str, Any], given: Sequence[int], wanted: Sequence[int]) -> dict[str, Any]:
    """The JSON of the program that computes the wanted values from the given ones."""
    document = copy.deepcopy(document)
    entries = programs.block(document)
    types = {value["%"]: value.get("TT", {}) for entry in entries for value in programs.results(entry)}
    (data,) = (entry for entry in entries if programs.kind_of(entry) in programs.INPUTS)
    (fetch,) = (entry for entry in entries if programs.kind_of(entry) in programs.OUTPUTS)
    free = itertools.count(max(types) + 1)
    numbers = dict(zip(given, free))  # noqa: B905 - as many as are needed
    feeds, fetches = [], []  # as the program's own ones are, under other names
    for value, number in numbers.items():
        element, shape, *_ = types[value]["D"]
        attributes = {"name": _given(value), "shape": shape, "dtype": _DTYPES[element["#"]]}
        feeds.append(_like(data, attributes, O=[{"%": number, "TT": types[value]}]))
    for column, value in enumerate(wanted):
        attributes, result = {"name": _wanted(value), "col": column}, {"%": next(free), "TT": types[value]}
        fetches.append(_like(fetch, attributes, I=[{"%": value}], O=[result]))
    kept = []
    needed = set(wanted)
    for entry in reversed(entries):
        # Parameters stay: Paddle finds them in the file by their order.
        if entry["#"] == programs.PARAMETER:
            kept.append(entry)
        elif entry not in (data, fetch) and needed.intersection(value["%"] for value in programs.results(entry)):
            for operand in entry.get("I", ()):
                operand["%"] = numbers.get(operand["%"], operand["%"])
                needed.add(operand["%"])
            kept.append(entry)
    parameters = [entry for entry in reversed(kept) if entry["#"] == programs.PARAMETER]
    rest = [entry for entry in reversed(kept) if entry["#"] != programs.PARAMETER]
    entries[:] = parameters + feeds + rest + fetches
    return document


def _given(value: int) -> str:
    return f"given_{value}"


def _wanted(value: int) -> str:
    return f"wanted_{value}"


def _like(entry: dict[str, Any], attributes: dict[str, Any], **rest: Any) -> dict[str, Any]:
    """An entry as another one is, but for these attributes by name, and operands or results."""
    own = [{**one, "AT": {**one["AT"], "D": attributes.get(one["N"], one["AT"]["D"])}} for one in entry["A"]]
    return {**entry, "A": own, **rest}
