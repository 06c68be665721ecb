from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from omniforge.components.job_estimator.cost import ENOUGH, CostModel
from omniforge.search import SearchSpace

Config = dict[str, Any]


def seconds(config: Config, rng: np.random.Generator) -> float:
    """A forest takes a minute, a tree half a second for each level; both vary by a tenth."""
    mean = 60.0 if config["algorithm"] == "forest" else 0.5 * config.get("algorithm.tree.depth", 2)
    return float(mean * np.exp(0.1 * rng.normal()))


@pytest.fixture
def seen(space: SearchSpace) -> tuple[list[Config], list[float]]:
    rng = np.random.default_rng(0)
    configs = space.sample_many(80, rng)
    return configs, [seconds(config, rng) for config in configs]


def test_a_few_tasks_teach_nothing(space: SearchSpace, seen: tuple[list[Config], list[float]]) -> None:
    configs, durations_s = seen
    model = CostModel(space)
    model.fit(configs[: ENOUGH - 1], durations_s[: ENOUGH - 1])
    assert model.upper_s(configs[:3]) == [None, None, None]
    model.fit(configs[:ENOUGH], durations_s[:ENOUGH])
    assert None not in model.upper_s(configs[:3])
    assert model.upper_s([]) == []


def test_each_configuration_has_its_own_expectation(space: SearchSpace, seen: tuple[list[Config], list[float]]) -> None:
    model = CostModel(space)
    model.fit(*seen)
    slow, fast = model.upper_s([{"algorithm": "forest"}, {"algorithm": "tree", "algorithm.tree.depth": 1}])
    assert slow is not None
    assert fast is not None
    assert 60 < slow < 120
    assert fast < 5


def test_it_is_an_upper_quantile(space: SearchSpace, seen: tuple[list[Config], list[float]]) -> None:
    model = CostModel(space)
    model.fit(*seen)
    rng = np.random.default_rng(1)
    fresh = space.sample_many(200, rng)
    upper_s = model.upper_s(fresh)
    within = [seconds(config, rng) <= upper for config, upper in zip(fresh, upper_s, strict=True) if upper is not None]
    assert len(within) == 200
    assert np.mean(within) > 0.85


def test_it_learns_again_when_there_is_a_tenth_more(space: SearchSpace, seen: tuple[list[Config], list[float]]) -> None:
    configs, durations_s = seen
    model = CostModel(space)
    model.fit(configs[:50], durations_s[:50])
    before = model.upper_s(configs[:5])
    model.fit(configs[:54], durations_s[:54])
    assert model.upper_s(configs[:5]) == before
    model.fit(configs[:60], durations_s[:60])
    assert model.upper_s(configs[:5]) != before
