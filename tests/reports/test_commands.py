"""Many commands as few."""

from __future__ import annotations

import itertools
import random
import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.commands import together

BENCH, ACCURACY = "python -m runtimes.bench", "python -m validate.accuracy"


@pytest.mark.parametrize("bench", [BENCH, "vitbench bench"])
def test_runtimes_batches_and_models_are_lists(bench: str) -> None:
    commands = [
        f"{bench} --model {model} --batch {batch} --min-count 6 --runtime {runtime}"
        for model in ("a", "b")
        for runtime in ("paddle", "mnn")
        for batch in (1, 8)
    ]
    assert together(commands) == (f"{bench} --model a,b --batch 1,8 --min-count 6 --runtime paddle,mnn",)


def test_what_differs_otherwise_stays_apart() -> None:
    commands = (
        f"{BENCH} --model a --runtime paddle --target 0.1",
        f"{BENCH} --model a --runtime mnn --target 0.2",
        f"{BENCH} --model a --runtime mnn --target 0.1 --option 'mnn.gelu=tanh'",
        f"{ACCURACY} --model a --runtime mnn --target 0.1",
    )
    assert together(commands) == commands


def test_a_batch_that_is_no_list_is_none() -> None:
    commands = (f"{ACCURACY} --model a --batch 4", f"{ACCURACY} --model a --batch 8")
    assert together(commands) == commands


def test_a_path_with_a_blank_stays_one_word() -> None:
    commands = [f"{BENCH} --model 'my models/a.toml' --runtime {runtime}" for runtime in ("paddle", "mnn")]
    assert together(commands) == (f"{BENCH} --model 'my models/a.toml' --runtime paddle,mnn",)


def test_what_no_shell_takes_stays_as_it_is() -> None:
    assert together(["make bench", "say 'hello"]) == ("make bench", "say 'hello")


def test_equal_ones_are_one() -> None:
    assert together([f"{BENCH} --model a"] * 3) == (f"{BENCH} --model a",)
    assert together([]) == ()


@given(
    st.sets(st.tuples(st.sampled_from("abc"), st.sampled_from("pqr"), st.sampled_from("148"), st.sampled_from("xy"))),
    st.randoms(use_true_random=False),
)
def test_no_cell_is_lost_and_none_is_added(cells: set[tuple[str, ...]], chance: random.Random) -> None:
    order = sorted(cells)
    chance.shuffle(order)
    made = together(f"{BENCH} --model {m} --runtime {r} --batch {b} --precision {p}" for m, r, b, p in order)
    stood_for = [
        cell
        for command in made
        for cell in itertools.product(*(value.split(",") for value in shlex.split(command)[4::2]))
    ]
    assert sorted(stood_for) == sorted(cells)
