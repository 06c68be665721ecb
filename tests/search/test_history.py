from __future__ import annotations

import json
import logging
import math
from typing import Any

import numpy as np
import pytest

from omniforge.errors import SpaceError, SpecError
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


def test_what_a_version_cannot_express_comes_back() -> None:
    history = History(SPACE, GOALS)
    history.observe([Reward(Candidate(config(x)), {"accuracy": x, "loss": 1.0}) for x in (1, 5, 9)])
    history.change_space(SPACE.edit("x", range=[4, 9]))
    assert history.configs == [config(5), config(9)]
    np.testing.assert_array_equal(history.targets()[:, 0], [5.0, 9.0])
    history.change_space(SPACE.add("new", {"type": "bool"}))
    assert history.configs == [{**config(x), "new": False} for x in (1, 5, 9)]
    assert [o.config for o in history.evaluated] == [config(x) for x in (1, 5, 9)]


def test_the_rewards_of_an_earlier_version_are_taken() -> None:
    history = History(SPACE, GOALS)
    history.propose(SPACE.config_hash(config(2)), config(2))
    history.change_space(SPACE.edit("x", range=[4, 9]))
    assert history.waiting([Candidate(config(2)), Candidate(config(5))]) == (config(5),)
    history.observe([Reward(Candidate(config(2)), {"accuracy": 1.0, "loss": 1.0})])
    assert (len(history), len(history.evaluated)) == (0, 1)
    assert history.dump()["proposed"] == []


def test_only_what_stands_for_the_same_evaluation_is_taken() -> None:
    history = History(SPACE, GOALS)
    history.observe([Reward(Candidate({"x": x, "c": c}), {}) for x, c in ((1, "a"), (2, "b"))])
    fewer = SPACE.remove("c")
    history.change_space(fewer)
    assert history.configs == [{"x": 1}, {"x": 2}]
    assert fewer.config_hash({"x": 1}) in history.taken([])
    assert fewer.config_hash({"x": 2}) not in history.taken([])  # c was b, not its default


@pytest.mark.parametrize(
    ("metrics", "fidelity", "duration_s", "named"),
    [
        ({"accuracy": None}, None, None, "accuracy"),
        ({"accuracy": "0.9"}, None, None, "accuracy"),
        ({}, {"epochs": math.nan}, None, "epochs"),
        ({}, {"epochs": "all"}, None, "epochs"),
        ({}, None, -1.0, "duration"),
    ],
)
def test_what_is_no_number_refuses_all(
    history: History, metrics: Any, fidelity: Any, duration_s: Any, named: str
) -> None:
    wrong = Reward(Candidate(config(2), fidelity), metrics, duration_s=duration_s)
    with pytest.raises(SpecError, match=named):
        history.observe([Reward(Candidate(config(1)), {"accuracy": 0.5, "loss": 2.0}), wrong])
    assert len(history) == 0


def test_numbers_of_numpy_are_kept_as_json_has_them(history: History) -> None:
    fidelity: Any = {"epochs": np.int64(3)}
    metrics: Any = {"accuracy": np.float32(0.5), "loss": 1}
    candidate = Candidate({"x": np.int64(3), "c": "a"}, fidelity)
    history.observe([Reward(candidate, metrics, duration_s=np.float32(2.0))])  # type: ignore[arg-type]
    dumped = json.loads(json.dumps(history.dump(), allow_nan=False))
    assert dumped["observations"] == [
        {"config": config(3), "metrics": {"accuracy": 0.5, "loss": 1.0}, "state": "succeeded",
         "fidelity": {"epochs": 3.0}, "duration_s": 2.0}
    ]  # fmt: skip


def test_a_duration_that_is_not_known_is_none(history: History) -> None:
    history.observe([Reward(Candidate(config(1)), {}, duration_s=math.nan)])
    assert history.observations[0].duration_s is None


def test_a_success_without_an_objective_is_logged_once(history: History, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        history.observe([Reward(Candidate(config(1)), {"loss": 1.0}), Reward(Candidate(config(2)), {}, state="failed")])
        assert not caplog.records
        history.observe([Reward(Candidate(config(x)), {"acuracy": 0.5}) for x in (3, 4)])
    (record,) = caplog.records
    assert "'acuracy'" in record.getMessage()
    assert "accuracy, loss" in record.getMessage()


def test_what_was_proposed_is_remembered_as_it_was(history: History) -> None:
    handed = config(5)
    history.propose(SPACE.config_hash(handed), handed)
    handed["x"] = 6
    assert history.dump()["proposed"] == [config(5)]
