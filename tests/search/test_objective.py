from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omniforge.errors import SpecError, UnknownNameError
from omniforge.search import Objective
from omniforge.search.objective import check_objectives

GOALS = {"accuracy": "max", "latency_ms": "min"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("accuracy", Objective("accuracy", "max")),
        ("accuracy:max", Objective("accuracy", "max")),
        ("latency_ms@local", Objective("latency_ms", "min", device="local")),
        ("latency_ms@cpu", Objective("latency_ms", "min", device="local")),
        ("latency_ms:min@edge-1<=5", Objective("latency_ms", "min", device="edge-1", bound=5.0)),
        ("accuracy>=0.9", Objective("accuracy", "max", bound=0.9)),
        (" accuracy : MAX @ edge >= 1e-3 * 2 ", Objective("accuracy", "max", device="edge", bound=1e-3, weight=2.0)),
        ("latency_ms<=5*0", Objective("latency_ms", "min", bound=5.0, weight=0.0)),
    ],
)
def test_parse_reads_every_part(text: str, expected: Objective) -> None:
    assert Objective.parse(text, goals=GOALS) == expected


def test_a_goal_follows_from_a_bound_when_the_metric_is_not_known() -> None:
    assert Objective.parse("loss<=0.5").goal == "min"
    assert Objective.parse("score>=0.5").goal == "max"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "cannot be read"),
        ("accuracy:best", "'best'"),
        ("accuracy:", "does not say its goal"),
        ("accuracy@", "cannot be read"),
        ("accuracy<=", "cannot be read"),
        ("accuracy<5", "'<'"),
        ("accuracy==5", "'=='"),
        ("accuracy:max<=0.5", "accuracy:max>=0.5"),
        ("latency_ms:min>=5", "latency_ms:min<=5"),
        ("accuracy:max*0", "weight 0 and no bound"),
        ("accuracy; drop", "cannot be read"),
        ("unknown", "does not say its goal"),
    ],
)
def test_parse_says_what_is_wrong(text: str, says: str) -> None:
    with pytest.raises(SpecError) as caught:
        Objective.parse(text)
    assert says in str(caught.value)


def test_an_unknown_metric_comes_with_near_names() -> None:
    with pytest.raises(UnknownNameError, match="metric named 'acuracy'") as caught:
        Objective.parse("acuracy:max", goals=GOALS)
    assert caught.value.nearest == ("accuracy",)


@pytest.mark.property
@given(
    metric=st.from_regex(r"[A-Za-z_][A-Za-z0-9_.\-]{0,8}", fullmatch=True),
    goal=st.sampled_from(["max", "min"]),
    device=st.none() | st.from_regex(r"[a-z][a-z0-9\-]{0,6}", fullmatch=True).filter(lambda name: name != "cpu"),
    bound=st.none() | st.floats(allow_nan=False, allow_infinity=False),
    weight=st.floats(0.001, 1e6),
)
def test_an_objective_survives_text_and_json(metric, goal, device, bound, weight) -> None:  # type: ignore[no-untyped-def]
    objective = Objective(metric, goal, device=device, bound=bound, weight=weight)
    assert Objective.parse(str(objective)) == objective
    assert Objective.from_dict(objective.to_dict()) == objective


def test_the_key_names_the_device_unless_it_is_this_machine() -> None:
    assert Objective("latency_ms", "min").key == "latency_ms"
    assert Objective("latency_ms", "min", device="local").key == "latency_ms"
    assert Objective("latency_ms", "min", device="cpu").key == "latency_ms"
    assert Objective("latency_ms", "min", device="edge").key == "latency_ms@edge"


def test_bounds_are_the_worst_that_is_accepted() -> None:
    at_most, at_least = Objective("t", "min", bound=5.0), Objective("a", "max", bound=0.9)
    assert at_most.satisfied(5.0)
    assert not at_most.satisfied(5.1)
    assert at_least.satisfied(0.9)
    assert not at_least.satisfied(0.89)
    assert not at_least.satisfied(math.nan)
    assert Objective("a", "max").satisfied(-1e9)
    assert (at_most.sign, at_least.sign) == (-1, 1)


@pytest.mark.parametrize(
    "fields",
    [
        {"goal": "maximize"},
        {"bound": math.inf},
        {"weight": -1.0},
        {"weight": 0.0},
        {"weight": math.nan},
        {"metric": "a b"},
        {"device": "x y"},
    ],
)
def test_impossible_fields_are_refused(fields: dict[str, object]) -> None:
    with pytest.raises(SpecError):
        Objective(**{"metric": "a", "goal": "max", **fields})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("mapping", "says"),
    [
        ({"goal": "max"}, "'metric'"),
        ({"metric": "a"}, "'goal'"),
        ({"metric": "a", "goal": "max", "limit": 3}, "'limit'"),
        ({"metric": "a", "goal": "max", "bound": "high"}, "numbers"),
    ],
)
def test_from_dict_names_the_field(mapping: dict[str, object], says: str) -> None:
    with pytest.raises(SpecError, match=says):
        Objective.from_dict(mapping)


def test_one_search_has_different_objectives_and_something_to_optimize() -> None:
    a, b = Objective("a", "max"), Objective("b", "min", bound=1.0, weight=0.0)
    assert check_objectives([a, b]) == (a, b)
    with pytest.raises(SpecError, match="at least one"):
        check_objectives([])
    with pytest.raises(SpecError, match="'a' is given twice"):
        check_objectives([a, Objective("a", "min", device="cpu")])
    with pytest.raises(SpecError, match="nothing to optimize"):
        check_objectives([b])
