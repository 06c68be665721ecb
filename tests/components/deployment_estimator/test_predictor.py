from __future__ import annotations

import numpy as np

from omniforge.components.deployment_estimator.predictor import ENOUGH, MetricPredictor
from omniforge.search import SearchSpace

SPACE = SearchSpace.from_dict(
    {
        "width": {"type": "int", "range": [8, 256], "log": True},
        "rate": {"type": "float", "range": [0.001, 0.1], "log": True},
    }
)


def latency(width: int) -> float:
    return 0.0004 * width


def fitted(count: int) -> MetricPredictor:
    configs = SPACE.sample_many(count, np.random.default_rng(0)) if hasattr(SPACE, "sample_many") else _drawn(count)
    predictor = MetricPredictor(SPACE)
    predictor.fit(configs, {"latency_ms": [latency(config["width"]) for config in configs]})
    return predictor


def _drawn(count: int) -> list[dict[str, float | int]]:
    rng = np.random.default_rng(0)
    return [SPACE.sample(rng) for _ in range(count)]


def test_it_learns_what_the_metric_depends_on() -> None:
    predictor = fitted(16)
    assert predictor.ready
    for width in (10, 60, 250):
        config = {"width": width, "rate": 0.01}
        low, middle, high = (predictor.quantile(config, "latency_ms", share) for share in (0.05, 0.5, 0.95))
        assert low is not None
        assert middle is not None
        assert high is not None
        assert low <= middle <= high
        assert abs(np.log(middle / latency(width))) < 0.35


def test_few_measurements_and_unknown_metrics_predict_nothing() -> None:
    predictor = fitted(ENOUGH - 1)
    assert not predictor.ready
    assert predictor.quantile({"width": 8, "rate": 0.01}, "latency_ms", 0.5) is None
    assert fitted(ENOUGH).quantile({"width": 8, "rate": 0.01}, "model_bytes", 0.5) is None
