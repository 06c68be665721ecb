"""How long a task will take: a forest over log durations. It knows configurations and seconds, not tasks or stores."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ...search import SearchSpace

ENOUGH = 8


class CostModel:
    """Predict an upper quantile of the duration of a configuration.

    The trees' spread stands for what is not known, the out-of-bag residuals for what varies; both are taken as normal
    in log seconds.

    Args:
        space: The space that the configurations come from.
        z: Standard normal quantile of the prediction; 1.645 is the 95 % one.
        seed: Of the forest.
    """

    def __init__(self, space: SearchSpace, *, z: float = 1.645, seed: int = 0) -> None:
        from ...search.encoding import Encoding

        self._encoding = Encoding(space)
        self._z = z
        self._seed = seed
        self._forest: Any = None
        self._noise = 0.0
        self._fitted_on = 0

    def fit(self, configs: Sequence[dict[str, Any]], durations_s: Sequence[float]) -> None:
        """Learn from finished tasks; fewer than eight teach nothing, and so do less than a tenth more than before."""
        if len(configs) < ENOUGH or len(configs) < 1.1 * self._fitted_on:
            return
        import numpy as np
        from sklearn.ensemble import RandomForestRegressor

        targets = np.log(np.maximum(np.asarray(durations_s, dtype=float), 1e-3))
        forest = RandomForestRegressor(50, min_samples_leaf=2, oob_score=True, random_state=self._seed, n_jobs=1)
        forest.fit(self._encoding.encode(configs).numpy(), targets)
        self._noise = float(np.nanstd(targets - forest.oob_prediction_))
        self._forest = forest
        self._fitted_on = len(configs)

    def upper_s(self, configs: Sequence[dict[str, Any]]) -> list[float | None]:
        """Return the quantile for each configuration, in seconds; ``None`` while there is no model."""
        if self._forest is None or not configs:
            return [None] * len(configs)
        import numpy as np

        features = self._encoding.encode(configs).numpy()
        trees = np.stack([tree.predict(features) for tree in self._forest.estimators_])
        spread = np.hypot(trees.std(axis=0), self._noise)
        return [math.exp(value) for value in trees.mean(axis=0) + self._z * spread]
