"""The candidate generator and the acquisition optimizer ``region``: both stay within a trust region. Not how it moves.

The region is a box in the active numeric columns around a center, as for TuRBO (Eriksson et al., NeurIPS 2019); a choice is
another one than the center's with a probability that falls with the box (after the Hamming ball of Wan et al., ICML 2021).
Candidates differ from the center in about 20 columns, as TuRBO's do, however many there are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch

from ...strategy import check_integer, check_number
from ..generators import best_rows
from ..optimizers.settling import Ranked, Settling, ascend, joined
from ..parts import AcquisitionFunction, Observed
from .region import FIRST

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from ..rows import Rows

_CHANGED = 20
_SHORTEST, _LONGEST = 1e-9, 1e9


class RegionGenerator:
    """Draws from the trust region.

    Args:
        center: The configuration in the middle; by default the best observation.
        length: The side of the box, as a share of each range, above 0.

    Raises:
        SpecError: The length is not above 0.
    """

    def __init__(self, center: Mapping[str, Any] | None = None, length: float = FIRST) -> None:
        self._center = center
        self._length = _check_length(length)

    def generate(self, rows: Rows, observed: Observed, *, count: int, rng: np.random.Generator) -> Tensor:
        """Return ``count`` rows; see `CandidateGenerator.generate`."""
        origin = observed.X[best_rows(observed, 1)] if self._center is None else rows.encode([self._center])
        active = rows.active(origin)
        changed = (torch.from_numpy(rng.random((count, rows.d))) < self._rates(rows)) & active
        near = origin + (torch.from_numpy(rng.random((count, rows.d))) - 0.5) * self._length
        other = near.clamp(0.0, 1.0)
        for column in rows.categorical:
            size = rows.encoding.cardinalities[column]
            code = torch.from_numpy(rng.integers(max(1, size - 1), size=count))
            other[:, column] = code + (code >= origin[0, column])  # any value but the center's
            changed[:, column] &= size > 1
        moved = torch.where(changed, other, origin)
        return self._with_branches(rows, moved, changed=changed & rows.deciding, rng=rng)

    def _rates(self, rows: Rows) -> Tensor:
        """Return the probability of each column to differ from the center's, a `d`-dim Tensor."""
        out = torch.full((rows.d,), min(1.0, _CHANGED / max(1, rows.width)), dtype=torch.float64)
        for column in rows.categorical:
            # in the widest box a choice is drawn from all of its values
            out[column] *= min(1.0, self._length / FIRST) * (1.0 - 1.0 / rows.encoding.cardinalities[column])
        return out

    @staticmethod
    def _with_branches(rows: Rows, X: Tensor, *, changed: Tensor, rng: np.random.Generator) -> Tensor:
        """Return `n x d` rows; where a deciding column changed, what is active anew is drawn from its prior."""
        turned = changed.any(dim=-1)
        if bool(turned.any()):
            part = X[turned]
            drawn = rows.encode(rows.space.sample_many(len(part), rng))
            X[turned] = rows.encode(rows.decode(torch.where(rows.active(part), part, drawn)))
        return X


class RegionOptimizer(Settling):
    """Gradient steps within the box of a trust region, and other values of one choice at a time.

    The best candidates are improved by L-BFGS in their numbers, then the best of them by changes of single choices, in turn.
    The middle of the box is the best candidate's nearest: candidates come from a `RegionGenerator` with the same options.

    Args:
        center: The configuration in the middle; by default the median of the candidates.
        length: The side of the box, as a share of each range, above 0.
        starts: Rows that are improved, at least 1.
        steps: Of L-BFGS, at least 0.
        rounds: Of numbers and choices in turn, at least 1.

    Raises:
        SpecError: An option is out of range.
    """

    def __init__(
        self,
        center: Mapping[str, Any] | None = None,
        length: float = FIRST,
        starts: int = 4,
        steps: int = 20,
        rounds: int = 2,
    ) -> None:
        self._center = center
        self._length = _check_length(length)
        super().__init__(tops=check_integer(starts, "starts", low=1), polish_steps=0)
        self._steps = check_integer(steps, "steps", low=0)
        self._rounds = check_integer(rounds, "rounds", low=1)

    def _improved(
        self, acquisition: AcquisitionFunction, rows: Rows, X: Tensor, *, values: Tensor, rng: np.random.Generator
    ) -> Ranked:
        middle = X.median(dim=0).values if self._center is None else rows.encode([self._center])[0]
        for _ in range(self._rounds):
            climbed = self._climb(acquisition, rows, X[: self._tops], middle)
            X, values = joined(acquisition, climbed, X=X, values=values)
            best = values[0]
            X, values = joined(acquisition, self._changed(rows, X[0], rng), X=X, values=values)
            if values[0] <= best:
                break
        return X, values

    def _changed(self, rows: Rows, row: Tensor, rng: np.random.Generator) -> Tensor:
        """Return `k x d` rows that differ from a row in one choice, about ``_CHANGED`` of them."""
        cards = rows.encoding.cardinalities
        active = rows.active(row)
        pairs = [(c, code) for c in rows.categorical if bool(active[c]) for code in range(cards[c]) if code != row[c]]
        picked = rng.permutation(len(pairs))[: max(_CHANGED, len(pairs) // 2)]
        out = row.repeat(len(picked), 1)
        for position, i in enumerate(picked):
            column, code = pairs[int(i)]
            out[position, column] = code
        return rows.encode(rows.decode(out)) if bool(rows.deciding[rows.categorical].any()) else out

    def _climb(self, acquisition: AcquisitionFunction, rows: Rows, X: Tensor, middle: Tensor) -> Tensor:
        """Return `k x d` rows after L-BFGS within the box, all at once; none where nothing can move or has a gradient."""
        free = rows.free(rows.decode(X))
        if not self._steps or not bool(free.any()):
            return X[:0]
        if not acquisition(X[:, None].clone().requires_grad_()).requires_grad:
            return X[:0]
        low = torch.minimum(X, (middle - 0.5 * self._length).clamp(0.0, 1.0).expand_as(X))
        high = torch.maximum(X, (middle + 0.5 * self._length).clamp(0.0, 1.0).expand_as(X))
        return ascend(
            lambda moved: acquisition(moved[:, None]).sum(), X, free=free, steps=self._steps, low=low, high=high
        )


def _check_length(length: float) -> float:
    return check_number(length, "length", low=_SHORTEST, high=_LONGEST)
