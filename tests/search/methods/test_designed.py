from __future__ import annotations

from collections.abc import Iterable

from omniforge.search import Objective, Reward, SearchSpace
from omniforge.search.methods.designed import DesignedStrategy
from omniforge.search.methods.proposing import Ask
from omniforge.search.space import Config

SPACE = SearchSpace.from_dict(
    {"a": {"type": "choice", "range": ["x", "y", "z"]}, "k": {"type": "int", "range": [1, 4]}}
)


class Filling(DesignedStrategy):
    """A design of four points, and nothing after it."""

    name = "filling"

    def _propose(self, ask: Ask) -> Iterable[Config]:
        self.shares = self._left_to_design(ask, 4)
        return self._designed(ask, self.shares)


def bound(seed: int = 0) -> Filling:
    made = Filling()
    made.bind_space(SPACE, [Objective("f", "max")], seed=seed)
    return made


def test_points_are_new_and_their_place_is_kept() -> None:
    made = bound()
    first = made.generate_tasks(3)
    again = bound()
    again.load(made.dump())
    assert made.generate_tasks(3) == again.generate_tasks(3)
    keys = [SPACE.config_hash(candidate.config) for candidate in first + made.generate_tasks(3)]
    assert len(set(keys)) == 6


def test_the_design_has_its_share_of_an_ask() -> None:
    made = bound()
    two = made.generate_tasks(2)
    made.handle_rewards([Reward(two[0], {"f": 1.0})])
    made.generate_tasks(5)
    assert made.shares == 5  # one success is not enough to learn from
    made.handle_rewards([Reward(two[1], {"f": 2.0})])
    made.generate_tasks(3, pending=[])
    assert made.shares == 2
    made.generate_tasks(3, pending=made.generate_tasks(3))
    assert made.shares == 0
