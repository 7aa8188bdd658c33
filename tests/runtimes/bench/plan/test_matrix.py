"""The matrix that options come to, what is refused of it, and which cells are the same."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from convert import cli
from convert.artifact import Artifact
from convert.build import Request
from convert.common.errors import CheckFailed, InputError
from convert.families.spec import Preprocessing
from convert.model_options import ModelOptions
from runtimes.base import Options
from runtimes.bench.plan import settings
from runtimes.bench.plan.matrix import Cell, cannot_exist, cells, key
from runtimes.bench.plan.settings import Matrix
from runtimes.options import Selection
from tests.runtimes.bench import on_paper


@pytest.fixture(autouse=True)
def converted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every model is there."""

    def artifacts(models: str, weights: str | None, precision: str, root: Path, *_: Any) -> dict[str, Artifact]:
        return {model: on_paper.artifact(model) for model in models.split(",")}

    def select(runtimes: str | None, *_: Any) -> Selection:
        have = {"b": ("fp32", "bf16")}
        found = [on_paper.runtime(name, have.get(name, ("fp32",))) for name in (runtimes or "a,b").split(",")]
        return Selection(found, runtimes is not None)

    monkeypatch.setattr(cli, "artifacts", artifacts)
    monkeypatch.setattr(settings, "find", lambda model, root: None)
    monkeypatch.setattr(settings, "select", select)


def matrix(*runtimes: str, **changes: Any) -> Matrix:
    return Matrix(**{"model": ("vit",), "runtime": runtimes or ("a",), "batch": (1,), **changes})


def test_every_combination_is_a_cell_in_the_order_asked_for() -> None:
    found = cells([matrix("a", "b", model=("x", "y"), batch=(4, 8), threads=(1, 2))])
    assert [(c.argument, c.runtime.name, c.options.threads, c.batch) for c in found] == [
        (model, runtime, threads, batch) for model in "xy" for runtime in "ab" for threads in (1, 2) for batch in (4, 8)
    ]


def test_each_cell_asks_for_all_batches_of_its_model() -> None:
    apart = [
        matrix(model=("x",), batch=(8,)),
        matrix(model=("x",), mode=("throughput",), batch=(2, 16)),
        matrix(model=("y",), batch=(3,)),
    ]
    assert [(c.argument, c.options.batches) for c in cells(apart)] == [
        ("x", (1, 2, 8, 16)),
        ("x", (1, 2, 8, 16)),
        ("y", (1, 3)),
    ]


def test_modes_other_than_latency_have_one_cell_whatever_the_batches() -> None:
    found = cells([matrix(mode=("latency", "throughput", "server"), batch=(8, 2), latency_bound=50.0)])
    assert [(c.mode, c.batch, dict(c.mode_options)) for c in found] == [
        ("latency", 8, {}),
        ("latency", 2, {}),
        ("throughput", 1, {"batches": [2, 8]}),
        ("server", 1, {"latency_bound_ms": 50.0, "percentile": 99}),
    ]


def test_a_cell_in_two_matrices_is_measured_once() -> None:
    found = cells([matrix("a", "b"), matrix("b", batch=(1, 4))])
    assert [(c.runtime.name, c.batch) for c in found] == [("a", 1), ("b", 1), ("b", 4)]


