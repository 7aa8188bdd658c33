"""What settings come to: efforts that make sense, and shares."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convert.common.errors import InputError
from runtimes.bench import command
from runtimes.bench.plan import plan_file, settings
from runtimes.bench.plan.settings import Policy
from runtimes.records import blank


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"processes": 0}, "--processes 0: at least 1 is needed"),
        ({"min_count": 0}, "--min-count 0: at least 1 is needed"),
        ({"min_s": -1.0}, "--min-seconds -1: nothing below zero makes sense"),
        ({"patience_s": float("nan")}, "--patience nan: nothing below zero makes sense"),
        ({"target": 0.0}, "--target 0: a share above 0 and below 1 is needed"),
        ({"min_s": 100.0}, "--max-seconds 60 is less than --min-seconds 100"),
    ],
)
def test_an_effort_that_makes_no_sense_is_refused_in_a_line(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(InputError) as error:
        Policy(**changes)
    assert error.value.message.startswith(reason)


def test_the_options_of_an_effort_give_it_again() -> None:
    assert Policy().arguments() == {}
    given = Policy(processes=3, min_s=2.0, max_s=9.0, target=0.05).arguments()
    assert blank.arguments(given) == [
        *("--processes", "3", "--min-seconds", "2.0", "--target", "0.05", "--max-seconds", "9.0")
    ]


@given(st.floats(0, 1, exclude_min=True, exclude_max=True))
def test_shares(value: float) -> None:
    assert settings.share(value) == settings.share(repr(value)) == value
    if 100 * value < 100:
        assert settings.share(f"{100 * value!r} %") == pytest.approx(value)


@pytest.mark.parametrize("value", ["", "%", "1", 1, "0%", "100%", "nan", "-1%", "1 per cent", float("inf")])
def test_what_is_no_share(value: Any) -> None:
    with pytest.raises(ValueError, match="is no share"):
        settings.share(value)


def test_every_key_of_a_plan_file_is_an_option_of_the_command() -> None:
    flags = {param.opts[0] for param in command.main.params}
    declared = {**plan_file.OF_MATRIX, **plan_file.OF_PLAN}
    assert {setting.flag for setting in declared.values()} <= flags
    assert flags - {setting.flag for setting in declared.values()} == {
        *("--plan", "--out", "--resume", "--fresh", "--dry-run", "--json", "--cluster")
    }
    assert all(key == setting.key for key, setting in declared.items())


def test_a_rate_of_a_server_ends_by_its_percentile_unless_a_maximum_is_asked_for() -> None:
    assert Policy().visit("latency").max_s == 30.0
    assert Policy().visit("server").max_s >= 3600
    assert Policy(max_s=8.0).visit("server").max_s == 8.0, "of each rate, and there is one process"
    typed = settings.policy({"max_seconds": Policy().most_s})
    assert typed.visit("server").max_s == 60.0, "also where it is the number of the default"
    assert "max_seconds" in typed.arguments()
