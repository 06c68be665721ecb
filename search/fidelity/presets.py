"""The multi-fidelity strategies by name: a planner, its levels and its source of configurations. Nothing heavy is imported."""

from __future__ import annotations

from ...errors import SpecError
from ..strategy import check_integer, check_number
from .freeze_thaw import FreezeThaw
from .halving import Halving
from .levels import levels
from .sources import Choice, source
from .staged import StagedStrategy

_RATIO = 2
_ALL = 99
_LARGEST = 1e9


def asha(
    *, fidelity: str = "epochs", low: float = 1, high: float = 81, eta: float = 3, proposals: Choice = "random"
) -> StagedStrategy:
    """Return asynchronous successive halving (ASHA; Li et al., MLSys 2020); see `Halving`.

    Args:
        fidelity: What the fidelity is called in `Candidate.fidelity`.
        low: The fidelity at which every configuration begins, above 0.
        high: The full fidelity, at least ``low``.
        eta: One in how many is continued, above 1; levels are at least that much apart.
        proposals: Where new configurations come from: ``"random"``, ``"model"``, or a strategy.

    Raises:
        SpecError: An option is out of range.
    """
    return StagedStrategy(
        Halving(eta=_eta(eta), brackets=1, source=source(proposals)), levels(fidelity, low=low, high=high, ratio=eta)
    )


def hyperband(
    *,
    fidelity: str = "epochs",
    low: float = 1,
    high: float = 81,
    eta: float = 3,
    brackets: int | None = None,
    proposals: Choice = "random",
) -> StagedStrategy:
    """Return revised Hyperband: the brackets of Hyperband (Li et al., JMLR 2018) side by side; see `Halving`.

    Args:
        fidelity: What the fidelity is called in `Candidate.fidelity`.
        low: The least fidelity, at which the first bracket begins, above 0.
        high: The full fidelity, at which the last bracket begins, at least ``low``.
        eta: One in how many is continued, above 1; levels are at least that much apart.
        brackets: How many, from the one that begins at ``low``, at least 1; by default one for every level.
        proposals: Where new configurations come from: ``"random"``, ``"model"``, or a strategy.

    Raises:
        SpecError: An option is out of range.
    """
    count = _ALL if brackets is None else check_integer(brackets, "brackets", low=1)
    return StagedStrategy(
        Halving(eta=_eta(eta), brackets=count, source=source(proposals)),
        levels(fidelity, low=low, high=high, ratio=eta),
    )


def bohb(
    *, fidelity: str = "epochs", low: float = 1, high: float = 81, eta: float = 3, brackets: int | None = None
) -> StagedStrategy:
    """Return `hyperband` with model-based proposals, in the place of BOHB (Falkner et al., ICML 2018).

    The model is one process over configurations and a chain of levels (`kernel`) in place of BOHB's densities at one fidelity: how
    much each level says of the full one is a covariance. In `mfes` it is a weight.
    Options are those of `hyperband`.

    Raises:
        SpecError: An option is out of range.
    """
    return hyperband(fidelity=fidelity, low=low, high=high, eta=eta, brackets=brackets, proposals="model")


def mfes(
    *,
    fidelity: str = "epochs",
    low: float = 1,
    high: float = 81,
    eta: float = 3,
    brackets: int | None = None,
    surrogate: Choice = "gp",
) -> StagedStrategy:
    """Return `hyperband` with the proposals of MFES-HB (Li et al., AAAI 2021): a model per level, weighted; see `LevelEnsemble`.

    Args:
        fidelity: What the fidelity is called in `Candidate.fidelity`.
        low: The least fidelity, at which the first bracket begins, above 0.
        high: The full fidelity, at which the last bracket begins, at least ``low``.
        eta: One in how many is continued, above 1; levels are at least that much apart.
        brackets: How many, from the one that begins at ``low``, at least 1; by default one for every level.
        surrogate: What models a level, by name or mapping; see `composition`.

    Raises:
        UnknownNameError: No surrogate has that name.
        SpecError: An option is out of range.
    """
    proposals = {"ensemble": {"surrogate": surrogate}}
    return hyperband(fidelity=fidelity, low=low, high=high, eta=eta, brackets=brackets, proposals=proposals)


def freeze_thaw(
    *,
    fidelity: str = "epochs",
    low: float = 1,
    high: float = 81,
    ratio: float = _RATIO,
    initial: int = 8,
    random: float = 0,
) -> StagedStrategy:
    """Return freeze-thaw Bayesian optimization: which curve is continued how far, or what begins; see `FreezeThaw`.

    Args:
        fidelity: What the fidelity is called in `Candidate.fidelity`.
        low: The least fidelity, at which the first configurations begin, above 0.
        high: The full fidelity, at least ``low``.
        ratio: How far apart the levels are, above 1: a finer ladder decides more often.
        initial: Configurations before the model is used, at least 1.
        random: The share of steps that the model has no part in, from 0 to 1.

    Raises:
        SpecError: An option is out of range.
    """
    if isinstance(ratio, bool) or not isinstance(ratio, int | float) or not ratio > 1:
        raise SpecError(f"ratio is {ratio!r}, expected a number above 1.")
    if isinstance(random, bool) or not isinstance(random, int | float) or not 0 <= random <= 1:
        raise SpecError(f"random is {random!r}, expected a number from 0 to 1.")
    planner = FreezeThaw(initial=check_integer(initial, "initial", low=1), random=float(random))
    return StagedStrategy(planner, levels(fidelity, low=low, high=high, ratio=ratio))


def _eta(eta: float) -> float:
    """Return an ``eta``.

    Raises:
        SpecError: It is no number, or below 1; that it is above 1 is for `levels` to say.
    """
    return check_number(eta, "eta", low=1.0, high=_LARGEST)