def test_a_runtime_that_nobody_named_is_left_out_where_it_lacks_the_precision() -> None:
    both: dict[str, Any] = {"precision": ("fp32", "bf16")}
    found = cells([matrix(runtime=None, **both)])
    assert [(c.precision, c.runtime.name) for c in found] == [("fp32", "a"), ("fp32", "b"), ("bf16", "b")]
    with pytest.raises(InputError, match=r"^no runtime here has "):
        cells([matrix(runtime=None, precision=("int8",))])


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"mode": ("latency", "fast")}, "--mode fast: choose from latency, throughput, server"),
        ({"mode": ()}, "--mode (nothing): choose from latency"),
        ({"batch": (1, 0)}, "--batch 0: whole numbers above zero are needed"),
        ({"threads": (None, -2)}, "--threads -2: whole numbers above zero are needed"),
        ({"model": ()}, "no model given"),
        ({"latency_bound": 5.0}, "--latency-bound 5: only mode server has it; add --mode server"),
        ({"percentile": 90}, "--percentile 90: only mode server has it; add --mode server"),
        ({"mode": ("server",), "latency_bound": 0.0}, "--latency-bound 0: milliseconds above zero are needed"),
        ({"mode": ("server",), "latency_bound": float("nan")}, "--latency-bound nan: milliseconds above zero"),
        ({"mode": ("server",), "latency_bound": 9.0, "percentile": 50}, "--percentile 50: choose from 90, 99"),
        (
            {"mode": ("server",), "latency_bound": 9.0, "batch": (1, 4), "batches_given": True},
            "--batch 1,4: mode server sends one image at a time",
        ),
    ],
)
def test_a_matrix_that_makes_no_sense_is_refused_in_a_line(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(InputError) as error:
        matrix(**changes)
    assert error.value.message.startswith(reason)
    assert "\n" not in error.value.message


OPTIONS = Options(threads=2, batches=(1, 8))
ANOTHER: dict[str, Callable[[Cell], Cell]] = {
    "artifact": lambda c: dataclasses.replace(c, artifact=on_paper.artifact("other")),
    "runtime": lambda c: dataclasses.replace(c, runtime=on_paper.runtime("mnn")),
    "runtime's version": lambda c: dataclasses.replace(c, runtime=on_paper.runtime(distributions=("click",))),
    "precision": lambda c: dataclasses.replace(c, options=dataclasses.replace(OPTIONS, precision="bf16")),
    "device": lambda c: dataclasses.replace(c, options=dataclasses.replace(OPTIONS, device="GPU")),
    "threads": lambda c: dataclasses.replace(c, options=dataclasses.replace(OPTIONS, threads=1)),
    "streams": lambda c: dataclasses.replace(c, options=dataclasses.replace(OPTIONS, streams=2)),
    "settings": lambda c: dataclasses.replace(c, options=dataclasses.replace(OPTIONS, extra={"gelu": "tanh"})),
    "batch": lambda c: dataclasses.replace(c, batch=8),
    "mode": lambda c: dataclasses.replace(c, mode="server"),
    "mode's options": lambda c: dataclasses.replace(c, mode_options={"percentile": 90}),
}
SAME: dict[str, Callable[[Cell], Cell]] = {
    "name that the user gave": lambda c: dataclasses.replace(c, argument="./vit.toml"),
    "folder": lambda c: dataclasses.replace(c, artifact=on_paper.artifact(folder=Path("elsewhere"))),
    "cache": lambda c: dataclasses.replace(c, options=dataclasses.replace(OPTIONS, cache="there")),
    "other cells' batches": lambda c: dataclasses.replace(c, options=dataclasses.replace(OPTIONS, batches=(1, 2))),
    "default spelled out": lambda c: dataclasses.replace(
        c, options=dataclasses.replace(OPTIONS, extra={"gelu": "erf"})
    ),
}


@pytest.mark.parametrize("what", [*ANOTHER, *SAME, "machine"])
def test_what_can_change_a_number_makes_another_key_and_nothing_else_does(what: str) -> None:
    cell = on_paper.cell(options=OPTIONS)
    changes: dict[str, Callable[[Cell], Cell]] = {**ANOTHER, **SAME, "machine": lambda c: c}
    changed = changes[what](cell)
    assert (key(cell, "m") == key(changed, "n" if what == "machine" else "m")) is (what in SAME)


def test_what_is_compiled_for_batches_is_another_cell_with_others() -> None:
    one, other = (on_paper.cell(options=Options(device="GPU", batches=batches)) for batches in ((1, 8), (1, 4)))
    assert key(one, "m") != key(other, "m")


def test_every_core_is_the_same_as_their_number() -> None:
    count = Options().thread_count()
    assert key(on_paper.cell(options=Options()), "m") == key(on_paper.cell(options=Options(threads=count)), "m")


def test_a_cell_says_what_it_is_and_what_a_command_needs_to_ask_for_it() -> None:
    options = Options("fp32", "GPU", 2, 3, (1, 8), "kept", {"gelu": "tanh"})
    cell = on_paper.cell(options=options, batch=8)
    assert cell.name == "vit fp32 on ort-cpu, GPU, 2 threads, batch 8"
    assert cell.selection.arguments([cell.runtime]) == {
        "runtime": "ort-cpu",
        "device": "GPU",
        "threads": 2,
        "streams": 3,
        "cache": Path("kept"),
        "option": ["ort-cpu.gelu=tanh"],
    }
    assert cell.selection.options(cell.runtime, "fp32", options.batches) == options


def test_two_preprocessings_do_not_fit_into_one_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    def artifacts(models: str, chosen: ModelOptions, precision: str, root: Path, *_: Any) -> dict[str, Artifact]:
        made = on_paper.artifact(models)
        side = 32 if chosen.preprocessing is None else 40
        return {
            models: dataclasses.replace(
                made, manifest=dataclasses.replace(made.manifest, preprocessing=Preprocessing(side, 32))
            )
        }

    monkeypatch.setattr(cli, "artifacts", artifacts)
    with pytest.raises(InputError, match="asked for with --preprocessing None and with resize_short=40"):
        cells([matrix(), matrix(preprocessing="resize_short=40")])


def test_two_weights_do_not_fit_into_one_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    def artifacts(models: str, weights: str | None, precision: str, root: Path, *_: Any) -> dict[str, Artifact]:
        return {models: on_paper.artifact(models, files={"model.onnx": {"bytes": 1, "sha256": str(weights)}})}

    monkeypatch.setattr(cli, "artifacts", artifacts)
    with pytest.raises(InputError, match="asked for with --weights seeded:1 and with seeded:2"):
        cells([matrix(weights="seeded:1"), matrix(weights="seeded:2")])


class TestFixedBatch:
    """A model that was exported with a batch of 3."""

    @pytest.fixture(autouse=True)
    def exported(self, monkeypatch: pytest.MonkeyPatch) -> None:
        ports = [{"name": "x", "dtype": "float32", "shape": [3, 3, 32, 32]}]
        found = {"fixed": on_paper.artifact("fixed", inputs=ports), "free": on_paper.artifact("free")}
        monkeypatch.setattr(cli, "artifacts", lambda models, *_: {name: found[name] for name in models.split(",")})

    def test_defaults_narrow_to_it(self) -> None:
        found = cells([matrix(model=("fixed", "free"), batch=(1, 4))])
        assert [(c.argument, c.batch, c.options.batches) for c in found] == [
            ("fixed", 3, (3,)),
            ("free", 1, (1, 4)),
            ("free", 4, (1, 4)),
        ]
        assert not any(cell.impossible for cell in found)

    def test_a_batch_that_is_named_and_not_possible_is_a_cell_with_a_reason(self) -> None:
        found = cells([matrix(model=("fixed",), batch=(3, 5), batches_given=True)])
        assert [(c.batch, c.options.batches, bool(c.impossible)) for c in found] == [(3, (3,), False), (5, (3,), True)]
        assert str(found[1].impossible).startswith("exported with a fixed batch of 3: batch 5 is not possible")
        (alone,) = cells([matrix(model=("fixed",), batch=(5,), batches_given=True)])
        assert alone.impossible

    def test_a_search_has_that_batch_alone(self) -> None:
        (found,) = cells([matrix(model=("fixed",), mode=("throughput",), batch=(1, 4))])
        assert (found.batch, found.mode_options["batches"], found.impossible) == (3, [3], None)
        (found,) = cells([matrix(model=("fixed",), mode=("throughput",), batch=(2, 4), batches_given=True)])
        assert found.impossible

    def test_one_image_at_a_time_is_not_possible(self) -> None:
        (found,) = cells([matrix(model=("fixed",), mode=("server",))])
        assert found.impossible


def test_what_cannot_exist_is_no_cell_and_is_named_once() -> None:
    asked = [matrix("a", "b", precision=("fp32", "bf16"), batch=(1, 8)), matrix("a", precision=("bf16", "int8"))]
    assert {(c.runtime.name, c.precision) for c in cells(asked)} == {("a", "fp32"), ("b", "fp32"), ("b", "bf16")}
    assert cannot_exist(asked) == ("a has no bf16 and no int8 here, only fp32",)
    assert cannot_exist([matrix("a", "b")]) == ()
    assert cannot_exist([matrix(runtime=None, precision=("bf16", "fp16"))]) == ("no runtime here has fp16",)
    with pytest.raises(InputError, match=r"^a has no bf16 here, only fp32: `python"):
        cells([matrix("a", precision=("bf16",))])


def test_an_artifact_that_cannot_be_made_costs_the_others_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def obtained(request: Request) -> tuple[Artifact, bool]:
        if request.precision == "bf16":
            raise CheckFailed("net: bf16 failed: nothing in it can be lowered")
        return on_paper.artifact(request.model), True

    monkeypatch.undo()
    monkeypatch.setattr(settings, "find", lambda model, root: None)
    monkeypatch.setattr(settings, "select", lambda *_: Selection([on_paper.runtime("a", ("fp32", "bf16"))], True))
    monkeypatch.setattr(cli, "find", lambda model, root: None)
    monkeypatch.setattr(cli, "find_all", lambda models: [models])
    monkeypatch.setattr(cli, "all_called", lambda *_: None)
    monkeypatch.setattr(cli, "obtain_loudly", obtained)
    unmade: list[str] = []
    assert [cell.precision for cell in cells([matrix(precision=("bf16", "fp32"))], None, unmade)] == ["fp32"]
    assert unmade == ["net: bf16 failed: nothing in it can be lowered"]
    with pytest.raises(CheckFailed, match="nothing in it can be lowered"):
        cells([matrix(precision=("bf16",))], None, [])
