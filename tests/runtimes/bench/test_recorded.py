"""The command in a record, read back whole: it asks for that cell and nothing else, as hard as it was tried."""

from __future__ import annotations

import shlex
from dataclasses import astuple, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from convert import cli
from convert.artifact import Artifact
from convert.model_options import ModelOptions
from runtimes import registry
from runtimes.base import usable_cores
from runtimes.bench import command
from runtimes.bench.plan import settings
from runtimes.bench.plan.matrix import Cell, cells, key
from runtimes.bench.plan.plan_file import OF_PLAN
from runtimes.bench.plan.settings import Matrix, Policy, policy
from runtimes.bench.schedule.aggregate import blank
from tests.runtimes.bench import on_paper

OWN = {"paddle": "paddle.kernels=plain", "openvino": "openvino.shapes=static", "mnn": "mnn.gelu=tanh"}
NAMES = st.sampled_from(["vit", "a b/model.toml", "it's", "-x", "größe"])


@st.composite
def asked(draw: st.DrawFn) -> dict[str, Any]:
    """What a plan file may say, by `Matrix`' own names."""
    runtime = draw(st.sampled_from(["ort-cpu", *OWN]))
    several = st.lists(st.integers(1, 64), min_size=1, max_size=3, unique=True).map(tuple)
    mode = draw(st.sampled_from(["latency", "throughput", "server"]))
    found: dict[str, Any] = {
        "model": (draw(NAMES),),
        "runtime": (runtime,),
        "precision": (draw(st.sampled_from(registry.get(runtime).precisions)),),
        "mode": (mode,),
        "option": (OWN[runtime],) if runtime in OWN and draw(st.booleans()) else (),
        "device": (draw(st.sampled_from([None, "CPU"])),),
        "threads": (draw(st.sampled_from([None, 1, usable_cores()])),),
        "streams": (draw(st.sampled_from([None, 1, 3])),),
        "cache": draw(st.sampled_from([None, "kept here"])),
        "name": draw(st.sampled_from([None, "my vit", "größe"])),
        "weights": draw(st.sampled_from([None, "seeded:3", "my weights.npz"])),
        "weights_key": draw(st.sampled_from([None, "model_ema"])),
        "batch": (1,) if mode == "server" else draw(several),
        "batches_given": True,
    }
    if mode == "server":
        found |= {"latency_bound": draw(st.sampled_from([None, 0.5, 100.0]))}
        found |= {"percentile": draw(st.sampled_from([None, 90, 99]))}
    return found


@st.composite
def tries(draw: st.DrawFn) -> Policy:
    least = draw(st.sampled_from([0.0, 1.5, 5.0]))
    return Policy(
        processes=draw(st.integers(1, 5)),
        min_s=least,
        min_count=draw(st.integers(1, 1000)),
        target=draw(st.sampled_from([0.01, 0.1, 0.005, 1e-5])),
        max_s=least + draw(st.sampled_from([0.0, 12.0, 1e6])),
        patience_s=draw(st.sampled_from([0.0, 30.0, 0.1])),
        repeats=draw(st.integers(0, 3)),
        minutes=draw(st.sampled_from([0.0, 2.4, 1e-3])),
    )


def artifacts(models: str, chosen: ModelOptions, precision: str, root: Path, *_: object) -> dict[str, Artifact]:
    """What is there after a conversion: the manifest knows what was asked for."""
    weights = {"kind": "seeded", "source": chosen.weights or "seeded:0", "sha256": "0", "note": "", "key": None}
    weights |= {"requested": chosen.weights or "auto", "key": chosen.weights_key}
    return {models: on_paper.artifact(chosen.name or "vit", weights=weights, precision=precision)}


def read_back(line: str) -> tuple[tuple[Cell, ...], Policy]:
    """The cells and the policy of a command line."""
    start, dash_m, module, *words = shlex.split(line)
    assert (start, dash_m, module) == ("python", "-m", "runtimes.bench")
    context = command.main.make_context("bench", words)
    given_here = {command._key(param): context.params[param.name or ""] for param in context.command.params}
    matrix = Matrix.from_options(given_here, "batch" in command._typed(context))
    return cells([matrix]), policy({key: given_here[key] for key in OF_PLAN if key != "seed"})


@examples(max_examples=50, deadline=None)
@given(asked(), tries())
def test_the_command_of_a_record_asks_for_that_cell_and_nothing_else(said: dict[str, Any], tried: Policy) -> None:
    here = patch.object(registry, "available", lambda names, *_: [registry.get(name) for name in names])
    with patch.object(cli, "artifacts", artifacts), patch.object(settings, "find"), here:
        for cell in cells([Matrix(**said)]):
            again, how_hard = read_back(blank(cell, "", tried).command)
            assert [key(one, "") for one in again] == [key(cell, "")]
            assert how_hard == tried
            (one,) = again
            assert one.argument == cell.argument
            assert astuple(replace(one.chosen, weights=None)) == astuple(replace(cell.chosen, weights=None))
            assert one.options.cache == cell.options.cache
            assert one.artifact.manifest.weights.source == cell.artifact.manifest.weights.source
