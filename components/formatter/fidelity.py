"""What a strategy that chooses fidelities is told of the estimator's fidelity: its name, the least and the full one."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ...errors import SpecError

if TYPE_CHECKING:
    from ...estimators.bundle import Bundle

_OPTIONS = {"fidelity", "low", "high"}
_NESTED = "then"
_RATIO = 3.0
_BEGIN = 2.0 / 3.0


def with_fidelity(
    choice: str | dict[str, Any], bundle: Bundle, *, trials: int
) -> tuple[str | dict[str, Any], list[str]]:
    """Complete a strategy that has the options ``fidelity``, ``low`` and ``high``; leave any other as it is.

    The full fidelity is what the search uses when it does not vary it. The least one is the estimator's, but not so little that
    the trials would be used up before any candidate gets to the full fidelity: with a third of the candidates of a level going on
    to the next, two thirds of the trials begin, and one of them gets ``log_3(2 trials / 3)`` levels up.

    Args:
        choice: A strategy's name or mapping.
        bundle: The estimator.
        trials: How many candidates are evaluated.

    Returns:
        The completed choice, and sentences for the person.

    Raises:
        SpecError: The estimator has no fidelity, or what is asked for is not within it.
    """
    from ...search.strategy import STRATEGIES, one_choice

    name, options = one_choice(choice, "strategy")
    known = inspect.signature(STRATEGIES.get(name)).parameters
    if _NESTED in known and isinstance(options.get(_NESTED), str | Mapping):
        inner, reasons = with_fidelity(options[_NESTED], bundle, trials=trials)
        return {name: {**options, _NESTED: inner}}, reasons
    if not known.keys() >= _OPTIONS:
        return choice, []
    declared = bundle.fidelity
    if declared is None:
        raise SpecError(
            f"The strategy {name!r} varies the fidelity, and estimator {bundle.name!r} has none.",
            hint="Choose a strategy such as 'auto', or declare a fidelity in the bundle's estimator.yaml.",
        )
    if options.get("fidelity", declared.name) != declared.name:
        raise SpecError(
            f"fidelity is {options['fidelity']!r}, and that of estimator {bundle.name!r} is called {declared.name!r}.",
            hint="Leave the option out.",
        )
    high = options.get("high", declared.default_value)
    low = options.get("low", _least(declared.min, high, trials=trials) if _is_number(high) else declared.min)
    for option, value in (("low", low), ("high", high)):
        if _is_number(value) and not declared.min <= value <= declared.max:
            raise SpecError(
                f"{option} is {value!r}, and estimator {bundle.name!r} takes {declared.min} to {declared.max} "
                f"{declared.unit}."
            )
    said = f"Candidates begin with {low:g} {declared.unit} of training, and the best go on up to {high:g}."
    return {name: {**options, "fidelity": declared.name, "low": low, "high": high}}, [said]


def _least(least: int, high: float, *, trials: int) -> float:
    count = max(1, math.floor(math.log(max(_BEGIN * trials, 1.0)) / math.log(_RATIO) + 1e-9))
    return max(least, min(math.ceil(high / _RATIO**count), math.floor(high)))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
