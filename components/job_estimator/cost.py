"""How long a task will take, for those who wait for it. It knows configurations and seconds, not tasks or stores."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ...search import SearchSpace
    from ...search.cost import DurationModel

log = logging.getLogger(__name__)

ENOUGH = 8


class CostModel:
    """Predict an upper quantile of the duration of a configuration, by the search's model of durations.

    Args:
        space: The space that the configurations come from.
        share: Of evaluations that end within the prediction, in (0, 1).
    """

    def __init__(self, space: SearchSpace, *, share: float = 0.95) -> None:
        self._space = space
        self._share = share
        self._model: DurationModel | None = None
        self._fitted_on = 0

    def fit(self, configs: Sequence[dict[str, Any]], durations_s: Sequence[float]) -> None:
        """Learn from finished tasks; fewer than eight teach nothing, and so do less than a tenth more than before."""
        if len(configs) < ENOUGH or len(configs) < 1.1 * self._fitted_on:
            return
        from ...search.cost import DurationModel

        self._fitted_on = len(configs)
        model = DurationModel(self._space)
        try:
            model.fit(configs, durations_s)
        except RuntimeError as e:
            log.warning("the durations of %d tasks cannot be modelled, the earlier model stays: %s", len(configs), e)
            return
        self._model = model

    def upper_s(self, configs: Sequence[dict[str, Any]]) -> list[float | None]:
        """Return the quantile for each configuration, in seconds; ``None`` while there is no model."""
        if self._model is None or not configs:
            return [None] * len(configs)
        return list(self._model.quantile_s(configs, self._share))
