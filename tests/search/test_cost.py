from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from omniforge.search import Candidate, Objective, Reward, SearchSpace
from omniforge.search.cost import ENOUGH, DurationModel
from omniforge.search.history import History

SPACE = SearchSpace.from_yaml(
    """
    kind: {type: choice, range: [fast, slow]}
    size: {type: int, range: [1, 100], log: true}
    """
)


def seconds(config: dict[str, Any], rng: np.random.Generator) -> float:
    """Grow with the size, ten times slower of one kind, and vary by a fifth."""
    return float(config["size"] * (10.0 if config["kind"] == "slow" else 1.0) * np.exp(0.2 * rng.standard_normal()))


@pytest.fixture(scope="module")
def model() -> DurationModel:
    rng = np.random.default_rng(0)
    configs = SPACE.sample_many(60, rng)
    made = DurationModel(SPACE)
    made.fit(configs, [seconds(config, rng) for config in configs])
    return made


def test_it_predicts_the_median_of_each_configuration(model: DurationModel) -> None:
    fast, slow = model.quantile_s([{"kind": "fast", "size": 30}, {"kind": "slow", "size": 30}])
    assert fast == pytest.approx(30.0, rel=0.3)
    assert slow == pytest.approx(300.0, rel=0.3)
    assert model.quantile_s([]) == []


def test_its_quantiles_hold_what_they_say(model: DurationModel) -> None:
    rng = np.random.default_rng(1)
    configs = SPACE.sample_many(300, rng)
    real = [seconds(config, rng) for config in configs]
    for share in (0.1, 0.5, 0.9):
        found = np.mean([a <= b for a, b in zip(real, model.quantile_s(configs, share), strict=True)])
        assert found == pytest.approx(share, abs=0.12)


def test_a_few_durations_teach_nothing() -> None:
    made = DurationModel(SPACE)
    made.fit(SPACE.sample_many(ENOUGH - 1, np.random.default_rng(0)), [1.0] * (ENOUGH - 1))
    assert not made.ready
    with pytest.raises(RuntimeError, match="needs 8"):
        made.quantile_s([SPACE.default()])


def test_a_history_teaches_what_succeeded() -> None:
    history = History(SPACE, [Objective("f", "max")])
    rng = np.random.default_rng(0)
    for i, config in enumerate(SPACE.sample_many(24, rng)):
        state = "failed" if i % 3 == 0 else "succeeded"
        took = 0.001 if state == "failed" else seconds(config, rng)
        history.observe([Reward(Candidate(config), {"f": 1.0}, state=state, duration_s=took)])
    made = DurationModel(SPACE)
    made.fit_history(history)
    (median,) = made.quantile_s([{"kind": "slow", "size": 30}])
    assert median > 50


def test_durations_that_are_all_alike_are_predicted() -> None:
    made = DurationModel(SPACE)
    made.fit(SPACE.sample_many(12, np.random.default_rng(0)), [2.0] * 12)
    assert made.quantile_s([SPACE.default()], 0.9) == [pytest.approx(2.0, rel=0.05)]
