from __future__ import annotations

import json
import math

import numpy as np
import pytest

from omniforge.errors import SpaceError
from omniforge.search import Candidate, Objective, Reward, SearchSpace
from omniforge.search.history import History

SPACE = SearchSpace.from_yaml("x: {type: int, range: [1, 9]}\nc: {type: choice, range: {a, b}}")
GOALS = [Objective("accuracy", "max"), Objective("loss", "min")]


@pytest.fixture
def history() -> History:
    return History(SPACE, GOALS)


def config(x: int) -> dict[str, object]:
    return {"x": x, "c": "a"}


def test_observations_keep_their_order_and_failures(history: History) -> None:
    history.observe(
        [
            Reward(Candidate(config(1)), {"accuracy": 0.5, "loss": 2.0}),
            Reward(Candidate(config(2)), {"accuracy": 0.5}, state="timeout"),
            Reward(Candidate(config(1)), {"accuracy": 0.6, "loss": math.inf}),
        ]
    )
    np.testing.assert_array_equal(history.targets(), [[0.5, -2.0], [math.nan] * 2, [math.nan] * 2])
    assert history.configs == [config(1), config(2), config(1)]
    assert history.observations[2].metrics == {"accuracy": 0.6}
    assert len(history) == 3
    assert history.succeeded() == 1


def test_repeats_of_one_configuration_count_once(history: History) -> None:
    for _ in range(3):
        history.observe([Reward(Candidate(config(1)), {"accuracy": 0.5, "loss": 2.0})])
    assert (len(history), history.succeeded()) == (3, 1)


def test_what_is_seen_proposed_or_pending_is_taken(history: History) -> None:
    key = SPACE.config_hash
    history.observe([Reward(Candidate(config(1)), {})])
    history.propose(key(config(2)), config(2))
    assert history.taken([Candidate(config(3))]) == {key(config(x)) for x in (1, 2, 3)}
    history.observe([Reward(Candidate(config(2)), {}, state="cancelled")])
    assert history.taken([]) == {key(config(1))}
    assert len(history) == 1


def test_one_wrong_configuration_refuses_all(history: History) -> None:
    with pytest.raises(SpaceError, match="x"):
        history.observe([Reward(Candidate(config(1)), {}), Reward(Candidate(config(99)), {})])
    assert len(history) == 0


def test_it_survives_json(history: History) -> None:
    history.observe(
        [Reward(Candidate(config(1), {"epochs": 2.0}), {"accuracy": math.nan, "loss": 1.0}, duration_s=3.0)]
    )
    history.observe([Reward(Candidate(config(2)), {}, state="failed")])
    history.propose(SPACE.config_hash(config(3)), config(3))
    again = History(SPACE, GOALS)
    again.load(json.loads(json.dumps(history.dump(), allow_nan=False)))
    assert again.observations == history.observations
    assert again.taken([]) == history.taken([])
    assert again.dump() == history.dump()
