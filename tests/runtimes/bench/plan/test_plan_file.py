"""Plans from TOML files: what they come to, and the line that a mistake gets."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convert.common.errors import InputError
from runtimes.bench.plan import plan_file, settings
from runtimes.bench.plan.settings import Policy, policy
from runtimes.options import Selection
from tests.runtimes.bench import on_paper

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FILE, ROOT = Path("plan.toml"), Path("artifacts")


@pytest.fixture(autouse=True)
def selection(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """What runtimes were asked for; every one of them is there."""
    seen: list[tuple[Any, ...]] = []

    def select(*arguments: Any) -> Selection:
        seen.append(arguments)
        chosen = arguments[0]
        return Selection([on_paper.runtime(name) for name in (chosen or "all").split(",")], chosen is not None)

    monkeypatch.setattr(settings, "select", select)
    return seen


def test_the_example_of_the_module(selection: list[tuple[Any, ...]]) -> None:
    assert plan_file.__doc__
    example = plan_file.__doc__.split("\n\n")
    plan = plan_file.parse("\n\n".join(example[1:4]), FILE, ROOT)
    assert policy(plan.effort) == Policy(target=0.01)
    one, other = plan.matrices
    assert (one.model, one.batch, one.threads, one.mode) == (("ViT_base_patch32_384",), (1, 8), (1, 2), ("latency",))
    assert (other.model, other.mode) == (("ViT_base_patch32_384",), ("throughput",))
    assert [runtimes for runtimes, *_ in selection] == ["ort-cpu,openvino", "openvino"]


def test_tables_take_what_the_top_says_and_have_the_last_word(selection: list[tuple[Any, ...]]) -> None:
    plan = plan_file.parse(
        """
        min_seconds = 2
        target = "0.5%"
        seed = 7
        batch = 4
        weights = "seeded:1"
        preprocessing = "imagenet; resize_short=240"
        artifacts = "there"
        option = "mnn.gelu=tanh"
        cache = "kept"
        [[matrix]]
        [[matrix]]
        mode = ["server"]
        latency_bound = 12.5
        percentile = 90
        batch = 1
        """,
        FILE,
        ROOT,
    )
    assert (plan.seed, policy(plan.effort)) == (7, Policy(min_s=2, target=0.005))
    assert policy(plan.effort, {"target": 0.1, "min_seconds": None}) == Policy(min_s=2, target=0.1), (
        "the command line has the last word"
    )
    first, second = plan.matrices
    assert (first.batch, first.batches_given, first.weights, first.artifacts) == ((4,), True, "seeded:1", "there")
    assert [matrix.chosen.preprocessing for matrix in plan.matrices] == ["imagenet; resize_short=240"] * 2
    assert (second.batch, second.mode, second.latency_bound, second.percentile) == ((1,), ("server",), 12.5, 90)
    assert selection == [(None, None, None, None, Path("kept"), ("mnn.gelu=tanh",))] * 2


def test_without_a_table_the_top_is_the_matrix() -> None:
    (matrix,) = plan_file.parse('model = ["ViT_base_patch32_384", "all"]\nbatch = [8, 8, 2]', FILE, Path("a")).matrices
    assert (len(matrix.model), matrix.batch, matrix.artifacts) == (7, (8, 2), "a")
    (matrix,) = plan_file.parse("", FILE, Path("a")).matrices
    assert (matrix.model, matrix.batch, matrix.batches_given) == (("ViT_base_patch32_384",), (1, 4, 8), False)
    assert (matrix.precision, matrix.mode, matrix.threads) == (("fp32",), ("latency",), (None,))


def test_devices_and_streams_are_axes_too(selection: list[tuple[Any, ...]]) -> None:
    plan = plan_file.parse('device = ["CPU", "GPU"]\nstreams = [1, 2]\nruntime = "openvino"', FILE, ROOT)
    (matrix,) = plan.matrices
    assert len(matrix.selections) == 4
    assert [(device, streams) for _, device, _, streams, *_ in selection] == [
        ("CPU", 1),
        ("CPU", 2),
        ("GPU", 1),
        ("GPU", 2),
    ]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("model = ", "plan.toml: no TOML: "),
        ("modle = 'x'", "plan.toml, above the matrices: unknown key 'modle': did you mean mode or model?"),
        ("[[matrix]]\n[[matrix]]\nbatches = 1", "plan.toml, [[matrix]] 2: unknown key 'batches': did you mean b"),
        ("[[matrix]]\nxyz = 1", "plan.toml, [[matrix]] 1: unknown key 'xyz': there are model, runtime, precision"),
        ("[[matrix]]\ntarget = 0.1", "plan.toml, [[matrix]] 1: target is for the whole plan; put it above the first"),
        ("[matrix]\nbatch = 1", "plan.toml: a matrix begins with [[matrix]], in two pairs of brackets"),
        ("matrix = []", "plan.toml: a matrix begins with [[matrix]]"),
        ("batch = '1,4'", "plan.toml, above the matrices: batch = '1,4': a whole number, or a list of that is needed"),
        ("batch = [1, true]", "plan.toml, above the matrices: batch = True: a whole number, or a list of that"),
        ("batch = [1, [2]]", "plan.toml, above the matrices: batch = [2]: a whole number, or a list of that"),
        ("batch = []", "plan.toml, above the matrices: batch is an empty list"),
        ("weights = ['a']", "plan.toml, above the matrices: weights = ['a']: text in quotes is needed"),
        ("min_seconds = 'x'", "plan.toml, above the matrices: min_seconds = 'x': a number is needed"),
        ("target = [1]", 'plan.toml, above the matrices: target = [1]: a share, as 0.01 or "1%" is needed'),
        ("target = 2", "plan.toml, above the matrices: target: 2 is no share above 0 and below 1"),
        ("target = 'x%'", "plan.toml, above the matrices: target: 'x%' is no share"),
        ("processes = 0", "plan.toml, above the matrices: --processes 0: at least 1 is needed"),
        ("[[matrix]]\nmode = 'fast'", "plan.toml, [[matrix]] 1: --mode fast: choose from latency"),
        ("[[matrix]]\nmodel = 'ViT_basee'", "plan.toml, [[matrix]] 1: unknown model ViT_basee"),
        ("precision = 'fp31'", "plan.toml, [[matrix]] 1: --precision 'fp31': fp31 is none of"),
        ("batch = 0", "plan.toml, [[matrix]] 1: --batch 0: whole numbers above zero are needed"),
    ],
)
def test_a_mistake_is_told_in_a_line_that_names_the_place(text: str, reason: str) -> None:
    with pytest.raises(InputError) as error:
        plan_file.parse(text, FILE, ROOT)
    assert error.value.message.startswith(reason)
    assert "\n" not in error.value.message


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    for path, content in ((tmp_path / "none.toml", None), (tmp_path / "bytes.toml", b"\xff\xfe")):
        if content:
            path.write_bytes(content)
        with pytest.raises(InputError, match="no plan can be read there"):
            plan_file.load(path, ROOT)


SCALARS = st.one_of(st.text(), st.integers(-(2**63), 2**63 - 1), st.floats(), st.booleans())
KEYS = st.one_of(st.sampled_from([*plan_file.OF_MATRIX, *plan_file.OF_PLAN, "matrix"]), st.text())
TABLES = st.dictionaries(KEYS, st.one_of(SCALARS, st.lists(SCALARS, max_size=3)), max_size=4)


@given(TABLES, st.lists(TABLES, max_size=3))
def test_whatever_stands_in_a_file_is_a_plan_or_a_line(top: dict[str, Any], tables: list[dict[str, Any]]) -> None:
    def load_tables(text: str) -> dict[str, Any]:
        return {**top, **({"matrix": [dict(table) for table in tables]} if tables else {})}

    original, tomllib.loads = tomllib.loads, load_tables  # type: ignore[assignment]
    try:
        plan, told = plan_file.parse("", FILE, ROOT), None
    except InputError as error:
        plan, told = None, error.message
    finally:
        tomllib.loads = original
    if plan is None:
        assert str(told).startswith("plan.toml")
        assert "\n" not in str(told)
        return
    assert len(plan.matrices) == max(1, len(tables))
    assert isinstance(policy(plan.effort), Policy)


@given(st.text())
def test_whatever_text_is_a_plan_or_a_line(text: str) -> None:
    told = "plan.toml"
    try:
        plan_file.parse(text, FILE, ROOT)
    except InputError as error:
        told = error.message
    assert told.startswith("plan.toml")


def test_machines_have_prices(selection: list[tuple[Any, ...]]) -> None:
    plan = plan_file.parse('[[matrix]]\nwhere = "gpu"\n[[machine]]\nwhere = "gpu"\nprice = 2\n', FILE, ROOT, here=False)
    assert plan.matrices[0].where == "gpu"
    assert [(one.where, one.per_hour) for one in plan.prices] == [("gpu", 2.0)]
    assert plan.of_clusters == "where"
    assert selection == [], "the runtimes of this machine do not matter"
    assert plan_file.parse('[[machine]]\nwhere = "gpu"\nprice = 2\n', FILE, ROOT).of_clusters == "price"
    assert plan_file.parse("batch = 1\n", FILE, ROOT).of_clusters is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("machine = 1\n", r"a machine begins with \[\[machine\]\]"),
        ("[[machine]]\nprice = 1\n", r"\[\[machine\]\] 1: where, as a matrix says it, and price"),
        ('[[machine]]\nwhere = "gpu"\nprice = 0\n', "above zero"),
        ('[[machine]]\nwhere = "gpu"\nprice = inf\n', "above zero"),
        ('[[machine]]\nwhere = "gpu"\nprise = 1\n', "unknown key 'prise': did you mean price"),
        ('[[machine]]\nwhere = "gpu"\nprice = "1"\n', "a number is needed"),
    ],
)
def test_mistakes_in_a_machine(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        plan_file.parse(text, FILE, ROOT)
