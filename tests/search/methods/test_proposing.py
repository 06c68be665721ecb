from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
import pytest
from conformance.spaces import spaces
from hypothesis import given, settings
from hypothesis import strategies as st

from omniforge.errors import SpaceError, SpecError
from omniforge.search import Candidate, Objective, Reward, SearchSpace, strategy
from omniforge.search.methods.proposing import Ask, ProposingStrategy


class Repeating(ProposingStrategy):
    """Proposes one configuration over and over, valid or not."""

    name: ClassVar[str] = "repeating"

    def _propose(self, ask: Ask) -> Iterator[dict[str, Any]]:
        for _ in range(5):
            yield {"x": 3}


def bound(text: str) -> Repeating:
    made = Repeating()
    made.bind_space(SearchSpace.from_yaml(text), [Objective("a", "max")], seed=0)
    return made


def test_repeats_are_skipped_and_a_short_list_is_filled_up() -> None:
    made = bound("x: {type: int, range: [1, 9]}")
    found = [candidate.config["x"] for candidate in made.generate_tasks(4)]
    assert found[0] == 3
    assert len(set(found)) == 4


def test_what_is_pending_or_rewarded_is_not_proposed_until_nothing_is_left() -> None:
    made = bound("x: {type: int, range: [1, 6]}")
    made.handle_rewards([Reward(Candidate({"x": 3}), {"a": 1.0})])
    found = made.generate_tasks(9, pending=[Candidate({"x": 2})])
    assert sorted(candidate.config["x"] for candidate in found) == [1, 4, 5, 6]
    assert made.generate_tasks(1, pending=[Candidate({"x": 2})]) == []


def test_what_drawing_rarely_finds_is_found_by_listing() -> None:
    rare = "x: {type: int, range: [1, 2]}\ny: {type: choice, range: [a, b], weights: [1.0e+9, 1]}"
    made = bound(rare)
    assert len(made.generate_tasks(1)) == 1
    rest = [candidate.config for candidate in made.generate_tasks(9)]
    assert sorted(config["y"] for config in rest if "y" in config) == ["a", "a", "b", "b"]


def test_asking_for_nothing_draws_nothing() -> None:
    made = bound("x: {type: int, range: [1, 9]}")
    before = made.dump()
    assert made.generate_tasks(0) == []
    assert made.dump() == before


@settings(deadline=None, max_examples=30)
@given(st.lists(spaces(), min_size=2, max_size=4), st.sampled_from(["random", "evolution"]), st.integers(0, 99))
def test_whatever_the_space_becomes_nothing_is_lost(drawn: list[dict[str, Any]], name: str, seed: int) -> None:
    try:
        versions = [SearchSpace.from_dict(document) for document in drawn]
    except SpaceError:
        return  # the drawn rules forbid everything

    def search() -> tuple[list[Candidate], dict[str, Any]]:
        made = strategy(name)
        made.bind_space(versions[0], [Objective("a", "max")], seed=seed)
        found: list[Candidate] = []
        for space in (*versions, versions[0]):
            made.change_space(space)
            some = made.generate_tasks(3, pending=found[-1:])
            for candidate in some:
                space.validate(candidate.config)
            late = found[-1:]  # of the version before
            found += some
            made.handle_rewards([Reward(one, {"a": len(one.config) / 9}) for one in (*late, *some[:-1])])
        again = strategy(name)
        again.bind_space(versions[0], [Objective("a", "max")], seed=0)
        again.load(json.loads(json.dumps(made.dump())))
        assert again.generate_tasks(3) == made.generate_tasks(3)
        return found, made.dump()

    found, state = search()
    assert search() == (found, state)
    told = [seen["config"] for seen in state["history"]["observations"]]
    assert all(candidate.config in told for candidate in found[:-1])


