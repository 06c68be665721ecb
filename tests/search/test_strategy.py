from __future__ import annotations

import json

import pytest
from conformance.strategy_suite import ACCURACY, CELLS, CHANGES, CONDITIONAL, measure

from omniforge.errors import SpecError, UnknownNameError
from omniforge.search import Reward, SearchStrategy, strategies, strategy
from omniforge.search.strategy import STRATEGIES, build, check_integer


def test_every_name_makes_a_strategy() -> None:
    assert {"auto", "bo", "evolution", "random", "sobol"} <= set(strategies())
    for name in strategies():
        if name != "seeded":
            assert isinstance(strategy(name), SearchStrategy)
    assert isinstance(strategy(), SearchStrategy)
    assert strategy("auto") is not strategy("auto")


def test_a_mapping_carries_options() -> None:
    assert isinstance(strategy({"evolution": {"population_size": 9}}), SearchStrategy)
    assert isinstance(strategy({"random": None}), SearchStrategy)


def test_an_unknown_name_comes_with_near_ones() -> None:
    with pytest.raises(UnknownNameError, match="no strategy named 'evolutoin'") as caught:
        strategy("evolutoin")
    assert caught.value.nearest == ("evolution",)


@pytest.mark.parametrize("choice", [{}, {"bo": {}, "random": {}}, {"bo": 3}, {3: {}}, ["bo"], 3, None])
def test_other_forms_are_refused(choice: object) -> None:
    with pytest.raises(SpecError, match="strategy"):
        strategy(choice)  # type: ignore[arg-type]


def test_an_unknown_option_comes_with_the_known_ones() -> None:
    with pytest.raises(SpecError, match=r"strategy 'evolution' has no option 'size'") as caught:
        strategy({"evolution": {"size": 9}})
    assert caught.value.hint == "Known: population_size, tournament_size."
    with pytest.raises(SpecError) as caught:
        strategy({"random": {"seed": 9}})
    assert caught.value.hint == "It takes none."


def test_build_passes_what_comes_first() -> None:
    def make(first: int, second: int = 2) -> tuple[int, int]:
        return first, second

    assert build(make, {"second": 5}, what="thing", first=(1,)) == (1, 5)
    with pytest.raises(SpecError, match="'first'"):
        build(make, {"first": 5}, what="thing", first=(1,))


def test_a_strategy_of_someone_else_can_be_registered() -> None:
    STRATEGIES.register("mine", "omniforge.search.methods.random:RandomStrategy")
    assert strategy("mine").name == "random"


@pytest.mark.parametrize("value", [0, True, 2.5, "3", None])
def test_an_integer_option_is_an_integer_in_its_range(value: object) -> None:
    with pytest.raises(SpecError, match="expected an integer of at least 1"):
        check_integer(value, "count", low=1)
    assert check_integer(7, "count", low=1) == 7


@pytest.mark.parametrize("name", strategies())
def test_every_strategy_goes_on_exactly_with_a_changed_space_and_pending_candidates(name: str) -> None:
    made, space = strategy(name), CONDITIONAL
    try:
        made.bind_space(space, [ACCURACY], seed=0)
    except SpecError:  # it searches cells only
        space = CELLS
        made.bind_space(space, [ACCURACY], seed=0)
    for _ in range(9):
        for candidate in made.generate_tasks(1):
            made.handle_rewards([Reward(candidate, measure(space, candidate.config), duration_s=0.1)])
    waiting = made.generate_tasks(1)
    if space is CONDITIONAL:
        space = CHANGES[1](CHANGES[0](space))
        made.change_space(space)
    again = strategy(name)
    again.bind_space(space, [ACCURACY], seed=9)
    again.load(json.loads(json.dumps(made.dump(), allow_nan=False)))
    assert again.generate_tasks(2, pending=waiting) == made.generate_tasks(2, pending=waiting)
    for one in (made, again):
        one.handle_rewards([Reward(candidate, measure(CONDITIONAL, candidate.config)) for candidate in waiting])
    assert again.generate_tasks(1) == made.generate_tasks(1)
    assert again.dump() == made.dump()
