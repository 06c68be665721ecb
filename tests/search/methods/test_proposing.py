from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, ClassVar

from conformance.spaces import spaces
from hypothesis import given, settings
from hypothesis import strategies as st

from omniforge.errors import SpaceError
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
