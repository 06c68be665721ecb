"""The suggesters ``believer`` and ``liar``: what is under evaluation counts as if it had returned a certain value."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from ....errors import SpecError
from ...strategy import check_integer
from ..parts import Search, Surrogate
from .batch import CANDIDATES, Batch, Declining

if TYPE_CHECKING:
    from torch import Tensor


class _Believing:
    """One row after the other, each as if those before it and the pending ones had returned what `_value` says.

    The surrogate is conditioned on them and keeps its hyperparameters, so that a batch costs one fit.
    """

    def __init__(self, candidates: int) -> None:
        self._candidates = check_integer(candidates, "candidates", low=1)

    def suggest(self, count: int, pending: Tensor, *, search: Search) -> Tensor:
        """Return up to ``count`` different new rows; see `Suggester.suggest`."""
        batch = Batch(search, pending, candidates=self._candidates)
        surrogate = self._conditioned(search.surrogate, pending, search)
        falls = self._falls(search)
        for left in reversed(range(count)):
            function = batch.build(surrogate)
            row = batch.choose(Declining(function) if falls and len(batch.rows) else function)
            if not len(row):
                break
            if left:
                surrogate = self._conditioned(surrogate, row, search)
        return batch.rows

    def _conditioned(self, surrogate: Surrogate, X: Tensor, search: Search) -> Surrogate:
        return surrogate.condition(X, self._value(surrogate, X, search)) if len(X) else surrogate

    def _falls(self, search: Search) -> bool:  # noqa: ARG002
        """Say whether an acquisition can only fall from one row of the batch to the next."""
        return False

    @abstractmethod
    def _value(self, surrogate: Surrogate, X: Tensor, search: Search) -> Tensor:
        """Return what `q x d`-dim rows are taken to return, `q x m`-dim."""


class Believer(_Believing):
    """One row after the other, each as if those before it and the pending ones had returned a certain value.

    The surrogate is conditioned on them and keeps its hyperparameters, so that a batch costs one fit. The value is the mean
    that it predicts (the kriging believer of Ginsbourger et al. 2010) or the worst that was seen (their constant liar).

    Args:
        value: ``"mean"`` or ``"worst"``.
        candidates: Rows that each maximization starts from, at least 1.

    Raises:
        SpecError: ``value`` is another word.
    """

    def __init__(self, value: str = "mean", candidates: int = CANDIDATES) -> None:
        if value not in ("mean", "worst"):
            raise SpecError(f"value is {value!r}, expected 'mean' or 'worst'.")
        super().__init__(candidates)
        self._worst = value == "worst"

    def _falls(self, search: Search) -> bool:
        # with the mean believed, means stay and variances fall; a surrogate without gradients only comes near to that
        declines = getattr(search.acquisition, "declines", None)
        exact = not self._worst and getattr(search.surrogate, "differentiable", True)
        return bool(exact and declines is not None and declines(search.observed))

    def _value(self, surrogate: Surrogate, X: Tensor, search: Search) -> Tensor:
        if self._worst:
            return search.observed.Y.min(dim=0).values.expand(len(X), -1)
        mean: Tensor = surrogate.posterior(X[:, None]).mean[:, 0].detach()
        return mean


class Liar(_Believing):
    """The constant liar (Ginsbourger, Le Riche and Carraro 2010, section 4.2.2): all return the same value of what was seen.

    ``"min"`` spreads a batch the most, ``"max"`` the least.

    Args:
        value: ``"min"``, ``"mean"`` or ``"max"`` of the targets seen, each to be maximized.
        candidates: Rows that each maximization starts from, at least 1.

    Raises:
        SpecError: ``value`` is another word.
    """

    def __init__(self, value: str = "min", candidates: int = CANDIDATES) -> None:
        if value not in ("min", "mean", "max"):
            raise SpecError(f"value is {value!r}, expected 'min', 'mean' or 'max'.")
        super().__init__(candidates)
        self._lie = value

    def _value(self, surrogate: Surrogate, X: Tensor, search: Search) -> Tensor:  # noqa: ARG002
        Y = search.observed.Y
        lie = {"min": Y.amin(0), "mean": Y.mean(0), "max": Y.amax(0)}[self._lie]
        return lie.expand(len(X), -1)
