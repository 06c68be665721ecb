"""Strategies by name that are compositions of parts and nothing more. Without torch: the parts are loaded when they are used."""

from __future__ import annotations

from ..strategy import check_integer
from .composition import Choice
from .strategy import BayesianStrategy

_TREES = 32
_STEPS = 150


def smac(initial: int | None = None, trees: int = _TREES) -> BayesianStrategy:
    """Return sequential model-based algorithm configuration: a random forest, log expected improvement and local search.

    Hutter, Hoos and Leyton-Brown (LION 2011) and SMAC3 (Lindauer et al., JMLR 2022), whose facade for black boxes of mixed
    parameters this follows; failures count as the worst that was seen, as there. Its random interleaving is in the start of
    the local search: half of the configurations that it looks at are drawn from the space's priors.

    Args:
        initial: Configurations before the model is used, at least 2.
        trees: Of the forest, at least 2.

    Raises:
        SpecError: An option is smaller.
    """
    # the surrogate's own number needs no option, so that binding a space loads no torch
    surrogate: Choice = "rf" if check_integer(trees, "trees", low=2) == _TREES else {"rf": {"trees": trees}}
    return BayesianStrategy(initial=initial, surrogate=surrogate, failures="worst")


def bohamiann(initial: int | None = None, steps: int = _STEPS) -> BayesianStrategy:
    """Return Bayesian optimization with Bayesian neural networks (Springenberg et al., NIPS 2016).

    Args:
        initial: Configurations before the model is used, at least 2.
        steps: Of the networks' descent, and as many of the burn-in and of the sampling, at least 1.

    Raises:
        SpecError: An option is smaller.
    """
    known = check_integer(steps, "steps", low=1) == _STEPS  # the surrogate's own number, as in `smac`
    surrogate: Choice = "bohamiann" if known else {"bohamiann": {"steps": steps}}
    return BayesianStrategy(initial=initial, surrogate=surrogate)
