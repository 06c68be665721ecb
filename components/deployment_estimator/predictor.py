"""What a device will measure of a configuration, learned from what it measured of others. It knows no tasks and no devices.

The metrics of a model where it runs (latency, size, memory, energy) depend on its architecture and not on what it has
learned, so that a few dozen measurements predict the rest. The model is the one of durations: a Gaussian process over the
log of the metric, on the whole conditional space.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ...search import SearchSpace
    from ...search.cost import DurationModel

log = logging.getLogger(__name__)

ENOUGH = 8
GROWTH = 1.1


class MetricPredictor:
    """Predict positive metrics of configurations.

    Args:
        space: The space that the configurations come from.
    """

    def __init__(self, space: SearchSpace) -> None:
        self._space = space
        self._models: dict[str, tuple[DurationModel, float]] = {}
        self._fitted_on = 0

    @property
    def ready(self) -> bool:
        """Whether it has seen enough to predict."""
        return bool(self._models)

    def fit(self, configs: Sequence[Mapping[str, Any]], values: Mapping[str, Sequence[float]]) -> None:
        """Learn, unless there are fewer than eight or hardly more than the last time.

        Args:
            configs: `n` configurations.
            values: `n` measurements of each metric, above 0.
        """
        if len(configs) < ENOUGH or len(configs) < GROWTH * self._fitted_on:
            return
        from ...search.cost import DurationModel

        self._fitted_on = len(configs)
        for name, column in values.items():
            unit = min((value for value in column if value > 0), default=1.0)
            model = DurationModel(self._space)
            try:
                model.fit(configs, [max(value / unit, 1.0) for value in column])
            except RuntimeError as e:
                log.warning(
                    "%s of %d configurations cannot be modelled, the earlier model stays: %s", name, len(configs), e
                )
                continue
            self._models[name] = (model, unit)

    def quantile(self, config: Mapping[str, Any], name: str, share: float) -> float | None:
        """Return the value below which the metric of a configuration is with probability ``share``; None if it is unknown.

        Args:
            config: The configuration.
            name: The metric.
            share: In (0, 1).
        """
        if name not in self._models:
            return None
        model, unit = self._models[name]
        return unit * model.quantile_s([config], share)[0]
