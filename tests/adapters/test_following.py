from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

from omniforge.adapters.following import Follower, derived_seed, stopped_early
from omniforge.errors import SpaceError, SpecError, UnknownNameError
from omniforge.search import Candidate, Objective, Reward, SearchSpace

SPACE = SearchSpace.from_yaml("x: {type: float, range: [0, 1]}\nk: {type: choice, range: [a, b]}")
FINITE = SearchSpace.from_yaml("k: {type: choice, range: [a, b, c]}")
LOSS = [Objective("loss", "min")]


def following(choice: str = "sobol", *, seed: int = 0, turn: int = 0, space: SearchSpace = SPACE) -> Follower:
    follower = Follower(choice, seed=seed)
    follower.bind(space, LOSS, turn=turn)
    return follower


def test_it_asks_the_strategy_and_learns_each_trial_once() -> None:
    follower = following("evolution")
    first = follower.ask(3, pending=[], turn=0)
    rewards = {i: Reward(Candidate(config), {"loss": 0.5}) for i, config in enumerate(first)}
    follower.learn(rewards)
    follower.learn(rewards)
    assert [follower.knows(i) for i in (0, 1, 2, 3)] == [True, True, True, False]
    assert len(follower._strategy.dump()["history"]["observations"]) == 3


def test_a_trial_that_says_nothing_is_known_and_not_learned() -> None:
    follower = following()
    follower.learn({"odd": None})
    assert follower.knows("odd")
    assert follower._strategy.dump()["history"]["observations"] == []


def test_the_same_seed_and_turn_give_the_same_and_another_turn_does_not() -> None:
    asked = [
        following(seed=seed, turn=turn).ask(2, pending=[], turn=0) for seed, turn in ((3, 5), (3, 5), (3, 6), (4, 5))
    ]
    assert asked[0] == asked[1]
    assert asked[2] not in (asked[0], asked[3])
    assert asked[3] != asked[0]


def test_binding_again_changes_nothing_until_the_space_or_the_objectives_do() -> None:
    follower = following()
    follower.learn({0: Reward(Candidate({"x": 0.5, "k": "a"}), {"loss": 1.0})})
    follower.bind(SPACE, LOSS, turn=9)
    assert follower.knows(0)
    follower.bind(SPACE, [*LOSS, Objective("size", "min")], turn=9)
    assert not follower.knows(0)
    follower.bind(FINITE, LOSS, turn=9)
    assert follower.ask(1, pending=[], turn=0)[0].keys() == {"k"}


def test_neither_pending_nor_learned_ones_come_again_until_the_space_is_exhausted() -> None:
    follower = following(space=FINITE)
    follower.learn({0: Reward(Candidate({"k": "a"}), {}, state="failed")})
    assert follower.ask(1, pending=[{"k": "b"}], turn=0) == [{"k": "c"}]
    again = follower.ask(4, pending=[], turn=1)
    assert again[0] == {"k": "b"}
    assert len(again) == 4
    for config in again:
        FINITE.validate(config)


FORK = """
    import os
    from omniforge.adapters.following import Follower
    from omniforge.search import Objective, SearchSpace
    follower = Follower("random", seed=0)
    space, loss = SearchSpace.from_yaml("x: {type: float, range: [0, 1]}"), [Objective("loss", "min")]
    follower.bind(space, loss, turn=0)
    child = os.fork()
    follower.bind(space, loss, turn=1)
    os.write(1, f"{follower.ask(1, pending=[], turn=1)}\\n".encode())
    if not child:
        os._exit(0)
    os.waitpid(child, 0)
"""


def test_a_forked_process_does_not_repeat_its_parent() -> None:
    code = textwrap.dedent(FORK)
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert len(set(printed.split("\n")[:2])) == 2


def test_what_is_wrong_is_refused_at_once() -> None:
    with pytest.raises(UnknownNameError):
        Follower("nope", seed=0)
    with pytest.raises(SpecError, match="no option"):
        Follower({"random": {"size": 3}}, seed=0)
    with pytest.raises(RuntimeError, match="bind first"):
        Follower("random", seed=0).ask(1, pending=[], turn=0)
    with pytest.raises(SpaceError):
        following().learn({0: Reward(Candidate({"x": 7.0, "k": "a"}), {"loss": 1.0})})


@pytest.mark.parametrize(
    ("value", "finished", "sign", "expected"),
    [(5.0, [], -1, 5.0), (5.0, [1.0, 2.0, 3.0], -1, 5.0), (0.5, [1.0, 2.0, 3.0], -1, 2.0), (9.0, [1.0, 2.0], 1, 1.5)],
)
def test_a_stopped_trial_is_never_better_than_the_median(
    value: float, finished: list[float], sign: int, expected: float
) -> None:
    assert stopped_early(value, finished, sign=sign) == expected


def test_derived_seeds_differ() -> None:
    assert len({derived_seed(seed, more) for seed in range(20) for more in range(20)}) == 400
