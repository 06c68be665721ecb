"""What a strategy is told of the effort that is planned: how many trials."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

_NESTED = "then"


def with_effort(choice: str | dict[str, Any], *, trials: int) -> str | dict[str, Any]:
    """Complete a strategy that has the option ``budget`` and leaves it open; leave any other as it is.

    Args:
        choice: A strategy's name or mapping.
        trials: How many candidates are evaluated.
    """
    from ...search.strategy import STRATEGIES, one_choice

    name, options = one_choice(choice, "strategy")
    known = inspect.signature(STRATEGIES.get(name)).parameters
    inner = options.get(_NESTED)
    if _NESTED in known and isinstance(inner, str | Mapping):
        following = with_effort(dict(inner) if isinstance(inner, Mapping) else inner, trials=trials)
        return {name: {**options, _NESTED: following}}
    if "budget" in known and options.get("budget") is None:
        return {name: {**options, "budget": trials}}
    return choice
