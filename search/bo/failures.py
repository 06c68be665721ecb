"""Where candidates succeed: a model of failures and timeouts, and acquisitions that heed it. Not what failed ones are worth.

A Gaussian process is regressed on the labels 1 (succeeded) and -1 (failed), and a probit link turns it into a probability
(least-squares classification, Rasmussen and Williams 2006, section 6.5). An acquisition times that probability (Gelbart, Snoek and
Adams, UAI 2014, equation 5) avoids regions that fail, while what is modelled of the objectives stays free of made-up values:
where a cliff of failures borders on the optimum, nothing pulls the model down there. Failures that come at random are
noise to it and change nothing.

The probability counts squared. Where candidates fail nothing is ever measured, so that the surrogate stays as unsure of such a
region as of an unknown one and an acquisition overrates it for good; and a maximum picks the places next to the border where
the probability is estimated too high. Less of both leaves more evaluations that succeed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from .acquisitions.belief import like
from .gp import GaussianProcess
from .parts import Acquisition, AcquisitionFunction, Observed, Surrogate
from .rows import Rows

_LABEL_VARIANCE = 0.25
_LINK_VARIANCE = 0.1
_CAUTION = 2.0


class SuccessModel:
    """The probability that a row succeeds.

    Args:
        rows: The space's rows.
    """

    def __init__(self, rows: Rows) -> None:
        self._process = GaussianProcess(rows)

    def fit(self, X: Tensor, succeeded: Tensor, *, start: Sequence[Sequence[float]] = (), refit: bool = True) -> None:
        """Learn from rows.

        Args:
            X: A `n x d`-dim Tensor.
            succeeded: Which of them did, a `n`-dim bool Tensor.
            start: Hyperparameters of an earlier fit.
            refit: Whether to improve on them.

        Raises:
            RuntimeError: A covariance is not positive definite.
        """
        labels = torch.where(succeeded, 1.0, -1.0).to(X)[:, None]
        # a label may be chance: only several of a kind make a place good or bad
        self._process.fit(X, labels, torch.full_like(labels, _LABEL_VARIANCE), start=start, refit=refit)

    @property
    def hyperparameters(self) -> list[list[float]]:
        """What a later fit can start from."""
        return self._process.hyperparameters

    def log_probability(self, X: Tensor) -> Tensor:
        """Return the log of the probability of success of `(b) x d` rows, a `(b)`-dim Tensor; differentiable."""
        mean, variance = self._process.mean_and_variance(X.reshape(-1, X.shape[-1]))
        z = mean / (variance + _LINK_VARIANCE).sqrt()
        out: Tensor = torch.special.log_ndtr(z).reshape(X.shape[:-1])
        return out


class Avoiding:
    """An acquisition times the squared probability of success; the mean of its log over rows that are chosen together.

    Args:
        inner: What is weighed: an acquisition that is the log of a value that is not negative.
        model: Of success, fitted.
    """

    logarithmic = True

    def __init__(self, inner: Acquisition, model: SuccessModel) -> None:
        self._inner = inner
        self._model = model

    def build(self, surrogate: Surrogate, observed: Observed, *, pending: Tensor, seed: int) -> AcquisitionFunction:
        """Return the function to maximize; see `Acquisition.build`."""
        inner = self._inner.build(surrogate, observed, pending=pending, seed=seed)
        return like(inner, lambda X: inner(X) + _CAUTION * self._model.log_probability(X).mean(dim=-1))

    def declines(self, observed: Observed) -> bool:
        """Say what the weighed one says: the weights of rows stay."""
        declines = getattr(self._inner, "declines", None)
        return declines is not None and bool(declines(observed))

    def joint(self) -> Acquisition:
        """Return the same for several rows at once."""
        inner: Any = self._inner
        return Avoiding(inner.joint(), self._model)


def can_avoid(acquisition: Acquisition) -> bool:
    """Say whether a probability can be multiplied to an acquisition: whether it is a log."""
    return bool(getattr(acquisition, "logarithmic", False))
