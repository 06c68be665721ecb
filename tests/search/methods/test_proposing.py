from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from omniforge.search import Candidate, Objective, Reward, SearchSpace
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
