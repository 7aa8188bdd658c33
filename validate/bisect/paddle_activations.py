"""Intermediate values of the Paddle program, computed by Paddle itself in float64 and in its own float32.

The program's JSON is cut: values that are given become inputs, values that are asked for become outputs, and what
neither needs goes. So each operator can be given what a runtime's operator was given, and is judged by what it made of
that, not by what it inherited.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from convert.artifact import Artifact
from convert.common import isolate, typed
from convert.common.errors import CheckFailed
from validate.bisect import paddle_program as programs
from validate.parity import float64
from validate.parity.reference import plain_predictor

_DOUBLE, _SINGLE = "float64", "float32"
_ENDS = ("data", "feed", "fetch", "shadow_output")
_DTYPES = {"0.t_f32": "float32", "0.t_f64": "float64"}


@dataclass(frozen=True)
class PaddleActivations:
    """An artifact's Paddle program in both precisions, in a folder of its own. Make it with `prepare`."""

    folder: Path
    files: Mapping[str, tuple[Path, Path]]  # dtype -> program, parameters


def prepare(artifact: Artifact, folder: Path) -> PaddleActivations:
    """Write the float64 program into an existing folder. InputError when the artifact's files are damaged."""
    wide = folder / _DOUBLE
    wide.mkdir()
    return PaddleActivations(
        folder,
        {_DOUBLE: float64.write(artifact, wide), _SINGLE: (artifact.paddle_program, artifact.paddle_params)},
    )


def compute(
    paddle: PaddleActivations, given: Mapping[int, Path], wanted: Collection[int], threads: int
) -> tuple[dict[int, np.ndarray], dict[int, np.ndarray]]:
    """Values of the program, when others of its values are given: in float64, and in float32.

    given: value -> .npy file, the program's input among them; a given value that is wanted is computed all the same,
    from the other ones. Returns the wanted values, mapped from files in the folder. CheckFailed when Paddle does not
    run it.
    """
    folder = Path(tempfile.mkdtemp(dir=paddle.folder))
    files = {dtype: {value: folder / f"{dtype}-{value}.npy" for value in wanted} for dtype in paddle.files}
    runs = []
    for dtype, (source, params) in paddle.files.items():
        program = folder / f"{dtype}.json"
        document = cut(json.loads(source.read_text(encoding="utf-8")), given, wanted)
        program.write_text(json.dumps(document), encoding="utf-8")
        outputs = {_wanted(value): str(file) for value, file in files[dtype].items()}
        runs.append(ProgramRun(str(program), str(params), dtype, outputs))
    job = ActivationsJob(runs, {_given(value): str(file) for value, file in given.items()}, threads)
    try:
        isolate.call("validate.bisect.paddle_activations:run_job", typed.table(job))
    except isolate.JobError as error:
        raise CheckFailed(f"Paddle cannot run its own program: {error}") from None
    double_precision, single = (
        {value: np.load(file, mmap_mode="r") for value, file in files[dtype].items()} for dtype in (_DOUBLE, _SINGLE)
    )
    return double_precision, single


@dataclass(frozen=True)
class ProgramRun:
    """A cut program with its parameters, in a precision. outputs: name -> the .npy file to write it to."""

    program: str
    params: str
    dtype: str
    outputs: dict[str, str]


@dataclass(frozen=True)
class ActivationsJob:
    """What `run_job` is to do. given: .npy files by the names of inputs."""

    runs: list[ProgramRun]
    given: dict[str, str]
    threads: int


def run_job(payload: dict[str, Any]) -> dict[str, Any]:
    """The other side of `compute`: feeds, runs once with Paddle's plain kernels, writes what is wanted."""
    job = typed.read(ActivationsJob, payload)
    for run in job.runs:
        predictor = plain_predictor(Path(run.program), Path(run.params), job.threads)
        for name in predictor.get_input_names():
            array = np.load(job.given[name], mmap_mode="r")
            predictor.get_input_handle(name).copy_from_cpu(np.ascontiguousarray(array, dtype=run.dtype))
        predictor.run()
        for name, file in run.outputs.items():
            np.save(file, predictor.get_output_handle(name).copy_to_cpu())
        del predictor
    return {}


def cut(document: dict[str, Any], given: Collection[int], wanted: Collection[int]) -> dict[str, Any]:
    """The JSON of the program that computes the wanted values from the given ones."""
    entries = programs.block(document)
    types = {value["%"]: value.get("TT") for entry in entries for value in programs.results(entry)}
    number = max(types) + 1
    numbers = dict(zip(given, range(number, number + len(given)), strict=True))
    feeds = [_feed(value, numbers[value], types[value]) for value in given]
    start = number + len(given)
    fetches = [_fetch(value, column, start + column, types[value]) for column, value in enumerate(wanted)]
    kept: list[dict[str, Any]] = []
    needed = set(wanted)
    for entry in reversed(entries):
        if programs.kind_of(entry) in _ENDS:
            continue
        if entry["#"] != "p" and not any(value["%"] in needed for value in programs.results(entry)):
            continue  # parameters stay: Paddle finds them in the file by their order
        entry = {**entry, "I": [dict(value) for value in entry.get("I", ())]} if "I" in entry else entry
        for operand in entry.get("I", ()):
            operand["%"] = numbers.get(operand["%"], operand["%"])
            needed.add(operand["%"])
        kept.append(entry)
    parameters = [entry for entry in reversed(kept) if entry["#"] == "p"]
    rest = [entry for entry in reversed(kept) if entry["#"] != "p"]
    (region,) = document["program"]["regions"]
    (only,) = region["blocks"]
    changed = {**region, "blocks": [{**only, "ops": parameters + feeds + rest + fetches}]}
    return {**document, "program": {**document["program"], "regions": [changed]}}


def _given(value: int) -> str:
    return f"given_{value}"


def _wanted(value: int) -> str:
    return f"wanted_{value}"


def _feed(value: int, number: int, kind: Any) -> dict[str, Any]:
    element, shape, *_ = kind["D"]
    return {
        "#": "1.data",
        "A": [
            _attribute("name", "0.a_str", _given(value)),
            _attribute("shape", "1.a_intarray", shape),
            _attribute("dtype", "1.a_dtype", _DTYPES[element["#"]]),
            _attribute("place", "1.a_place", [0, 0, ""]),
        ],
        "I": [],
        "O": [{"%": number, "TT": kind}],
        "OA": [_flag("stop_gradient")],
    }


def _fetch(value: int, column: int, number: int, kind: Any) -> dict[str, Any]:
    return {
        "#": "1.fetch",
        "A": [_attribute("name", "0.a_str", _wanted(value)), _attribute("col", "0.a_i32", column)],
        "I": [{"%": value}],
        "O": [{"%": number, "TT": kind}],
        "OA": [_flag("persistable"), _flag("stop_gradient")],
    }


def _attribute(name: str, kind: str, value: Any) -> dict[str, Any]:
    return {"AT": {"#": kind, "D": value}, "N": name}


def _flag(name: str) -> dict[str, Any]:
    return _attribute(name, "0.a_array", [{"#": "0.a_bool", "D": True}])
