"""Search: spaces, strategies and what is learned from them. Pure: no clock, no network, no global seed.

Importing this package is light: what it offers is loaded on first use.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .ablation import ablation as ablation
    from .candidate import Candidate as Candidate
    from .candidate import Reward as Reward
    from .encoding import Encoding as Encoding
    from .importance import importance as importance
    from .objective import Objective as Objective
    from .pareto import hypervolume as hypervolume
    from .pareto import knee_point as knee_point
    from .pareto import pareto_front as pareto_front
    from .space import Parameter as Parameter
    from .space import SearchSpace as SearchSpace
    from .strategy import SearchStrategy as SearchStrategy
    from .strategy import strategies as strategies
    from .strategy import strategy as strategy

_LAZY = {
    "Candidate": ".candidate",
    "Encoding": ".encoding",
    "Objective": ".objective",
    "Parameter": ".space",
    "Reward": ".candidate",
    "SearchSpace": ".space",
    "SearchStrategy": ".strategy",
    "ablation": ".ablation",
    "hypervolume": ".pareto",
    "importance": ".importance",
    "knee_point": ".pareto",
    "pareto_front": ".pareto",
    "strategies": ".strategy",
    "strategy": ".strategy",
}

__all__ = [
    "Candidate",
    "Encoding",
    "Objective",
    "Parameter",
    "Reward",
    "SearchSpace",
    "SearchStrategy",
    "ablation",
    "hypervolume",
    "importance",
    "knee_point",
    "pareto_front",
    "strategies",
    "strategy",
]


def __getattr__(name: str) -> object:
    """Load a public name on first use (PEP 562)."""
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name], __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


class _Package(ModuleType):
    """This package, whose public functions keep their names.

    Importing the module ``strategy`` would bind it to the name of the function ``strategy`` here, and what
    ``from omniforge.search import strategy`` gives would depend on what was imported before.
    """

    def __setattr__(self, name: str, value: object) -> None:
        if not (name in _LAZY and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
