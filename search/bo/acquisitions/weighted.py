"""Acquisitions that weigh another one: by what a candidate costs, and by what the user expects to be good."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ....errors import SpecError
from ...cost import DurationModel
from ...strategy import build, check_number, one_choice
from ..composition import ACQUISITIONS, Choice
from ..parts import Acquisition, AcquisitionFunction, Observed, Surrogate
from ..preference import Preference
from .belief import like
from .bounded import LARGEST


class Cooled:
    """An acquisition per second, and with time by itself: ``log a - exponent (1 - used) log cost``.

    The cost is the expected duration of a candidate, by a model of the durations that were reported; while fewer than
    `cost.ENOUGH` are known, it does not count. Cooling (Lee et al., ICML AutoML workshop 2020: CArBO, equation 2) makes the
    search look at cheap regions first and end where it is best, whatever it costs. Without a budget, a half of it counts
    as used.

    Args:
        acquisition: What is weighed: one that is the log of a value that is not negative, such as ``"logei"``.
        exponent: How much cost counts at the start, at least 0; 1 is improvement per second.

    Raises:
        SpecError: The acquisition is no log, or ``exponent`` no number of at least 0.
    """

    logarithmic = True

    def __init__(self, acquisition: Choice = "auto", exponent: float = 1.0) -> None:
        self._exponent = check_number(exponent, "exponent", low=0.0, high=LARGEST)
        self._inner = _logarithmic(acquisition, "cooled")
        self._durations: Tensor | None = None
        self._model: DurationModel | None = None

    def build(self, surrogate: Surrogate, observed: Observed, *, pending: Tensor, seed: int) -> AcquisitionFunction:
        """Return the function to maximize; see `Acquisition.build`."""
        inner = self._inner.build(surrogate, observed, pending=pending, seed=seed)
        model = self._cost(observed)
        exponent = self._exponent * (1.0 - observed.used)
        if model is None or not exponent:
            return inner
        return like(inner, lambda X: inner(X) - exponent * model.log_mean(X[..., 0, :]))

    def _cost(self, observed: Observed) -> DurationModel | None:
        """Return the model of the durations, fitted once for a batch."""
        if observed.rows is None or observed.duration_s is None:
            return None
        if self._durations is not observed.duration_s:
            self._durations = observed.duration_s
            self._model = DurationModel(observed.rows.space, rows=observed.rows)
            self._model.fit_rows(observed.X, observed.duration_s)
        return self._model if self._model is not None and self._model.ready else None


class Preferred:
    """An acquisition times the user's prior to a power that fades: piBO (Hvarfner et al., ICLR 2022, equation 6).

    ``log a + beta / n log prior`` after `n` observations, with the priors and the weights that the space declares; a
    parameter without one is indifferent.

    Args:
        acquisition: What is weighed: one that is the log of a value that is not negative, such as ``"logei"``.
        beta: How much the prior counts, at least 0; None is a tenth of the budget (section 4.1), 10 without one.

    Raises:
        SpecError: The acquisition is no log, or ``beta`` no number of at least 0.
    """

    logarithmic = True

    def __init__(self, acquisition: Choice = "auto", beta: float | None = None) -> None:
        self._beta = None if beta is None else check_number(beta, "beta", low=0.0, high=LARGEST)
        self._inner = _logarithmic(acquisition, "prior")

    def build(self, surrogate: Surrogate, observed: Observed, *, pending: Tensor, seed: int) -> AcquisitionFunction:
        """Return the function to maximize; see `Acquisition.build`."""
        inner = self._inner.build(surrogate, observed, pending=pending, seed=seed)
        preference = None if observed.rows is None else Preference(observed.rows)
        if preference is None or preference.indifferent:
            return inner
        beta = self._beta if self._beta is not None else (observed.budget or 100) / 10.0
        power = beta / max(1, observed.count)
        return like(inner, lambda X: inner(X) + power * preference(X[..., 0, :]))


def averaged(functions: list[AcquisitionFunction], *, logarithmic: bool) -> AcquisitionFunction:
    """Return the mean of acquisitions, or the log of the mean of what they are logs of."""
    if len(functions) == 1:
        return functions[0]

    def mean(X: Tensor) -> Tensor:
        values = torch.stack([function(X) for function in functions])
        if not logarithmic:
            return values.mean(0)
        return torch.logsumexp(values, dim=0) - math.log(len(functions))

    return like(functions[0], mean)


def _logarithmic(choice: Choice, name: str) -> Acquisition:
    """Return the acquisition that another one weighs.

    Raises:
        SpecError: It is no log, or takes another option.
    """
    inner, options = one_choice(choice, "acquisition")
    made: Acquisition = build(ACQUISITIONS.get(inner), options, what=f"acquisition {inner!r}")
    if not getattr(made, "logarithmic", False):
        problem = f"The acquisition {name!r} cannot weigh {inner!r}, whose values can be negative."
        raise SpecError(problem, hint="Choose one that is a logarithm, such as 'logei', 'mes' or 'ehvi'.")
    return made
