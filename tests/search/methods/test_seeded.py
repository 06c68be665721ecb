from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from omniforge.errors import SpaceError, SpecError
from omniforge.search import Candidate, Objective, Reward, SearchSpace, SearchStrategy, strategy

ACCURACY = Objective("accuracy", "max")
SPACE = SearchSpace.from_yaml(
    "kind: {type: choice, range: {tree, line}, submodule: {tree: {depth: {type: int, range: [1, 9]}}}}\n"
    "rate: {type: float, range: [0.0, 1.0]}\n"
)
FIRST = {"kind": "line", "rate": 0.25}
SECOND = {"kind": "tree", "kind.tree.depth": 4, "rate": 0.5}
FOREIGN = {"kind": "forest", "rate": 0.5}


@pytest.fixture
def make() -> Callable[..., SearchStrategy]:
    def build(configs: list[dict[str, Any]], then: str = "random", *, space: SearchSpace = SPACE) -> SearchStrategy:
        made = strategy({"seeded": {"configs": configs, "then": then}})
        made.bind_space(space, [ACCURACY], seed=0)
        return made

    return build


def test_the_given_ones_come_first_in_their_order_then_the_other_strategy(make: Callable[..., SearchStrategy]) -> None:
    seeded = make([FIRST, FOREIGN, FIRST, SECOND])
    assert seeded.generate_tasks(1) == [Candidate(FIRST)]
    second, third = seeded.generate_tasks(2)
    assert second == Candidate(SECOND)
    assert SPACE.is_valid(third.config)
    other = strategy("random")
    other.bind_space(SPACE, [ACCURACY], seed=0)
    assert other.generate_tasks(1) == [third]


@pytest.mark.parametrize("known", ["pending", "rewarded"])
def test_what_is_known_already_is_not_given_again(make: Callable[..., SearchStrategy], known: str) -> None:
    seeded = make([FIRST, SECOND])
    pending = []
    if known == "pending":
        pending = [Candidate(dict(reversed(FIRST.items())))]
    else:
        seeded.handle_rewards([Reward(Candidate(FIRST), {"accuracy": 0.5})])
    assert seeded.generate_tasks(1, pending=pending) == [Candidate(SECOND)]


def test_the_other_strategy_does_not_repeat_what_was_given(make: Callable[..., SearchStrategy]) -> None:
    few = SearchSpace.from_yaml("kind: {type: choice, range: {a, b, c}}")
    seeded = make([{"kind": "b"}], space=few)
    assert seeded.generate_tasks(1) == [Candidate({"kind": "b"})]
    rest = seeded.generate_tasks(5)  # the caller does not say that b is pending
    assert sorted(candidate.config["kind"] for candidate in rest) == ["a", "c"]
    seeded.handle_rewards([Reward(Candidate({"kind": "b"}), {"accuracy": 0.5})])
    assert seeded.generate_tasks(1) == []


def test_the_other_strategy_learns_from_every_reward(make: Callable[..., SearchStrategy]) -> None:
    seeded = make([FIRST], "evolution")
    seeded.handle_rewards([Reward(Candidate(config), {"accuracy": 0.5}) for config in (FIRST, SECOND)])
    assert len(seeded.dump()["inner"]["history"]["observations"]) == 2
    with pytest.raises(SpaceError, match="kind"):
        seeded.handle_rewards([Reward(Candidate(FOREIGN), {"accuracy": 0.5})])


@pytest.mark.parametrize("given", [0, 1, 3])
def test_it_goes_on_where_it_was_dumped(make: Callable[..., SearchStrategy], given: int) -> None:
    seeded = make([FIRST, SECOND], "evolution")
    seeded.handle_rewards([Reward(one, {"accuracy": 0.5}) for one in seeded.generate_tasks(given)[:2]])
    state = json.loads(json.dumps(seeded.dump()))
    again = make([FIRST, SECOND], "evolution")
    again.load(state)
    assert again.generate_tasks(4) == seeded.generate_tasks(4)
    assert again.dump() == seeded.dump()


def test_a_new_search_begins_anew(make: Callable[..., SearchStrategy]) -> None:
    seeded = make([FIRST])
    seeded.generate_tasks(3)
    seeded.bind_space(SPACE, [ACCURACY], seed=0)
    assert seeded.generate_tasks(1) == [Candidate(FIRST)]


def test_what_cannot_be_used_is_refused(make: Callable[..., SearchStrategy]) -> None:
    with pytest.raises(SpecError, match="configs is 3"):
        strategy({"seeded": {"configs": 3}})
    with pytest.raises(SpecError, match="count"):
        make([FIRST]).generate_tasks(-1)
    inner = strategy("random")
    inner.bind_space(SPACE, [ACCURACY], seed=0)
    with pytest.raises(SpecError, match="expected 'seeded'"):
        make([FIRST]).load(inner.dump())
    with pytest.raises(RuntimeError, match="bind_space"):
        strategy({"seeded": {"then": "random"}}).generate_tasks(1)


def test_what_is_given_waits_until_the_space_has_it(make: Callable[..., SearchStrategy]) -> None:
    seeded = make([FOREIGN, SECOND])
    assert seeded.generate_tasks(1) == [Candidate(SECOND)]
    wider = SPACE.edit("kind", range=["tree", "line", "forest"])
    seeded.change_space(wider)
    again = make([FOREIGN, SECOND], space=wider)
    again.load(json.loads(json.dumps(seeded.dump())))
    assert seeded.generate_tasks(1, pending=[Candidate(SECOND)]) == [Candidate(FOREIGN)]
    assert again.generate_tasks(1, pending=[Candidate(SECOND)]) == [Candidate(FOREIGN)]


def test_what_is_given_is_completed_and_not_repeated(make: Callable[..., SearchStrategy]) -> None:
    seeded = make([FIRST, SECOND])
    seeded.handle_rewards([Reward(Candidate(FIRST), {"accuracy": 0.5})])
    seeded.change_space(SPACE.add("bias", {"type": "bool"}))
    assert seeded.generate_tasks(1) == [Candidate({**SECOND, "bias": False})]
