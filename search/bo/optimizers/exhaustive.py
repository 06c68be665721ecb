"""The optimizer ``exhaustive``: every configuration of a small finite space. It cannot miss the optimum."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from ....errors import SpecError
from ...space.listing import LISTED
from ..parts import AcquisitionFunction
from .settling import evaluate, first_new, ranked

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from ..rows import IsNew, Rows

_STEP = 256


class ExhaustiveOptimizer:
    """Evaluate the acquisition everywhere and take the best new configuration; equally good ones by chance.

    The rows of a space are listed and encoded once (`Rows.every`). The values of the last function bound those of a
    ``declining`` one, so that only rows are evaluated that can still be best (lazy greedy maximization, Minoux 1978); the
    result is the same.
    """

    def __init__(self) -> None:
        self._bounds: tuple[Tensor, Tensor] | None = None

    def lists(self, rows: Rows) -> bool:  # noqa: ARG002
        """Say that candidates are not needed."""
        return True

    def maximize(
        self,
        acquisition: AcquisitionFunction,
        rows: Rows,
        *,
        candidates: Tensor,  # noqa: ARG002
        is_new: IsNew,
        rng: np.random.Generator,
    ) -> Tensor:
        """Return the best new row of all; see `AcquisitionOptimizer.maximize`.

        Raises:
            SpecError: The space is continuous or has more than `listing.LISTED` configurations.
        """
        if rows.every is None:
            problem = (
                f"The optimizer 'exhaustive' takes spaces of at most {LISTED} configurations, not {rows.space.size()}."
            )
            raise SpecError(problem, hint="Choose 'mixed', which looks at small spaces as a whole and searches others.")
        if self._bounds is not None and getattr(acquisition, "declining", False):
            X, bounds = self._bounds
            return self._lazily(acquisition, rows, X, bounds=bounds, is_new=is_new)
        every = rows.every[torch.from_numpy(rng.permutation(len(rows.every)))]
        self._bounds = ranked(every, evaluate(acquisition, every))
        return first_new(rows, self._bounds[0], is_new)

    def _lazily(
        self, acquisition: AcquisitionFunction, rows: Rows, X: Tensor, *, bounds: Tensor, is_new: IsNew
    ) -> Tensor:
        """Return the best new row where ``bounds`` are at least its values; they fall to what is evaluated.

        Args:
            acquisition: What is maximized.
            rows: The space's rows.
            X: `N x d`-dim, by falling bounds.
            bounds: `N`-dim.
            is_new: Says whether a configuration may be proposed.
        """
        done = 0
        while done < len(X):
            values = evaluate(acquisition, X[done : done + _STEP])
            bounds = torch.cat(
                [bounds[:done], torch.minimum(values, bounds[done : done + _STEP]), bounds[done + _STEP :]]
            )
            done = min(len(X), done + _STEP)
            tops, order = ranked(X[:done], bounds[:done])
            found = first_new(rows, tops, is_new)
            best = order[(tops == found).all(-1)] if len(found) else order[:0]
            if len(best) and (done == len(X) or best[0] >= bounds[done]):
                break
        self._bounds = ranked(X, bounds)
        return found