@pytest.mark.parametrize(
    ("space", "objectives", "problem"),
    [
        ("x: {type: int, range: [1, 9]}", [Objective("a", "max")], "from_yaml"),
        (SearchSpace.from_yaml("x: {type: int, range: [1, 9]}"), Objective("a", "max"), None),
        (SearchSpace.from_yaml("x: {type: int, range: [1, 9]}"), ["a:max"], "Objective.parse"),
        (SearchSpace.from_yaml("x: {type: int, range: [1, 9]}"), "a:max", "Objective.parse"),
    ],
)
def test_other_kinds_of_arguments_are_refused_with_the_fix(space: Any, objectives: Any, problem: str | None) -> None:
    made = Repeating()
    if problem is None:
        made.bind_space(space, objectives, seed=0)
        return
    with pytest.raises(SpecError) as caught:
        made.bind_space(space, objectives, seed=0)
    assert problem in str(caught.value.hint)


def test_a_seed_may_be_of_numpy() -> None:
    made = Repeating()
    made.bind_space(SearchSpace.from_yaml("x: {type: int, range: [1, 9]}"), [Objective("a", "max")], seed=np.int64(3))
    assert len(made.generate_tasks(np.int64(2))) == 2
    json.dumps(made.dump())


def test_what_is_no_state_is_refused() -> None:
    with pytest.raises(SpecError, match="dump"):
        bound("x: {type: int, range: [1, 9]}").load(None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("auto", "bohamiann"),
        ("auto", "of"),
        ({"bo": {"acquisition": "ucb"}}, {"bo": {"acquisition": "ei"}}),
        ({"bo": {"acquisition": {"ucb": {"beta": 1.0}}}}, {"bo": {"acquisition": {"ucb": {"beta": 2.0}}}}),
        ("asha", "bohb"),
    ],
)
def test_a_state_goes_to_the_composition_that_it_is_of(one: Any, other: Any) -> None:
    space = SearchSpace.from_yaml("x: {type: float, range: [0.0, 1.0]}")

    def made(choice: Any) -> Any:
        options = {"high": 9} if choice in ("asha", "bohb") else None
        found = strategy({choice: options} if options else choice)
        found.bind_space(space, [Objective("a", "max")], seed=0)
        return found

    state = json.loads(json.dumps(made(one).dump()))
    made(one).load(state)
    with pytest.raises(SpecError):
        made(other).load(state)


TIGHT = "x: {type: int, range: [0,50]}\ny: {type: int, range: [0,50]}\nz: {type: bool}\nforbid: [{x: {min: 1}}, {y: {min: 2}}]"


@pytest.mark.parametrize("spec", ["random", "tpe", "sobol", {"hyperband": {"high": 9}}])
def test_a_space_that_rules_leave_little_of_is_searched_to_its_end(spec: Any) -> None:
    made = strategy(spec)
    space = SearchSpace.from_yaml(TIGHT)
    made.bind_space(space, [Objective("a", "max")], seed=0)
    seen = set()
    for _ in range(30):
        for candidate in (found := made.generate_tasks(1)):
            space.validate(candidate.config)
            seen.add(tuple(candidate.config.values()))
            made.handle_rewards([Reward(candidate, {"a": float(candidate.config["y"])})])
        if not found:
            break
    assert seen == {(0, y, z) for y in (0, 1) for z in (False, True)}
    assert made.generate_tasks(3) == []


def test_a_space_that_nothing_can_be_drawn_from_is_refused_before_anything_is_evaluated() -> None:
    text = "x: {type: float, range: [0, 1], prior: {normal: {mean: 0.1, std: 0.001}}}"
    space = SearchSpace.from_yaml(text + "\nforbid: [{x: {max: 0.9}}]")
    made = strategy("random")
    with pytest.raises(SpaceError, match="nothing to sample"):
        made.bind_space(space, [Objective("a", "max")], seed=0)
    made.bind_space(SearchSpace.from_yaml(text), [Objective("a", "max")], seed=0)
    with pytest.raises(SpaceError, match="nothing to sample"):
        made.change_space(space)
    assert len(made.generate_tasks(2)) == 2
